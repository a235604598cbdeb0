"""Projects that are written in less usual ways; `pkg` and `main` are given names of their own."""

from __future__ import annotations

HEAD = "from __future__ import annotations\nfrom symphony import boot, component\n"

# By what is odd: the files, and whether something in it cannot be followed without importing.
ODD: dict[str, tuple[dict[str, str], bool]] = {}


def odd(what: str, *, noted: bool = False, **files: str) -> None:
    """Keeps a project; `pkg__a` is the file `pkg/a.py`."""
    named = {name.replace("__", "/", 1) + ".py": text for name, text in files.items()}
    if any(name.startswith("pkg/") for name in named):
        named.setdefault("pkg/__init__.py", "")
    ODD[what] = (named, noted)


odd(
    "names by a star",
    pkg__a="__all__ = ['Index']\nclass Index: ...\nclass Hidden: ...\n",
    pkg__b=HEAD
    + "from pkg.a import *\nclass Planner:\n    def __init__(self, index: Index): ...\n",
    main=HEAD + "from pkg.b import Planner\ndef run(): return boot(components=[Planner])\n",
)
odd(
    "another name by assignment",
    main=HEAD
    + "class Real: ...\nAlias = Real\nclass Wants:\n    def __init__(self, it: Alias, gone: Gone): ...\n"
    "def run(): return boot(components=[Wants])\n",
)
odd(
    "imports in try and if",
    pkg__a="class Index: ...\n",
    pkg__b=HEAD
    + "import sys\ntry:\n    from pkg.a import Index\nexcept ImportError:\n    Index = None\n"
    "if sys.version_info >= (3, 0):\n    from pkg.a import Index as Later\n"
    "class Planner:\n    def __init__(self, index: Index, later: Later): ...\n",
    main=HEAD + "from pkg.b import Planner\ndef run(): return boot(components=[Planner])\n",
)
odd(
    "a list by its name",
    main=HEAD
    + "class Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\nPARTS = [A, A]\n"
    "def run(): return boot(components=PARTS)\n",
)
odd(
    "a list that is computed",
    noted=True,
    main=HEAD + "class Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\nPARTS = [A]\n"
    "def run(): return boot(components=[*PARTS])\n",
)
odd(
    "objects that are made in the call",
    pkg__a="class Gone: ...\nclass Kept:\n    def __init__(self, gone: Gone): ...\n    def __call_me__(self): ...\n",
    main=HEAD
    + "import pkg.a\nfrom pkg.a import Kept, Gone\n@component(name='named')\nclass Marked:\n"
    "    def __init__(self, size: int): ...\n"
    "class Wants:\n    def __init__(self, kept: Kept, marked: Marked, gone: Gone): ...\n"
    "def run(): return boot(components=[Wants, Kept(3), pkg.a.Kept(4), Marked(size=3)])\n",
)
odd(
    "the mark by another name",
    pkg__a="import symphony as s\nfrom symphony import component as part\nclass Gone: ...\n"
    "@part\nclass A:\n    def __init__(self, gone: 'Gone'): ...\n"
    "@s.component(name='b')\nclass B:\n    def __init__(self, a: 'A', c: 'C'): ...\n"
    "@s.component(phase='pit')\nclass C:\n    def __init__(self, b: B): ...\n",
    main="import symphony\nimport pkg.a as parts\ndef run(): return symphony.boot(components=[parts])\n",
)
odd(
    "an inherited constructor of another module",
    pkg__a="from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    from pkg.c import Deep\n"
    "class Base:\n    def __init__(self, deep: Deep, gone: Gone): ...\n",
    pkg__b="from pkg.a import Base\nclass Heir(Base): ...\nclass Second(Heir):\n    def start(self): ...\n",
    pkg__c="class Deep: ...\n",
    main=HEAD
    + "from pkg.b import Heir, Second\ndef run(): return boot(components=[Heir, Second])\n",
)
odd(
    "a name that only the caller of boot has",
    pkg__a="from __future__ import annotations\nclass Planner:\n    def __init__(self, index: Index): ...\n",
    main=HEAD + "from pkg.a import Planner\nclass Index: ...\n"
    "def run():\n    here = Index\n    return boot(components=[Planner, Index])\n",
)
odd(
    "two classes of one name",
    pkg__a=HEAD
    + "class Gone: ...\n@component\nclass Part:\n    def __init__(self, gone: Gone): ...\n",
    pkg__b=HEAD
    + "from pkg.a import Gone\n@component\nclass Part:\n    def __init__(self, gone: Gone): ...\n",
    main=HEAD + "def run(): return boot(components=['pkg'])\n",
)
odd(
    "a Conductor of the same name as a component",
    pkg__a=HEAD + "class Gone: ...\ndef make(gone: Gone) -> int: ...\n",
    main=HEAD + "from pkg import a\nclass Gone: ...\ndef make(gone: Gone): ...\n"
    "def run(): return boot(make, components=[a.make])\n",
)
odd(
    "a component called as Symphony's own are",
    main=HEAD
    + "@component(name='state')\nclass A: ...\n@component(name='orchestra-kit')\nclass B: ...\n"
    "class Conductor: ...\ndef run(): return boot(components=[A, B, Conductor])\n",
)
odd(
    "the Conductor is a component too",
    main=HEAD + "class Mine: ...\ndef run(): return boot(Mine, components=[Mine])\n",
)
odd(
    "a Conductor that inherits",
    main=HEAD
    + "from symphony import Conductor, Fifo\nclass Gone: ...\nclass Mine(Conductor): ...\n"
    "class Other(Fifo):\n    def __init__(self, kit: Kit): ...\n"
    "class Needs:\n    def __init__(self, mine: Mine, gone: Gone): ...\n"
    "def run(): return boot(conductor=Mine, components=[Needs, Other])\n",
)
odd(
    "generic keys",
    pkg__a=HEAD + "from typing import Dict, Generic, List, TypeVar\nT = TypeVar('T')\n"
    "class Box(Generic[T]): ...\nclass User: ...\n"
    "def users() -> Box[User]: ...\ndef numbers() -> List[int]: ...\n"
    "class Wants:\n    def __init__(self, users: Box[User], others: Box[int], numbers: List[int], "
    "names: Dict[str, User], plain: list[int]): ...\n",
    main=HEAD + "from pkg.a import Wants, numbers, users\n"
    "def run(): return boot(components=[Wants, users, numbers])\n",
)
odd(
    "unions and wrappers inside each other",
    main="from typing import Annotated, List, Optional, Sequence, Union\nfrom symphony import Handle, Late, boot\n"
    "class A: ...\nclass B: ...\n"
    "class Wants:\n    def __init__(self, a: Optional[Union[A, B]], b: 'Sequence[Optional[A]]', "
    "c: Late[Optional[B]], d: Optional[Late[B]], e: Annotated[Optional[B], 'x'], f: Handle['Gone'], "
    "g: Union[A, None], h: 'Union[None, Gone]', i: Annotated[Sequence[B], 'y'], j: None, k: 'None', "
    "m: 3, n: 'A |', o: Union[A, B, None], p: Union[A, A], q: []): ...\n"
    "def run(): return boot(components=[Wants])\n",
)
odd(
    "fields of data classes",
    pkg__a="from __future__ import annotations\nimport dataclasses\nfrom dataclasses import dataclass, field\n"
    "from typing import ClassVar\nclass Gone: ...\n"
    "@dataclass\nclass Base:\n    gone: Gone\n    kept: ClassVar[Lost]\n    free: Lost = field(init=False)\n"
    "    many: Lost = field(default_factory=list)\n",
    pkg__b="from __future__ import annotations\nimport dataclasses\nfrom pkg.a import Base\n"
    "class Other: ...\n@dataclasses.dataclass(frozen=True)\nclass Alone:\n    size: int = 1\n    other: Other = None\n"
    "@dataclasses.dataclass\nclass Heir(Base):\n    extra: Other = None\n",
    main=HEAD + "from pkg.b import Alone, Heir\nfrom pkg.a import Base\n"
    "def run(): return boot(components=[Alone, Heir, Base])\n",
)
odd(
    "parameters of every kind",
    main=HEAD
    + "class Gone: ...\nclass A:\n    def __init__(self, gone: Gone, /, other: Gone, *rest: Gone, "
    "free=1, only: Gone, limit: int = 3, late: 'Gone' = None, **more: Gone): ...\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "columns behind letters of several bytes",
    main=HEAD
    + "class Gone: ...\nclass A:\n    def __init__(self, größe: Gone, ü: Gone, 名: Nirgends): ...\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "decorated factories",
    main=HEAD + "import functools\nclass Gone: ...\n"
    "def logged(function):\n    @functools.wraps(function)\n"
    "    def inner(*all, **more): return function(*all, **more)\n"
    "    return inner\n@logged\ndef make(gone: Gone) -> int: ...\n"
    "def run(): return boot(components=[make])\n",
)
odd(
    "a factory that an import hides",
    noted=True,
    main=HEAD + "import functools\nclass Gone: ...\ndef make(gone: Gone, size: int) -> str: ...\n"
    "part = functools.partial(make, size=3)\ndef run(): return boot(components=[part])\n",
)
odd(
    "a base class of elsewhere",
    noted=True,
    main=HEAD + "import threading\nclass A(threading.Thread): ...\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "overrides of Symphony's own",
    main=HEAD + "from symphony import ArtifactStore, OrchestraKit, Pit\nclass Mine:\n"
    "    def __init__(self, kit: OrchestraKit): ...\n"
    "def run(): return boot(overrides={ArtifactStore: Mine})\n",
)
odd(
    "several overrides",
    main=HEAD
    + "from symphony import factory\nclass A: ...\nclass B:\n    def __init__(self, gone: Gone): ...\n"
    "class Stand:\n    def __init__(self, a: A, lost: Lost): ...\n"
    "def run(): return boot(components=[A, B], overrides={B: factory(Stand), A: 3})\n",
)
odd(
    "calls of boot that differ",
    main=HEAD + "class Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\n"
    "def run(): return boot(components=[A], timeout=20)\n"
    "def second(): return boot(components=[A, Gone])\n",
)
odd(
    "a manifest that leaves members out",
    main=HEAD + "from symphony import ArtifactStore, DagTracker, SystemConfig\n"
    "@component(name='greeter')\nclass A:\n    def __init__(self, store: ArtifactStore, dag: DagTracker): ...\n"
    "def run(): return boot(components=[A], config='Symphony.toml')\n",
)
odd(
    "a manifest that is computed",
    noted=True,
    main=HEAD + "import os\nclass Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\n"
    "def run(): return boot(components=[A], config=os.path.join('.', 'Symphony.toml'))\n",
)
odd(
    "a class inside a class",
    main=HEAD + "class Outer:\n    class Inner: ...\n    class Gone: ...\n"
    "class A:\n    def __init__(self, inner: Outer.Inner, gone: Outer.Gone): ...\n"
    "def run(): return boot(components=[A, Outer.Inner])\n",
)
odd(
    "a definition under a condition",
    main=HEAD + "import sys\nclass Gone: ...\nif sys.platform != 'nowhere':\n    class A:\n"
    "        def __init__(self, gone: Gone): ...\nelse:\n    A = None\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "a Conductor by a name that its package passes on",
    pkg____init__="from pkg.deep import make as build\n",
    pkg__deep="from __future__ import annotations\nclass Gone: ...\ndef make(gone: Gone): ...\n",
    main=HEAD + "def run(): return boot('pkg:build')\n",
)
odd(
    "annotations that have a name",
    pkg__a="from typing import Annotated, NewType, Optional\nclass Gone: ...\nclass There: ...\n"
    "MaybeGone = Optional[Gone]\nMaybeThere = Optional[There]\nMain = Annotated[Gone, 'main']\n"
    "Number = NewType('Number', int)\nText = 'Gone'\n",
    main=HEAD + "from pkg import a\nfrom pkg.a import Main, MaybeGone, Number, Text\n"
    "class A:\n    def __init__(self, one: MaybeGone, two: a.MaybeThere, three: Main, four: Number, "
    "five: Text, six: a.Nowhere): ...\n"
    "def number() -> Number: ...\ndef run(): return boot(components=[A, number])\n",
)
odd(
    "an annotation that is made while it runs",
    noted=True,
    main=HEAD + "class Gone: ...\ndef pick(): return Gone\nChosen = pick()\n"
    "class A:\n    def __init__(self, it: Chosen, gone: Gone): ...\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "what seems missing may be in what is computed",
    noted=True,
    main=HEAD + "class Index: ...\nclass A:\n    def __init__(self, index: Index): ...\n"
    "class B:\n    def __init__(self, b: B): ...\n"
    "def parts(): return [Index]\ndef run(): return boot(components=[A, B, *parts()])\n",
)
odd(
    "overrides that are computed",
    noted=True,
    main=HEAD + "class Index: ...\nclass A:\n    def __init__(self, a: A, index: Index): ...\n"
    "def stand() -> A: return A(None, None)\n"
    "def run(): return boot(components=[A], overrides={**{A: stand}})\n",
)
odd(
    "arguments of boot that are hidden",
    noted=True,
    main=HEAD + "class Index: ...\nclass A:\n    def __init__(self, index: Index): ...\n"
    "def run(): return boot(components=[A], **{'overrides': {Index: 3}})\n",
)
odd(
    "a name that depends on what the text does not tell",
    noted=True,
    main=HEAD + "import random\nclass One: ...\nclass Two: ...\n"
    "if random.random() < 2:\n    It = One\nelse:\n    It = Two\n"
    "class A:\n    def __init__(self, it: It): ...\n"
    "def run(): return boot(components=[A, One])\n",
)
odd(
    "imports for one Python or another",
    main=HEAD + "import sys\nfrom typing import TYPE_CHECKING\nif sys.version_info >= (3, 0):\n"
    "    from decimal import Decimal as It\nelse:\n    from fractions import Fraction as It\n"
    "if TYPE_CHECKING:\n    from fractions import Fraction as Other\nelse:\n    Other = It\n"
    "class A:\n    def __init__(self, it: It, other: Other): ...\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "an import inside a function",
    pkg__a="class Index: ...\n",
    main=HEAD + "def unused():\n    from pkg.a import Index\n"
    "class A:\n    def __init__(self, index: Index): ...\ndef run(): return boot(components=[A])\n",
)
odd(
    "components of a class and of a bound method",
    noted=True,
    main=HEAD
    + "class Gone: ...\nclass Made:\n    @classmethod\n    def build(cls, gone: Gone) -> Made: return cls()\n"
    "def run(): return boot(components=[Made.build, Gone])\n",
)
odd(
    "a class of a function that hides one of the module",
    noted=True,
    main=HEAD + "class Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\n"
    "def run():\n    class A: ...\n    return boot(components=[A])\n",
)
odd(
    "a list of a function that hides one of the module",
    noted=True,
    main=HEAD + "class Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\nPARTS = [A]\n"
    "def run(PARTS=()):\n    return boot(components=PARTS)\n",
)
odd(
    "an import in the function that boots",
    pkg__a="class Gone: ...\nclass A:\n    def __init__(self, gone: Gone): ...\n",
    main=HEAD + "def run():\n    from pkg.a import A\n    return boot(components=[A])\n",
)
odd(
    "names that stand for themselves",
    main="from symphony import boot\nX = 'X'\nY = 'Z'\nZ = 'Y'\nclass A:\n"
    "    def __init__(self, x: X, y: 'Y', z: 'Y' = None): ...\ndef run(): return boot(components=[A])\n",
)
odd(
    "type variables of another module, through two bases",
    pkg__a="from typing import Generic, Optional, TypeVar\nT = TypeVar('T')\nclass Base(Generic[T]):\n"
    "    def __init__(self, one: T, maybe: Optional[T], gone: 'Gone'): ...\n",
    pkg__b=HEAD
    + "from typing import Generic, TypeVar\nfrom pkg.a import Base, T\nS = TypeVar('S')\nclass Real: ...\n"
    "class Middle(Base[S], Generic[S]): ...\nclass Same(Base[T], Generic[T]): ...\n"
    "class X(Middle[Real]): ...\nclass Y(Same[Real]): ...\nclass Z(Middle): ...\n",
    main=HEAD + "from pkg.b import X, Y, Z\ndef run(): return boot(components=[X, Y, Z])\n",
)
odd(
    "constructors that pass on, from other modules",
    pkg__a="class Gone: ...\nclass First:\n    def __init__(self, gone: Gone, size: int = 3): ...\n"
    "class Second:\n    def __init__(self, lost: 'Lost', **kw): super().__init__(**kw)\n",
    pkg__b="from pkg.a import First, Second\nclass Both(Second, First):\n"
    "    def __init__(self, *args, **kw): super().__init__(*args, **kw)\n"
    "class Given(First):\n    def __init__(self, **kw): First.__init__(self, gone=3, **kw)\n"
    "class Set(First):\n    def __init__(self, **kw):\n        kw.setdefault('gone', 3)\n"
    "        super().__init__(**kw)\n"
    "class Renamed(First):\n    def __init__(self, **kw):\n        more = kw\n        super().__init__(**more)\n",
    main=HEAD + "from pkg.b import Both, Given, Renamed, Set\n"
    "def run(): return boot(components=[Both, Given, Renamed, Set])\n",
)
odd(
    "texts beside types",
    main="from typing import Annotated\nfrom symphony import Named, boot, component\n"
    "class Real: ...\n@component(name='spare')\ndef spare() -> Real: return Real()\n"
    "class Wants:\n    def __init__(self, a: Annotated[Real, 'spare'], b: Annotated[Real, 'what it is'], "
    "c: Annotated[Real, Named('nobody')], d: Annotated[Real, 'text', Named('spare')]): ...\n"
    "def run(): return boot(components=[spare, Real, Wants])\n",
)
odd(
    "classes that nothing can make",
    pkg__a="from abc import ABC, ABCMeta, abstractmethod\nfrom typing import Protocol, TypedDict\nimport enum\n"
    "class Base(ABC):\n    @abstractmethod\n    def one(self): ...\n    @abstractmethod\n    def two(self): ...\n",
    pkg__b="from pkg.a import *\nimport enum\nclass Half(Base):\n    def two(self): ...\n"
    "class Meta(metaclass=ABCMeta):\n    @property\n    @abstractmethod\n    def name(self): ...\n"
    "class Speaks(Protocol):\n    def speak(self): ...\nclass Kind(enum.IntEnum):\n    A = 1\n"
    "class Row(TypedDict):\n    name: str\nclass Whole(Half):\n    one = None\n",
    main=HEAD + "from pkg.b import *\nfrom pkg.b import Half, Kind, Meta, Row, Speaks, Whole\n"
    "def run(): return boot(components=[Half, Kind, Meta, Row, Speaks, Whole])\n",
)
odd(
    "handles of no one type",
    main=HEAD + "from typing import Optional, Sequence, Union\nfrom symphony import Handle, Late\n"
    "class A:\n    def __init__(self, a: Optional[Late[Union[int, str]]], b: Handle[Union[int, str]], "
    "c: Union[Handle[int], Late[str]], d: Sequence[Optional[Handle[int]]]): ...\n"
    "def run(): return boot(components=[A])\n",
)
odd(
    "what would help about a need",
    noted=True,
    pkg__a=HEAD + "from decimal import Decimal\nfrom typing import Protocol\n"
    "class Gone: ...\nclass Base: ...\nclass Child(Base): ...\n"
    "class Speaks(Protocol):\n    def speak(self) -> str: ...\n    def _own(self) -> str: ...\n"
    "class Silent(Protocol): ...\n"
    "class Dog:\n    def speak(self) -> str: return ''\n"
    "class Sum(Decimal):\n    def __new__(cls): return super().__new__(cls)\n"
    "class Wants:\n    def __init__(self, gone: Gone, base: Base, it: Speaks, silent: Silent, "
    "sum: Decimal, text: str): ...\n",
    main=HEAD + "from pkg.a import Child, Dog, Sum, Wants\n"
    "def run(): return boot(components=[Child, Dog, Sum, Wants])\n",
)
odd(
    "what is entered and how",
    pkg__a=HEAD + "from contextlib import AbstractAsyncContextManager as Later\n"
    "from typing import ContextManager\n"
    "class Both:\n    def __enter__(self): ...\n    def __exit__(self, *e): ...\n"
    "class Half:\n    def __enter__(self): ...\n"
    "class Assigned:\n    def _in(self): ...\n    def _out(self, *e): ...\n"
    "    __enter__, __exit__ = _in, _out\n    __enter__ = _in\n    __exit__ = _out\n"
    "@component(enter=True)\nclass A(Both):\n    def __init__(self, gone: Gone): ...\n"
    "@component(enter=True)\nclass B(Half): ...\n"
    "@component(enter=True)\ndef c(gone: Gone) -> Half: ...\n"
    "@component(enter=True)\ndef d(gone: Gone) -> ContextManager[Half]: ...\n"
    "@component(enter=True)\nclass E(Assigned): ...\n"
    "class Gone: ...\n",
    main="import pkg.a\nfrom symphony import boot\ndef run(): return boot(components=[pkg.a])\n",
)
