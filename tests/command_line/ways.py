"""Every way to make a class or a callable, and every form of annotation, with what becomes of it.

The table in `docs/components.md` is made of these; `test_ways.py` boots and checks each of them, and holds the page to
it.
"""

from __future__ import annotations

import dataclasses
import textwrap

INJECTED, LEFT_OUT, REFUSED = "is injected", "is left out", "is refused"
HEAD = "from symphony import boot, component\nclass Clock: ...\n"
PAGE_BEGIN, PAGE_END = "<!-- ways: begin -->\n", "<!-- ways: end -->\n"


@dataclasses.dataclass
class Way:
    """One way.

    Attributes:
        group: What it is a way to make.
        text: What people read for it.
        source: The module's text after the clock; it defines `made(system)`, which gives the clock that was injected.
        components: What is registered beside the clock.
        comes_to: What becomes of it.
        python: The first version that knows it.
        needs: A package that it needs.
        is_noted: Only the import of the module tells, and `check` says so.
        code: The fault that it is refused with.
    """

    group: str
    text: str
    source: str
    components: str
    comes_to: str = INJECTED
    python: tuple[int, int] = (3, 9)
    needs: str = ""
    is_noted: bool = False
    code: str = ""

    def module(self) -> str:
        """The text of the module."""
        future = "from __future__ import annotations\n" if "FUTURE" in self.source else ""
        body = textwrap.dedent(self.source).replace("FUTURE", "")
        return f"{future}{HEAD}{body}\ndef run():\n    return boot(components=[Clock, {self.components}])\n"


WAYS: list[Way] = []


def way(group: str, text: str, source: str, components: str = "X", **more) -> None:
    WAYS.append(Way(group, text, source, components, **more))


def refused(group: str, text: str, code: str, source: str, components: str = "X", **more) -> None:
    way(group, text, source, components, comes_to=REFUSED, code=code, **more)


MADE = "def made(s): return s[X].clock\n"
CLASS, CALLABLE, ANNOTATION = "class", "callable", "annotation"
TAKES = "class X:\n    def __init__(self, clock: Clock): self.clock = clock\n"

way(CLASS, "`__init__`", TAKES + MADE)
way(
    CLASS,
    "an inherited `__init__`",
    "class Base:\n    def __init__(self, clock: Clock): self.clock = clock\nclass X(Base): ...\n"
    + MADE,
)
way(
    CLASS,
    "`__init__(self, *args, **kwargs)` that passes them on to `super()`",
    "class Base:\n    def __init__(self, clock: Clock): self.clock = clock\nclass X(Base):\n"
    "    def __init__(self, *args, **kwargs): super().__init__(*args, **kwargs)\n" + MADE,
)
way(
    CLASS,
    "`**kwargs` that are passed on beside arguments of its own",
    "class Base:\n    def __init__(self, size: int, clock: Clock): self.clock = clock\nclass X(Base):\n"
    "    def __init__(self, other: Clock, **kwargs): super().__init__(3, **kwargs)\n" + MADE,
)
way(
    CLASS,
    "`**kwargs` that stay where they are",
    "class X:\n    def __init__(self, clock: Clock, **options): self.clock = clock\n" + MADE,
)
refused(
    CLASS,
    "an argument that the next `__init__` needs too, and that is not passed on",
    "not-injectable",
    "class Base:\n    def __init__(self, clock: Clock): self.clock = clock\nclass X(Base):\n"
    "    def __init__(self, clock: Clock, **kwargs): super().__init__(**kwargs)\n" + MADE,
)
refused(
    CLASS,
    "`**kwargs` that are changed on their way",
    "not-injectable",
    "class Base:\n    def __init__(self, clock: Clock): self.clock = clock\nclass X(Base):\n"
    "    def __init__(self, **kwargs):\n        kwargs.pop('size')\n        super().__init__(**kwargs)\n"
    + MADE,
)
way(
    CLASS,
    "`__new__`",
    "class X:\n    def __new__(cls, clock: Clock):\n        made = super().__new__(cls)\n"
    "        made.clock = clock\n        return made\n" + MADE,
)
way(
    CLASS,
    "`__new__(cls, *args, **kwargs)` beside `__init__`",
    "class X:\n    def __new__(cls, *args, **kwargs): return super().__new__(cls)\n"
    "    def __init__(self, clock: Clock): self.clock = clock\n" + MADE,
)
refused(
    CLASS,
    "`__new__` and `__init__` that do not take the same",
    "not-injectable",
    "class X:\n    def __new__(cls, size: Clock): return super().__new__(cls)\n"
    "    def __init__(self, clock: Clock): self.clock = clock\n",
)
way(
    CLASS,
    "a metaclass's `__call__`",
    "class Meta(type):\n    def __call__(cls, clock: Clock):\n        made = super().__call__()\n"
    "        made.clock = clock\n        return made\nclass X(metaclass=Meta): ...\n" + MADE,
)
way(
    CLASS,
    "a metaclass's `__call__` that passes on what it takes, as singletons have it",
    "class Meta(type):\n    known = {}\n    def __call__(cls, *args, **kwargs):\n"
    "        if cls not in cls.known: cls.known[cls] = super().__call__(*args, **kwargs)\n"
    "        return cls.known[cls]\nclass X(metaclass=Meta):\n"
    "    def __init__(self, clock: Clock): self.clock = clock\n" + MADE,
)
way(
    CLASS,
    "a `__signature__`",
    "import inspect\nclass X:\n    __signature__ = inspect.Signature([inspect.Parameter('clock', "
    "inspect.Parameter.KEYWORD_ONLY, annotation=Clock)])\n"
    "    def __init__(self, **data): self.clock = data['clock']\n" + MADE,
    is_noted=True,
)
way(
    CLASS,
    "`@dataclass`",
    "from dataclasses import dataclass, field\n@dataclass\nclass X:\n    clock: Clock\n    size: int = 3\n"
    "    many: list = field(default_factory=list)\n    free: int = field(init=False, default=1)\n"
    + MADE,
)
way(
    CLASS,
    "`@dataclass` of a data class",
    "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Base:\n    clock: Clock\n"
    "@dataclass(frozen=True)\nclass X(Base):\n    other: Clock\n" + MADE,
)
way(
    CLASS,
    "`@dataclass` with keyword-only fields and slots",
    "from dataclasses import KW_ONLY, dataclass\n@dataclass(slots=True)\nclass X:\n    size: Clock\n"
    "    _: KW_ONLY\n    clock: Clock\n" + MADE,
    python=(3, 10),
)
way(
    CLASS,
    "`InitVar[T]` of a data class",
    "from dataclasses import InitVar, dataclass\n@dataclass\nclass X:\n    given: InitVar[Clock]\n"
    "    def __post_init__(self, given): self.clock = given\n" + MADE,
)
way(
    CLASS,
    "`InitVar[T]` in text",
    "FUTURE\nfrom dataclasses import InitVar, dataclass\n@dataclass\nclass X:\n    given: InitVar[Clock]\n"
    "    def __post_init__(self, given): self.clock = given\n" + MADE,
)
way(
    CLASS,
    "`@dataclass(init=False)`",
    "from dataclasses import dataclass\n@dataclass(init=False)\nclass X:\n    size: int\n"
    "    def __init__(self, clock: Clock): self.clock = clock\n" + MADE,
)
way(
    CLASS,
    "`NamedTuple`",
    "from typing import NamedTuple\nclass X(NamedTuple):\n    clock: Clock\n" + MADE,
)
way(
    CLASS,
    "`NamedTuple` in text",
    "FUTURE\nfrom typing import NamedTuple\nclass X(NamedTuple):\n    clock: Clock\n" + MADE,
)
refused(
    CLASS,
    "`collections.namedtuple`, which has no annotations",
    "unresolved-annotation",
    "import collections\nX = collections.namedtuple('X', 'clock')\n",
    is_noted=True,
)
way(
    CLASS,
    "attrs",
    "import attrs\n@attrs.define\nclass X:\n    clock: Clock\n    _hidden: Clock\n    size: int = 3\n"
    "    many: list = attrs.field(factory=list)\n" + MADE,
    needs="attrs",
)
way(
    CLASS,
    "attrs, frozen and in text",
    "FUTURE\nimport attrs\n@attrs.frozen\nclass X:\n    clock: Clock\n" + MADE,
    needs="attrs",
)
way(
    CLASS,
    "a pydantic model",
    "from pydantic import BaseModel, ConfigDict, Field\nclass X(BaseModel):\n"
    "    model_config = ConfigDict(arbitrary_types_allowed=True)\n    clock: Clock\n"
    "    size: int = Field(default=3)\n" + MADE,
    needs="pydantic",
)
way(
    CLASS,
    "a msgspec structure",
    "import msgspec\nclass X(msgspec.Struct):\n    clock: Clock\n    size: int = 3\n" + MADE,
    needs="msgspec",
)
way(
    CLASS,
    "a type variable of a generic base",
    "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Base(Generic[T]):\n"
    "    def __init__(self, clock: T): self.clock = clock\nclass X(Base[Clock]): ...\n" + MADE,
)
way(
    CLASS,
    "a type variable through two bases, in text",
    "FUTURE\nfrom typing import Generic, Optional, TypeVar\nT = TypeVar('T')\nS = TypeVar('S')\n"
    "class Base(Generic[T]):\n    def __init__(self, clock: Optional[T]): self.clock = clock\n"
    "class Middle(Base[S], Generic[S]): ...\nclass X(Middle[Clock]): ...\n" + MADE,
)
way(
    CLASS,
    "`class Base[T]`",
    "class Base[T]:\n    def __init__(self, clock: T): self.clock = clock\nclass X(Base[Clock]): ...\n"
    + MADE,
    python=(3, 12),
)
way(
    CLASS,
    "`class X[T = Clock]`",
    "class X[T = Clock]:\n    def __init__(self, clock: T): self.clock = clock\n" + MADE,
    python=(3, 13),
)
way(
    CLASS,
    "`Box[Clock]`, a class with its type variables",
    "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Box(Generic[T]):\n"
    "    def __init__(self, clock: T): self.clock = clock\n"
    "def made(s): return s[Box[Clock]].clock\n",
    "Box[Clock]",
    is_noted=True,
)
refused(
    CLASS,
    "a type variable that stands for nothing",
    "unresolved-annotation",
    "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass X(Generic[T]):\n"
    "    def __init__(self, clock: T): ...\n",
)
way(
    CLASS,
    "`__slots__`",
    "class X:\n    __slots__ = ('clock',)\n    def __init__(self, clock: Clock): self.clock = clock\n"
    + MADE,
)
way(
    CLASS,
    "a class inside a class",
    "class Outer:\n    class X:\n        def __init__(self, clock: Clock): self.clock = clock\n"
    "def made(s): return s[Outer.X].clock\n",
    "Outer.X",
)
way(
    CLASS,
    "a class of a builtin one",
    "class X(list):\n    def __init__(self, clock: Clock): self.clock = clock\n" + MADE,
)
way(
    CLASS,
    "a class that `type()` made",
    TAKES.replace("X", "Base") + "X = type('X', (Base,), {})\n" + MADE,
    is_noted=True,
)
way(
    CLASS,
    "a class of a Protocol",
    "from typing import Protocol\nclass Timed(Protocol):\n    clock: Clock\nclass X(Timed):\n"
    "    def __init__(self, clock: Clock): self.clock = clock\n" + MADE,
)
refused(
    CLASS,
    "a `Protocol` itself",
    "not-injectable",
    "from typing import Protocol\nclass X(Protocol):\n    clock: Clock\n",
)
way(
    CLASS,
    "a class that has all that its abstract base asks for",
    "from abc import ABC, abstractmethod\nclass Base(ABC):\n    @abstractmethod\n    def read(self): ...\n"
    "class X(Base):\n    def __init__(self, clock: Clock): self.clock = clock\n"
    "    def read(self): ...\n" + MADE,
)
refused(
    CLASS,
    "an abstract class",
    "not-injectable",
    "from abc import ABC, abstractmethod\nclass X(ABC):\n    @abstractmethod\n    def read(self): ...\n"
    "    @property\n    @abstractmethod\n    def name(self): ...\n",
)
refused(
    CLASS,
    "a `TypedDict`",
    "not-injectable",
    "from typing import TypedDict\nclass X(TypedDict):\n    clock: Clock\n",
)
refused(
    CLASS,
    "an `Enum`",
    "not-injectable",
    "import enum\nclass X(enum.Enum):\n    A = 1\n",
)
way(
    CLASS,
    "a decorated `__init__`, by `functools.wraps`",
    "import functools\ndef loud(call):\n    @functools.wraps(call)\n"
    "    def run(*args, **kwargs): return call(*args, **kwargs)\n"
    "    return run\nclass X:\n    @loud\n    def __init__(self, clock: Clock): self.clock = clock\n"
    + MADE,
)
refused(
    CLASS,
    "a decorated `__init__`, without it",
    "not-injectable",
    "def loud(call):\n    def run(*args, **kwargs): return call(*args, **kwargs)\n"
    "    return run\nclass X:\n    @loud\n    def __init__(self, clock: Clock): self.clock = clock\n",
)
refused(
    CLASS,
    "an `__init__` that `partialmethod` made",
    "not-injectable",
    "import functools\nclass X:\n    def prepare(self, clock: Clock, size: int): ...\n"
    "    __init__ = functools.partialmethod(prepare, size=3)\n",
    is_noted=True,
)
way(
    CLASS,
    "`@component(enter=True)`, with `__enter__` and `__exit__`",
    "@component(enter=True)\nclass X:\n    def __init__(self, clock: Clock): self.given = clock\n"
    "    def __enter__(self):\n        self.clock = self.given\n        return self\n"
    "    def __exit__(self, *error): self.clock = None\n" + MADE,
)
way(
    CLASS,
    "`@component(enter=True)`, with `__aenter__` and `__aexit__`",
    "@component(enter=True)\nclass X:\n    def __init__(self, clock: Clock): self.given = clock\n"
    "    async def __aenter__(self):\n        self.clock = self.given\n        return self\n"
    "    async def __aexit__(self, *error): self.clock = None\n" + MADE,
)
refused(
    CLASS,
    "`@component(enter=True)`, with none of them",
    "not-injectable",
    "@component(enter=True)\n" + TAKES,
)

PLAIN = "class X:\n    def __init__(self, clock): self.clock = clock\n"
way(CALLABLE, "a function", PLAIN + "def make(clock: Clock) -> X: return X(clock)\n" + MADE, "make")
way(
    CALLABLE,
    "`async def`",
    PLAIN + "async def make(clock: Clock) -> X: return X(clock)\n" + MADE,
    "make",
)
way(
    CALLABLE,
    "a generator function",
    "from typing import Iterator\n"
    + PLAIN
    + "def make(clock: Clock) -> Iterator[X]: yield X(clock)\n"
    + MADE,
    "make",
)
way(
    CALLABLE,
    "an asynchronous generator function",
    "from typing import AsyncIterator\n"
    + PLAIN
    + "async def make(clock: Clock) -> AsyncIterator[X]: yield X(clock)\n"
    + MADE,
    "make",
)
way(
    CALLABLE,
    "`@contextmanager`",
    "import contextlib\nfrom typing import Iterator\n"
    + PLAIN
    + "@contextlib.contextmanager\ndef make(clock: Clock) -> Iterator[X]: yield X(clock)\n"
    + MADE,
    "make",
)
way(
    CALLABLE,
    "`@asynccontextmanager`",
    "import contextlib\nfrom typing import AsyncIterator\n"
    + PLAIN
    + "@contextlib.asynccontextmanager\nasync def make(clock: Clock) -> AsyncIterator[X]: yield X(clock)\n"
    + MADE,
    "make",
)
way(
    CALLABLE,
    "`@component(enter=True)` on a function whose result is entered",
    "from typing import ContextManager\nimport contextlib\n"
    + PLAIN
    + "@component(enter=True)\ndef make(clock: Clock) -> ContextManager[X]:\n"
    + "    return contextlib.nullcontext(X(clock))\n"
    + MADE,
    "make",
)
way(
    CALLABLE,
    "a decorated function, by `functools.wraps`",
    "import functools\n"
    + PLAIN
    + "def loud(call):\n    @functools.wraps(call)\n    def run(*args, **kwargs): return call(*args, **kwargs)\n"
    "    return run\n@loud\ndef make(clock: Clock) -> X: return X(clock)\n" + MADE,
    "make",
)
refused(
    CALLABLE,
    "a decorated function, without it",
    "unresolved-annotation",
    PLAIN
    + "def loud(call):\n    def run(*args, **kwargs): return call(*args, **kwargs)\n    return run\n"
    "@loud\ndef make(clock: Clock) -> X: return X(clock)\n",
    "make",
    is_noted=True,
)
way(
    CALLABLE,
    "`@lru_cache`, `@cache`",
    "import functools\n"
    + PLAIN
    + "@functools.lru_cache(maxsize=None)\ndef make(clock: Clock) -> X: return X(clock)\n"
    + MADE,
    "make",
)
refused(
    CALLABLE,
    "`@cache` around `async def` or a generator function",
    "not-injectable",
    "import functools\n"
    + PLAIN
    + "@functools.lru_cache\nasync def make(clock: Clock) -> X: return X(clock)\n",
    "make",
)
way(
    CALLABLE,
    "`@singledispatch`",
    "import functools\n"
    + PLAIN
    + "@functools.singledispatch\ndef make(clock: Clock) -> X: return X(clock)\n"
    + MADE,
    "make",
)
for text, given in (("by name", "size=3"), ("by position", "3")):
    way(
        CALLABLE,
        f"`partial`, {text}",
        "import functools\n"
        + PLAIN
        + "def make(size: int, clock: Clock) -> X: return X(clock)\n"
        + f"PART = functools.partial(make, {given})\n"
        + MADE,
        "PART",
        is_noted=True,
    )
way(
    CALLABLE,
    "`partial` of a class",
    "import functools\nclass X:\n    def __init__(self, clock: Clock, size: int): self.clock = clock\n"
    "PART = functools.partial(X, size=3)\n" + MADE,
    "PART",
    is_noted=True,
)
for text, given in (("a bound method", "Maker().make"), ("a `classmethod`", "X.make")):
    kind = "@classmethod\n    def make(cls, clock: Clock) -> 'X': return cls(clock)\n"
    maker = "class Maker:\n    def make(self, clock: Clock) -> X: return X(clock)\n"
    way(
        CALLABLE,
        text,
        PLAIN + (f"    {kind}" if "classmethod" in text else maker) + MADE,
        given,
        is_noted=True,
    )
way(
    CALLABLE,
    "a `staticmethod`",
    PLAIN
    + "class Maker:\n    @staticmethod\n    def make(clock: Clock) -> X: return X(clock)\n"
    + MADE,
    "Maker.make",
    is_noted=True,
)
for text, word in (
    ("an object with `__call__`", ""),
    ("an object with `async def __call__`", "async "),
):
    way(
        CALLABLE,
        text,
        PLAIN
        + f"class Maker:\n    {word}def __call__(self, clock: Clock) -> X: return X(clock)\n"
        + MADE,
        "Maker()",
        is_noted=True,
    )
refused(CALLABLE, "a `lambda`", "unresolved-annotation", "X = lambda: 3\n", is_noted=True)
refused(
    CALLABLE,
    "a function of the interpreter",
    "unresolved-annotation",
    "import time\n",
    "time.time",
    is_noted=True,
)
refused(
    CALLABLE,
    "a `NewType`",
    "unresolved-annotation",
    "from typing import NewType\nX = NewType('X', int)\n",
    is_noted=True,
)
way(
    CALLABLE,
    "positional-only and keyword-only parameters",
    PLAIN + "def make(clock: Clock, /, *, other: Clock) -> X: return X(clock)\n" + MADE,
    "make",
)
way(
    CALLABLE,
    "`*args` and `**kwargs`, which nothing is given to",
    PLAIN + "def make(clock: Clock, *more: int, **options: int) -> X: return X(clock)\n" + MADE,
    "make",
)
refused(
    CALLABLE, "no annotation of the result", "unresolved-annotation", "def make(): ...\n", "make"
)

for text, written in (
    ("`T`", "Clock"),
    ('`"T"`', "'Clock'"),
    ("`Optional[T]`", "Optional[Clock]"),
    ("`Union[T, None]`", "Union[Clock, None]"),
    ('`Annotated[T, "a text"]`', "Annotated[Clock, 'the time']"),
    ('`Annotated[T, Named("…")]`', "Annotated[Clock, Named('Clock')]"),
    ("`Final[T]`", "Final[Clock]"),
):
    way(
        ANNOTATION,
        text,
        "from typing import Annotated, Final, Optional, Union\nfrom symphony import Named\n"
        + TAKES.replace("clock: Clock", f"clock: {written}")
        + MADE,
    )
way(
    ANNOTATION,
    "`T | None`, and as a text on 3.9",
    TAKES.replace("clock: Clock", "clock: 'Clock | None'") + MADE,
)
way(
    ANNOTATION,
    "`Sequence[T]`",
    "from typing import Sequence\n"
    "class X:\n    def __init__(self, clock: Sequence[Clock]): self.clock = clock[0]\n" + MADE,
)
for name in ("Handle", "Late"):
    way(
        ANNOTATION,
        f"`{name}[T]`",
        f"from symphony import {name}\n"
        + TAKES.replace("clock: Clock", f"clock: {name}[Clock]")
        + "def made(s): return s[X].clock.value\n",
    )
way(
    ANNOTATION,
    "a name for a type",
    "Alias = Clock\n" + TAKES.replace("clock: Clock", "clock: Alias") + MADE,
)
way(
    ANNOTATION,
    "`type Alias = T`",
    "type Alias = Clock | None\n" + TAKES.replace("clock: Clock", "clock: Alias") + MADE,
    python=(3, 12),
)
way(
    ANNOTATION,
    "a `NewType` that a function makes",
    "from typing import NewType\nTime = NewType('Time', Clock)\ndef time(clock: Clock) -> Time: return Time(clock)\n"
    + TAKES.replace("clock: Clock", "clock: Time")
    + MADE,
    "time, X",
)
way(
    ANNOTATION,
    "a name under `TYPE_CHECKING`",
    "FUTURE\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from symphony import Pit\n"
    "class X:\n    def __init__(self, pit: Pit, clock: Clock): self.clock = clock\n" + MADE,
)
for text, written in (
    ("`T`, nobody provides it, with a default", "Gone"),
    ("`int`", "int"),
    ("`int | str`, `Union[int, str]`", "Union[int, str]"),
    ("`str | int | None`", "Union[str, int, None]"),
    ("`tuple[str, ...]`", "Tuple[str, ...]"),
    ('`Literal["a"]`', "Literal['a']"),
    ("`Callable[..., int]`", "Callable[..., int]"),
    ("`Callable[[int], str]`", "Callable[[int], str]"),
    ("`Sequence[T]`, nobody provides it", "Sequence[Gone]"),
    ("`Dict[str, Any]`", "Dict[str, Any]"),
    ("no annotation", ""),
):
    way(
        ANNOTATION,
        f"{text}, with a default" if "default" not in text else text,
        "from typing import Any, Callable, Dict, Literal, Sequence, Tuple, Union\nclass Gone: ...\n"
        f"class X:\n    def __init__(self, given{': ' if written else ''}{written} = Clock): self.clock = given\n"
        "def made(s): return s[Clock] if s[X].clock is Clock else None\n",
        comes_to=LEFT_OUT,
    )
for text, written, code in (
    ("`T`, nobody provides it", "Gone", "missing-dependency"),
    ("`int`", "int", "missing-dependency"),
    ("`int | str`, `Union[int, str]`", "Union[int, str]", "unresolved-annotation"),
    ("`None`", "None", "unresolved-annotation"),
    ("a name that nobody knows", "'Ghost'", "unresolved-annotation"),
    ("a name that nobody knows, with a default", "'Ghost' = None", "unresolved-annotation"),
    ("`Any`", "Any", "missing-dependency"),
    ("no annotation", "", "unresolved-annotation"),
):
    refused(
        ANNOTATION,
        text,
        code,
        "from typing import Any, Union\nclass Gone: ...\n"
        f"class X:\n    def __init__(self, given{': ' if written else ''}{written}): ...\n",
    )


def table() -> str:
    """The table of the page."""
    lines = []
    for group, title in (
        (CLASS, "A class that is made by"),
        (CALLABLE, "A callable"),
        (ANNOTATION, "A parameter annotated with"),
    ):
        lines += [f"| {title} | |", "|---|---|"]
        for one in WAYS:
            if one.group == group:
                since = f" (Python {one.python[0]}.{one.python[1]})" if one.python > (3, 9) else ""
                code = f": [`{one.code}`](errors.md#{one.code})" if one.code else ""
                text = one.text.replace("|", "\\|")
                lines.append(f"| {text}{since} | {one.comes_to}{code} |")
        lines.append("")
    return "\n".join(lines)
