"""Ways to make a callable, and forms of annotations, for `ways.py`."""

from __future__ import annotations

from ways import ANNOTATION, CALLABLE, LEFT_OUT, MADE, TAKES, refused, way

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
