"""Ways to make a class, for `ways.py`."""

from __future__ import annotations

from ways import CLASS, MADE, TAKES, refused, way

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
