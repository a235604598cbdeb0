"""Random projects, most of them faulty, as a person might have written them: text and nothing else.

A project is a package of modules with Protocols, classes and factories that need each other, and a
`main` that boots them. Whether it has faults, and which, is for `check` and `boot` to say.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import strategies as st

_NUMBERS = itertools.count()

KINDS = (
    "class",
    "class",
    "class",
    "dataclass",
    "function",
    "generator",
    "async",
    "async-generator",
)
FORMS = (
    "plain", "plain", "plain", "plain", "string", "optional", "bar", "sequence", "named", "late", "handle",
    "defaulted", "optional-late", "named-handle",
)  # fmt: skip
PHASES = ("conductor", "conductor", "conductor", "orchestra_kit", "pit", "ipc_bus")
METHODS = {
    "speak": (
        "def speak(self, word: str) -> str: ...",
        (
            "def speak(self, word: str) -> str: return word",
            "def speak(self, text: str, loud: bool = False) -> str: return text",
            "def speak(self, *words: str) -> str: return ''",
            "def speak(self) -> str: return ''",
            "def speak(self, word: str, tone: int) -> str: return word",
            "async def speak(self, word: str) -> str: return word",
            "@staticmethod\n    def speak(word: str) -> str: return word",
            "@property\n    def speak(self) -> int: return 1",
            "speak = 3",
            "",
        ),
    ),
    "think": (
        "async def think(self, *, depth: int = 1) -> int: ...",
        (
            "async def think(self, *, depth: int = 1) -> int: return depth",
            "async def think(self, **more: int) -> int: return 1",
            "async def think(self, *, depth: int) -> int: return depth",
            "async def think(self) -> int: return 1",
            "def think(self, *, depth: int = 1) -> int: return depth",
            "def think(self, *, depth: int = 1): return depth",
            "",
        ),
    ),
    "name": (
        "name: str",
        (
            "name = 'x'",
            "name: str = 'x'",
            "@property\n    def name(self) -> str: return ''",
            "def name(self) -> str: return ''",
            "def start(self) -> None: self.name = 'x'",
            "",
        ),
    ),
    "stream": (
        "def stream(self) -> 'AsyncIterator[int]': ...",
        (
            "async def stream(self) -> 'AsyncIterator[int]':\n        yield 1",
            "def stream(self): return None",
            "async def stream(self, start: int = 0): yield start",
        ),
    ),
}  # fmt: skip
HEADER = """from __future__ import annotations
import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Optional, Protocol, Union
from symphony import Handle, Late, component{own}
"""
STEPS = (
    "async def start(self) -> None: ...",
    "async def stop(self) -> None: ...",
    "def start(self) -> None: ...",
    "def health(self) -> bool: return True",
)
ELSEWHERE = ("Decimal", "int", "list[int]", "Union[int, str]", "dict[str, Decimal]")
OWN = ("ArtifactStore", "Pit", "OrchestraKit", "IpcBus", "DagTracker")


class Project:
    """The files of one project, and how it is booted.

    Attributes:
        files: Texts by path.
        package: The name of its package, unique in this process.
        main: The name of the module with `run()`, which boots it.
    """

    def __init__(self) -> None:
        number = next(_NUMBERS)
        self.package = f"faulty_app_{number}"
        self.main = f"faulty_main_{number}"
        self.files: dict[str, str] = {}

    def write(self, folder: Path) -> None:
        for path, text in self.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    def __repr__(self) -> str:
        return "\n".join(f"# ---- {path}\n{text}" for path, text in self.files.items())


class Part:
    """One class, factory or Protocol of a project."""

    def __init__(self, name: str, module: int, kind: str) -> None:
        self.name = name
        self.module = module
        self.kind = kind
        self.made = name
        self.registered = True
        # A dataclass with a default: one that inherits from it could have no field without.
        self.defaulted = False


@st.composite
def projects(draw) -> Project:
    """A project of one to three modules with two to seven components."""
    return _Writer(draw).project


class _Writer:
    def __init__(self, draw) -> None:
        self.draw = draw
        self.project = Project()
        self.modules = draw(st.integers(1, 3))
        self.names = [f"mod{index}" for index in range(self.modules)]
        if self.modules > 1 and draw(st.booleans()):
            self.names[-1] = "inner.deep"
        self.imports: list[dict[str, None]] = [{} for _ in range(self.modules)]
        self.checked: list[dict[str, None]] = [{} for _ in range(self.modules)]
        self.bodies: list[list[str]] = [[] for _ in range(self.modules)]
        self.exported: dict[str, None] = {}
        self.protocols = [
            Part(f"Proto{index}", draw(st.integers(0, self.modules - 1)), "protocol")
            for index in range(draw(st.integers(0, 2)))
        ]
        self.parts = [
            Part(
                f"Part{index}", draw(st.integers(0, self.modules - 1)), draw(st.sampled_from(KINDS))
            )
            for index in range(draw(st.integers(2, 7)))
        ]
        self.scanned = draw(st.booleans())
        for part in self.parts:
            part.registered = draw(st.integers(0, 9)) > 0
            if part.kind not in ("class", "heir", "dataclass"):
                part.name = f"make_{part.made.lower()}"
        self.methods = {
            part.name: draw(
                st.lists(st.sampled_from(sorted(METHODS)), min_size=1, max_size=3, unique=True)
            )
            for part in self.protocols
        }
        for protocol in self.protocols:
            lines = "\n    ".join(METHODS[name][0] for name in self.methods[protocol.name])
            self.bodies[protocol.module].append(f"class {protocol.name}(Protocol):\n    {lines}\n")
        for part in self.parts:
            self.bodies[part.module].append(self.component(part))
        self.finish()

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == 1

    # -- names ---------------------------------------------------------------------------------

    def dotted(self, module: int) -> str:
        return f"{self.project.package}.{self.names[module]}"

    def spelled(self, made: str, origin: int, here: int) -> str:
        """How a class of one module is named in another; writes the import."""
        if origin == here:
            return made
        # What is imported for real comes from a module that is imported earlier.
        real = origin < here and not self.chance(4)
        into = self.imports[here] if real else self.checked[here]
        depth = "." * (self.names[here].count(".") + 1)
        form = self.draw(st.sampled_from(("from", "as", "relative", "module", "export", "whole")))
        if form == "as":
            into[f"from {self.dotted(origin)} import {made} as {made}Alias"] = None
            return f"{made}Alias"
        if form == "relative":
            into[f"from {depth}{self.names[origin]} import {made}"] = None
            return made
        if form == "module":
            alias = self.names[origin].replace(".", "_") + "_alias"
            into[f"import {self.dotted(origin)} as {alias}"] = None
            return f"{alias}.{made}"
        if form == "whole" and not real:
            into[f"import {self.dotted(origin)}"] = None
            return f"{self.dotted(origin)}.{made}"
        if form == "export" and not real:
            self.exported[f"from .{self.names[origin]} import {made}"] = None
            into[f"from {self.project.package} import {made}"] = None
            return made
        into[f"from {self.dotted(origin)} import {made}"] = None
        return made

    # -- components ------------------------------------------------------------------------------

    def target(self, here: int) -> str:
        """The name of a type to need."""
        choice = self.draw(st.integers(0, 19))
        if choice == 0:
            return "Nowhere"
        if choice == 1:
            return self.draw(st.sampled_from(OWN))
        if choice == 2:
            return self.draw(st.sampled_from(ELSEWHERE))
        if choice < 6 and self.protocols:
            part = self.draw(st.sampled_from(self.protocols))
        else:
            part = self.draw(st.sampled_from(self.parts))
        return self.spelled(part.made, part.module, here)

    def need(self, here: int, index: int) -> str:
        """One parameter."""
        target, form = self.target(here), self.draw(st.sampled_from(FORMS))
        name = self.draw(st.sampled_from([part.name for part in self.parts] + ["alpha", "nobody"]))
        annotation = {
            "string": f'"{target}"',
            "optional": f"Optional[{target}]",
            "bar": f'"{target} | None"',
            "sequence": f"Sequence[{target}]",
            "named": f'Annotated[{target}, "{name}"]',
            "late": f"Late[{target}]",
            "handle": f"Handle[{target}]",
            "optional-late": f"Optional[Late[{target}]]",
            "named-handle": f'Annotated[Handle[{target}], "{name}"]',
        }.get(form, target)
        default = " = None" if form == "defaulted" else ""
        return f"n{index}: {annotation}{default}"

    def component(self, part: Part) -> str:
        needs = [self.need(part.module, index) for index in range(self.draw(st.integers(0, 2)))]
        # Parameters with a default come last.
        needs.sort(key=lambda need: need.endswith("= None"))
        if self.chance(25):
            needs.insert(0, "bare")
        provided = [protocol for protocol in self.protocols if self.chance(3)]
        mark = self.mark(part, provided)
        members = [
            self.draw(st.sampled_from(METHODS[name][1]))
            for protocol in provided
            for name in self.methods[protocol.name]
        ]
        if self.chance(8):
            members.append(self.draw(st.sampled_from(STEPS)))
        members = list(dict.fromkeys(text for text in members if text))
        if part.kind == "class":
            parameters = ", ".join(["self", *needs])
            made = f"class {part.made}:\n    def __init__({parameters}): ...\n"
            return mark + made + self.body(members)
        if part.kind == "heir":
            base = self.base(part)
            return mark + f"class {part.made}{base}:\n    pass\n" + self.body(members)
        if part.kind == "dataclass":
            fields = "".join(f"    {need}\n" for need in needs if need != "bare")
            base = self.base(part, "dataclass") if self.chance(3) else ""
            if base:
                # What stands before it in the parameters has no default.
                fields = fields.replace(" = None", "")
            part.defaulted = " = None" in fields or "name: str = 'x'" in members
            head = f"@dataclasses.dataclass\nclass {part.made}{base}:\n"
            return mark + head + (fields or "    pass\n") + self.body(members)
        made = f"class {part.made}:\n    pass\n" + self.body(members) + "\n"
        result, lead, end = {
            "function": (part.made, "def", f"return {part.made}()"),
            "generator": (f"Iterator[{part.made}]", "def", f"yield {part.made}()"),
            "async": (part.made, "async def", f"return {part.made}()"),
            "async-generator": (f"AsyncIterator[{part.made}]", "async def", f"yield {part.made}()"),
        }[part.kind]
        if self.chance(20):
            result = "NoSuchResult"
        arrow = "" if self.chance(20) else f" -> {result}"
        return f"{made}{mark}{lead} {part.name}({', '.join(needs)}){arrow}:\n    {end}\n"

    def base(self, part: Part, *kinds: str) -> str:
        """A class to inherit from, one that stands earlier, where there is one."""
        before = self.parts[: self.parts.index(part)]
        bases = [
            other
            for other in before
            if other.kind in (kinds or ("class", "dataclass", "heir"))
            and other.module <= part.module
            and not (kinds and other.defaulted)
        ]
        if not bases:
            return ""
        base = self.draw(st.sampled_from(bases))
        return f"({self.spelled_now(base, part.module)})"

    @staticmethod
    def body(members: list[str]) -> str:
        return "".join(f"    {member}\n" for member in members)

    def mark(self, part: Part, provided: list[Part]) -> str:
        """The decorator; without one a scan does not find it."""
        options = []
        if provided:
            names = [self.spelled_now(protocol, part.module) for protocol in provided]
            names = [name for name in names if name]
            if len(names) == 1:
                options.append(f"provides={names[0]}")
            elif names:
                options.append(f"provides=({', '.join(names)})")
        if self.chance(5):
            options.append(f"phase={self.draw(st.sampled_from(PHASES))!r}")
        if self.chance(8):
            options.append(f"name={self.draw(st.sampled_from(('alpha', 'beta', 'pit')))!r}")
        if self.chance(8):
            options.append("required=False")
        if self.chance(12):
            options.append("main_thread=True")
        if not part.registered or (not options and not self.scanned):
            return ""
        return f"@component({', '.join(options)})\n" if options else "@component\n"

    def spelled_now(self, protocol: Part, here: int) -> str | None:
        """A Protocol as a decorator names it, which is looked up at import."""
        if protocol.module == here:
            return protocol.name
        if protocol.module > here:
            return None
        self.imports[here][f"from {self.dotted(protocol.module)} import {protocol.name}"] = None
        return protocol.name

    # -- files ---------------------------------------------------------------------------------------

    def finish(self) -> None:
        files = self.project.files
        package = self.project.package
        files[f"{package}/__init__.py"] = "".join(f"{line}\n" for line in self.exported)
        for index, name in enumerate(self.names):
            text = HEADER.format(own="".join(f", {name}" for name in OWN))
            text += "".join(f"{line}\n" for line in self.imports[index])
            if self.checked[index]:
                text += "if TYPE_CHECKING:\n"
                text += "".join(f"    {line}\n" for line in self.checked[index])
            path = name.replace(".", "/")
            files[f"{package}/{path}.py"] = text + "\n\n" + "\n\n".join(self.bodies[index])
            if "/" in path:
                files[f"{package}/{path.rpartition('/')[0]}/__init__.py"] = ""
        self.write_main()

    def overrides(self, lines: list[str]) -> str:
        """One replacement: an instance, a class or a factory."""
        key = self.draw(st.sampled_from([*self.protocols, *self.parts]))
        lines.append(f"from {self.dotted(key.module)} import {key.made} as Overridden")
        other = self.draw(st.sampled_from(self.parts))
        lines.append(f"from {self.dotted(other.module)} import {other.made} as Other")
        lines.append("class Stand:\n    def __init__(self, other: Other = None): ...")
        lines.append("def stand(other: Other) -> Stand: return Stand()")
        return "Overridden: " + self.draw(st.sampled_from(("Stand()", "Stand", "stand", "Other")))

    def write_main(self) -> None:
        package, lines = self.project.package, ["import symphony", "from symphony import boot"]
        if self.scanned:
            form = self.draw(st.sampled_from(("text", "module", "modules")))
            if form == "text":
                entries = [f'"{package}"']
            elif form == "module":
                lines.append(f"import {package} as everything")
                entries = ["everything"]
            else:
                entries = [f'"{self.dotted(index)}"' for index in range(self.modules)]
        else:
            entries = []
            for part in self.parts:
                if not part.registered:
                    continue
                form = self.draw(st.sampled_from(("from", "as", "module", "text")))
                if form == "text":
                    entries.append(f'"{self.dotted(part.module)}:{part.name}"')
                elif form == "module":
                    lines.append(f"import {self.dotted(part.module)}")
                    entries.append(f"{self.dotted(part.module)}.{part.name}")
                elif form == "as":
                    lines.append(
                        f"from {self.dotted(part.module)} import {part.name} as It{part.name}"
                    )
                    entries.append(f"It{part.name}")
                else:
                    lines.append(f"from {self.dotted(part.module)} import {part.name}")
                    entries.append(part.name)
            if entries and self.chance(12):
                entries.append(entries[0])
        given = [f"components=[{', '.join(entries)}]"]
        conductor = self.draw(st.sampled_from(("none", "none", "function", "text", "class")))
        # The Conductor's own needs name what `main` can import for real.
        needs = []
        for index in range(self.draw(st.integers(0, 2)) if conductor != "none" else 0):
            part = self.draw(st.sampled_from(self.parts))
            lines.append(f"from {self.dotted(part.module)} import {part.made} as Needed{index}")
            needs.append(f"n{index}: Needed{index}")
        if conductor in ("function", "text"):
            lines.append(f"def make_conductor({', '.join(needs)}):\n    return object()")
            path = f'"{self.project.main}:make_conductor"'
            given.append(f"conductor={'make_conductor' if conductor == 'function' else path}")
        elif conductor == "class":
            lines.append("class Mine:\n    def __init__(" + ", ".join(["self", *needs]) + "): ...")
            given.append("conductor=Mine")
        if self.chance(4):
            given.append(f"overrides={{{self.overrides(lines)}}}")
        called = self.draw(st.sampled_from(("boot", "symphony.boot")))
        lines.append(f"def run():\n    return {called}({', '.join(given)}, timeout=20)")
        self.project.files[f"{self.project.main}.py"] = "\n".join(lines) + "\n"
