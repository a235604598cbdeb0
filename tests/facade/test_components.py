"""From what users register to specs: annotations, kinds, options, scans, overrides."""

# The annotations themselves are what is tested, so they stay as they are.
# ruff: noqa: UP037, UP045

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Optional, Protocol

import pytest
from symphony._components.collect import collect, describe_conductor, factory
from symphony._components.handles import Handle, Late
from symphony._components.mark import Named, component
from symphony._components.places import locate
from symphony.exceptions import BootError, InvalidValueError

if TYPE_CHECKING:
    from decimal import Decimal as Money


class Store(Protocol):
    def get(self, key: str) -> str: ...


class FileStore:
    def get(self, key: str) -> str:
        return key


class Index:
    async def start(self) -> None: ...
    def health(self) -> bool:
        return True


class Planner:
    def __init__(
        self,
        index: Index,
        plain: FileStore,
        quoted: "FileStore",
        optional: Optional[FileStore],
        bar: FileStore | None,
        late: Late[Index],
        handle: Handle[Index],
        late_quoted: "Late['Index']",
        every: Sequence[FileStore],
        named: Annotated[FileStore, "a text", Named("main")],
        hidden: Money,
        limit: int = 3,
        free=None,
        *,
        only: Index,
        cache: Optional[FileStore] = None,
    ) -> None: ...


def spec_of(target, **options):
    collected = collect([target], **options)
    assert collected.diagnostics == []
    return collected.specs[0]


def test_every_form_of_annotation():
    from decimal import Decimal

    needs = {need.parameter: need for need in spec_of(Planner).needs}
    seen = {
        name: (need.key, need.kind, need.handle, need.named, need.default)
        for name, need in needs.items()
    }
    assert seen == {
        "index": (Index, "one", False, None, False),
        "plain": (FileStore, "one", False, None, False),
        "quoted": (FileStore, "one", False, None, False),
        "optional": (FileStore, "optional", False, None, False),
        "bar": (FileStore, "optional", False, None, False),
        "late": (Index, "late", True, None, False),
        "handle": (Index, "one", True, None, False),
        "late_quoted": (Index, "late", True, None, False),
        "every": (FileStore, "every", False, None, False),
        "named": (FileStore, "one", False, "main", False),
        "hidden": (Decimal, "one", False, None, False),
        "only": (Index, "one", False, None, False),
        "cache": (FileStore, "optional", False, None, True),
    }


def test_a_class_provides_itself_and_its_steps_say_whether_they_are_async():
    spec = spec_of(Index)
    assert (spec.name, spec.kind, spec.provides) == ("Index", "class", [Index])
    assert (spec.start, spec.health, spec.stop, spec.thread) == ("async", "sync", "", "own")
    assert spec_of(FileStore).thread == "shared"


def make(store: FileStore) -> Index: ...
def make_generator(store: FileStore) -> Iterator[Index]:
    yield Index()


async def make_async(store: FileStore) -> Index: ...
async def make_async_generator(store: FileStore) -> "AsyncIterator[Index]":
    yield Index()


@pytest.mark.parametrize(
    ("target", "kind", "start"),
    [
        (make, "function", "async"),
        (make_generator, "generator", ""),
        (make_async, "async-function", "async"),
        (make_async_generator, "async-generator", ""),
    ],
)
def test_a_factory_provides_its_result_whatever_its_kind(target, kind, start):
    spec = spec_of(target)
    assert (spec.kind, spec.provides, spec.start, spec.thread) == (kind, [Index], start, "own")
    assert [need.key for need in spec.needs] == [FileStore]


def test_a_data_class_is_read_by_its_fields_and_their_places():
    @dataclasses.dataclass
    class Settings:
        index: Index
        limit: int = 3

    spec = spec_of(Settings)
    assert [(need.parameter, need.key) for need in spec.needs] == [("index", Index)]
    locate([spec])
    with open(__file__, encoding="utf-8") as source:
        line = source.readlines()[spec.needs[0].line - 1]
    assert line.strip() == "index: Index"
    assert line[spec.needs[0].column - 1 :].startswith("index")


def test_bound_methods_partials_and_callable_objects():
    class Maker:
        @classmethod
        def from_components(cls, index: Index) -> Maker: ...

        def __call__(self, index: Index) -> FileStore: ...

    assert spec_of(Maker.from_components).provides == [Maker]
    assert [need.parameter for need in spec_of(Maker()).needs] == ["index"]
    partial = functools.partial(make, store=FileStore())
    assert spec_of(partial).needs == []


def test_classes_of_one_function_body_find_each_other_by_name():
    class Near: ...

    class User:
        def __init__(self, near: Near) -> None: ...

    collected = collect([User, Near])
    assert collected.diagnostics == []
    assert collected.specs[0].needs[0].key is Near
    assert collect([User], namespace=locals()).specs[0].needs[0].key is Near


def test_what_cannot_be_resolved_is_told_with_its_place():
    def bad(first, second: Nowhere) -> Index: ...  # noqa: F821

    faults = collect([bad]).diagnostics
    assert [fault.code for fault in faults] == ["unresolved-annotation"] * 2
    assert "parameter `first` of `bad` has no annotation" in faults[0].message
    assert "`bad` needs `Nowhere`" in faults[1].message
    assert faults[1].file == __file__
    line = bad.__code__.co_firstlineno
    assert [(fault.line, fault.column) for fault in faults] == [(line, 13), (line, 20)]


def test_a_factory_has_to_say_what_it_makes_but_the_conductors_need_not():
    def silent(index: Index): ...

    assert collect([silent]).diagnostics[0].code == "unresolved-annotation"
    spec, faults = describe_conductor(silent)
    assert (faults, spec.provides, [need.key for need in spec.needs]) == ([], [], [Index])


def test_the_default_conductor_is_described_without_ast():
    code = """
        import sys
        from symphony._components.collect import describe_conductor
        from symphony.conductor import Conductor
        class Mine(Conductor): pass
        spec, faults = describe_conductor(Mine)
        from symphony import Named, OrchestraKit
        assert not faults and spec.needs[0].key is OrchestraKit, faults
        heavy = {"ast", "typing", "inspect", "dataclasses", "asyncio", "logging"} & set(sys.modules)
        assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_options_say_more_than_the_annotations():
    @component(phase="pit", provides=(Store,), timeout=2.0, name="files", required=False)
    class Files(FileStore):
        pass

    class Heir(Files):
        pass

    spec = spec_of(Files)
    assert (spec.name, spec.phase, spec.timeout, spec.required) == ("files", "pit", 2.0, False)
    assert spec.provides == [Files, Store]
    assert spec_of(Heir).name == "Heir"
    with pytest.raises(InvalidValueError, match="there is no phase `pitt`"):
        component(phase="pitt")(Index)
    with pytest.raises(InvalidValueError, match="positive"):
        component(timeout=0)(Index)


def test_an_async_step_cannot_run_on_the_calling_thread():
    @component(main_thread=True)
    class Mixed:
        async def start(self) -> None: ...

    assert [fault.code for fault in collect([Mixed]).diagnostics] == ["wrong-thread"]


def test_two_of_one_name_get_their_module_and_one_class_twice_stays_a_duplicate():
    other = type("Index", (), {"__module__": "elsewhere"})
    names = [spec.name for spec in collect([Index, other]).specs]
    assert names == [f"{__name__}.Index", "elsewhere.Index"]
    assert [spec.name for spec in collect([Index, Index]).specs] == ["Index", "Index"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    write(
        "shop_parts/__init__.py",
        """
        from symphony._components.mark import component
        @component
        class Front: ...
        Alias = Front
        class Unmarked: ...
        """,
    )
    write(
        "shop_parts/back.py",
        """
        from shop_parts import Front
        from symphony._components.mark import component
        @component(name="store-room")
        def room(front: Front) -> int: ...
        """,
    )
    write("shop_parts/deep/__init__.py", "")
    write(
        "shop_parts/deep/cellar.py",
        "from symphony._components.mark import component\n@component\nclass Cellar: ...",
    )
    write("shop_parts/__main__.py", "raise SystemExit('this is a program')")
    write("broken_part.py", "raise RuntimeError('no')")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.startswith("shop_parts")]:
        del sys.modules[name]


def test_a_package_contributes_what_it_marks_and_defines_itself(package):
    specs = collect(["shop_parts"]).specs
    assert [spec.name for spec in specs] == ["Front", "store-room", "Cellar"]
    assert [spec.name for spec in collect(["shop_parts:Unmarked"]).specs] == ["Unmarked"]


def test_a_module_that_cannot_be_imported_is_a_boot_error(package):
    with pytest.raises(BootError, match="there is no module `shop_partz`"):
        collect(["shop_partz"])
    with pytest.raises(BootError, match="`broken_part` failed to import") as caught:
        collect(["broken_part"])
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(BootError, match="has no attribute `Frond`") as caught:
        collect(["shop_parts:Frond"])
    assert caught.value.hints == ("did you mean `Front`?",)


def test_a_plain_value_among_the_components_is_a_type_error():
    with pytest.raises(TypeError, match="not `int`"):
        collect([3])


def test_an_override_stands_in_under_every_key_and_takes_the_faults_with_it():
    @component(provides=Store)
    class Broken:
        def __init__(self, unknown: Nowhere) -> None: ...  # noqa: F821

    fake = FileStore()
    collected = collect([Index, Broken], {Store: fake})
    assert collected.diagnostics == []
    _, override = collected.specs
    assert (override.kind, override.target, override.name) == ("instance", fake, "Broken")
    assert set(override.provides) == {Store, Broken}
    assert collected.replaced == []


def test_an_override_is_a_factory_only_when_it_is_a_class_or_plain_function_or_says_so():
    def fake(index: Index): ...

    class Callable_:  # noqa: N801
        def __call__(self, index: Index): ...

    by_function = collect([], {Store: fake}).specs[0]
    assert (by_function.kind, [need.key for need in by_function.needs]) == ("function", [Index])
    assert collect([], {Store: FileStore}).specs[0].kind == "class"
    assert collect([], {Store: Callable_()}).specs[0].kind == "instance"
    said = collect([], {Store: factory(Callable_())}).specs[0]
    assert (said.kind, [need.key for need in said.needs]) == ("function", [Index])
    assert collect([], {Store: functools.partial(fake)}).specs[0].kind == "instance"


def test_a_missing_dependency_names_the_class_that_would_fit():
    class NeedsStore:
        def __init__(self, store: Store) -> None: ...

    class NeedsIndex:
        def __init__(self, index: Index) -> None: ...

    specs = collect([FileStore, NeedsStore, NeedsIndex]).specs
    locate(specs)
    assert (specs[1].needs[0].fits, specs[1].needs[0].is_class) == ("FileStore", False)
    assert (specs[2].needs[0].fits, specs[2].needs[0].is_class) == (None, True)
