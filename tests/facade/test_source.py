"""Static reading: operations, factories, component graphs; it agrees with what the boot reads."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from symphony._components.collect import collect
from symphony._components.places import locate
from symphony._static.graphs import read_graphs
from symphony._static.operations import factory_spec, read_operations


@pytest.fixture
def write(tmp_path):
    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(file)

    return write


def test_operations_under_any_alias_with_names_inputs_and_streams(write):
    file = write(
        "outline.py",
        '''
        import symphony.extension as guest

        tool = guest.Extension("outline")

        @tool.operation
        def outline(source: str, depth=3, *, width, strict=False):
            """Lists definitions.

            More."""
            def inner(): yield 1

        @tool.operation(name="watch")
        async def _watch():
            yield 1

        def helper(): ...
        ''',
    )
    assert read_operations(file, "tool") == [
        {
            "name": "outline",
            "inputs": [
                {"name": "source", "required": True},
                {"name": "width", "required": True},
                {"name": "depth", "required": False},
                {"name": "strict", "required": False},
            ],
            "stream": False,
            "doc": "Lists definitions.",
        },
        {"name": "watch", "inputs": [], "stream": True, "doc": ""},
    ]


def test_operations_that_only_running_would_tell_are_not_guessed(write):
    assert read_operations(write("a.py", "extension = make()\n"), "extension") is None
    text = """
    from symphony.extension import Extension
    extension = Extension("a")
    for f in table: extension.operation(f)
    """
    assert read_operations(write("b.py", text), "extension") is None
    with pytest.raises(SyntaxError):
        read_operations(write("c.py", "def ("), "extension")


def test_static_and_running_read_the_same_operations(write, monkeypatch, tmp_path):
    file = write(
        "same_extension.py",
        '''
        from symphony.extension import Extension as Guest
        extension = Guest("same")
        @extension.operation
        def one(a, b=1, *, c, d=2):
            """One."""
        @extension.operation
        def two():
            yield
        ''',
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import same_extension

    running = [
        description.as_message() for description in same_extension.extension.descriptions.values()
    ]
    assert read_operations(file, "extension") == running


PROJECT = {
    "store_parts/__init__.py": "",
    "store_parts/planner.py": """
        from __future__ import annotations
        import dataclasses
        from typing import TYPE_CHECKING, Annotated, Optional, Protocol, Sequence
        from symphony import Handle, Late, component
        if TYPE_CHECKING:
            from .index import Index
        class Store(Protocol):
            def get(self) -> str: ...
        @component(provides=Store, name="files")
        class FileStore:
            def get(self) -> str: ...
        @component
        class Planner:
            def __init__(self, index: Late[Index], store: Optional[Store], every: Sequence[Store],
                         main: Annotated[Store, "files"],
                         n: int = 3, *, h: Handle[FileStore]) -> None: ...
        @component
        @dataclasses.dataclass
        class Data:
            planner: Planner
            size: int = 1
        """,
    "store_parts/index.py": """
        from symphony import component
        import store_parts.planner as planning
        from store_parts.planner import Store as Shop
        @component(phase="conductor", timeout=2, required=False)
        class Index:
            def __init__(self, planner: "planning.Planner", shop: "Shop | None"): ...
        class Heir(Index): ...
        @component
        def make(heir: "Heir") -> "planning.Data": ...
        """,
}


def summary(specs):
    return sorted(
        (
            spec.name,
            spec.kind,
            spec.phase,
            spec.timeout,
            spec.required,
            [_name(key) for key in spec.provides],
            [
                (
                    n.parameter,
                    _name(n.key),
                    n.kind,
                    n.handle,
                    n.named,
                    n.file,
                    n.line,
                    n.column,
                )
                for n in spec.needs
            ],
            (spec.file, spec.line, spec.column),
        )
        for spec in specs
    )


def _name(key):
    return key if isinstance(key, str) else f"{key.__module__}.{key.__qualname__}"


def test_the_text_alone_gives_the_specs_that_the_boot_reads(write, monkeypatch, tmp_path):
    for path, text in PROJECT.items():
        write(path, text)
    monkeypatch.syspath_prepend(str(tmp_path))
    graphs, diagnostics = read_graphs([str(tmp_path)])
    assert diagnostics == []
    (graph,) = graphs
    try:
        running = collect(["store_parts"])
        locate(running.specs)
    finally:
        for name in [name for name in sys.modules if name.startswith("store_parts")]:
            del sys.modules[name]
    assert running.diagnostics == []
    assert summary(graph.specs) == summary(running.specs)


def test_calls_of_boot_make_one_graph_each(write, tmp_path):
    for path, text in PROJECT.items():
        write(path, text)
    write(
        "main.py",
        """
        import symphony
        from symphony import boot
        from store_parts import planner
        from store_parts.index import Index, Heir
        def make_conductor(index: Index): ...
        PARTS = [Index, Index]
        TORCH = "symphony.conductor:TorchPolicy"
        boot(TORCH, components=[planner, Heir])
        boot(components=[planner, Heir], conductor=make_conductor)
        symphony.boot(make_conductor, components=PARTS)
        boot(components=["store_parts"], overrides={planner.Planner: object()})
        boot(components=sorted(PARTS), conductor="elsewhere:make")
        """,
    )
    graphs, diagnostics = read_graphs([str(tmp_path)])
    assert [[spec.name for spec in graph.specs] for graph in graphs] == [
        ["files", "Planner", "Data", "Heir", "TorchPolicy"],
        ["files", "Planner", "Data", "Heir", "make_conductor"],
        ["Index", "Index", "make_conductor"],
        ["Index", "make", "files", "Planner", "Data", "Conductor"],
        [],
    ]
    assert {fault.severity for fault in diagnostics} == {"note"}
    texts = [fault.message for fault in diagnostics]
    assert any("`components=` of this call is not a literal" in text for text in texts)
    assert any("the Conductor `'elsewhere:make'` is not in this folder" in text for text in texts)


def test_a_file_that_is_no_python_is_a_fault_with_its_place(write, tmp_path):
    file = write("bad.py", "from symphony import boot\ndef (:\n")
    graphs, (fault,) = read_graphs([str(tmp_path)])
    assert (graphs, fault.code, fault.severity) == ([], "source-invalid", "error")
    assert (fault.file, fault.line) == (file, 2)


def test_an_annotation_that_nothing_resolves_is_told_in_the_words_of_the_boot(
    write, monkeypatch, tmp_path
):
    write(
        "lost_part.py",
        """
        from __future__ import annotations
        from typing import Union
        from symphony import Late, component
        @component
        class Lost:
            def __init__(self, ä, where: Nowhere, both: int | str, late: Late[Gone],
                         three: "Union[int, str, None]") -> None: ...
        """,
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    _, static = read_graphs([str(tmp_path)])
    running = collect(["lost_part"]).diagnostics
    assert [fault.to_dict() for fault in static] == [fault.to_dict() for fault in running]
    named = [fault.message.split("`")[3] for fault in static[1:]]
    assert named == ["Nowhere", "int | str", "Gone", "int | str | None"]


def test_a_factory_named_by_a_string_has_the_edges_of_its_text(write, monkeypatch, tmp_path):
    write(
        "late_factory.py",
        """
        raise RuntimeError("imported too early")
        from symphony import OrchestraKit
        from decimal import Decimal
        class Planner: ...
        def make(kit: OrchestraKit, amount: Decimal, planner: Planner): ...
        """,
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import decimal

    import symphony

    spec, faults = factory_spec("late_factory:make")
    assert faults == []
    assert [need.key for need in spec.needs] == [
        symphony.OrchestraKit,
        decimal.Decimal,
        "late_factory.Planner",
    ]
    assert factory_spec("no_such_module:make")[0].needs == []


def test_our_own_policy_named_by_a_string_is_read_without_importing_torch():
    import symphony

    code = "import sys; from symphony._static.operations import factory_spec as f; "
    code += "print([n.parameter for n in f('symphony.conductor:TorchPolicy')[0].needs], "
    code += "'torch' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "['kit'] False\n"
    assert factory_spec("symphony.conductor:TorchPolicy")[0].needs[0].key is symphony.OrchestraKit


def test_faults_of_factories_and_options_are_told_in_the_words_of_the_boot(
    write, monkeypatch, tmp_path
):
    write(
        "wrong_parts.py",
        """
        from __future__ import annotations
        from typing import Iterator
        from symphony import component
        @component
        def silent(): ...
        @component(provides=int)
        def said(): ...
        @component
        def lost() -> Nowhere: ...
        @component
        def no_iterator() -> int:
            yield 1
        @component
        def fine() -> Iterator[int]:
            yield 1
        @component(main_thread=True)
        class Mixed:
            async def start(self) -> None: ...
        @component(main_thread=True)
        async def made() -> Mixed: ...
        """,
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    graphs, static = read_graphs([str(tmp_path)])
    running = collect(["wrong_parts"])
    assert [fault.to_dict() for fault in static] == [
        fault.to_dict() for fault in running.diagnostics
    ]
    assert [fault.path[0] for fault in static] == ["silent", "lost", "no_iterator", "Mixed", "made"]
    locate(running.specs)
    assert summary(graphs[0].specs) == summary(running.specs)


def test_a_phase_that_is_not_there_is_told_without_importing(write, tmp_path):
    write("phases.py", "from symphony import component\n@component(phase='pitt')\nclass A: ...\n")
    _, (fault,) = read_graphs([str(tmp_path)])
    assert (fault.code, fault.line, fault.column) == ("invalid-value", 2, 18)
    assert fault.message == "there is no phase `pitt`"
