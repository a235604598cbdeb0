"""`boot(conductor="module:callable")`, and `prepare=`."""

from __future__ import annotations

import json
import sys
import threading

import pytest
import symphony
from symphony import BootError, PlanError, boot
from symphony.exceptions import InvalidValueError

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module and gives its name; forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(text: str) -> str:
        name = f"made_{tmp_path.name}_{len(names)}".replace("-", "_")
        names.append(name)
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_it_is_imported_on_the_calling_thread_while_the_phases_run(module):
    name = module(
        "import threading, time\nTHREAD = threading.get_ident()\ntime.sleep(0.3)\n"
        "from symphony import OrchestraKit\n"
        "def make(kit: OrchestraKit): return [threading.get_ident(), kit]\n"
    )
    order = []
    with boot(f"{name}:make", prepare=lambda: order.append(name in sys.modules)) as system:
        assert order == [False]
        assert threading.get_ident() == sys.modules[name].THREAD
        assert system.conductor == [threading.get_ident(), system.kit]
        document = json.loads(system.report.to_json())
        assert document["infrastructure_seconds"] < 0.3 < document["ready_seconds"]
        (made,) = (entry for entry in document["components"] if entry["name"] == "make")
        assert "orchestra-kit" in made["requires"]


class Index:
    pass


def test_edges_are_read_from_source(module):
    name = module(f"from {__name__} import Index\ndef make(index: Index): return index\n")
    with boot(f"{name}:make", components=[Index]) as system:
        assert system.conductor is system[Index]
    with pytest.raises(symphony.MissingDependencyError) as caught:
        boot(f"{name}:make")
    (fault,) = caught.value.diagnostics
    assert (fault.line, fault.column) == (2, 10)


def test_a_fault_seen_only_after_the_import_is_a_plan_error_after_rollback(module):
    stopped = []

    class Base:
        def stop(self) -> None:
            stopped.append(1)

    name = module(
        f"from {__name__} import Index\n"
        "def write():\n    def make(index: Index): return index\n    return make\n"
        "globals()['make'] = write()\n"
    )
    with pytest.raises(PlanError, match="`make` needs `Index`") as caught:
        boot(f"{name}:make", components=[Base])
    assert caught.value.report is not None
    assert not json.loads(caught.value.report.to_json())["ok"]
    assert caught.value.diagnostics[0].line == 3


def test_edges_that_no_source_tells_still_come_before_the_factory(module):
    class Slow:
        def start(self) -> None:
            threading.Event().wait(0.2)
            self.ready = True

    sys.modules[__name__].Slow = Slow
    name = module(
        f"from {__name__} import Slow\n"
        "def write():\n    def make(slow: Slow): return slow.ready\n    return make\n"
        "globals()['make'] = write()\n"
    )
    with boot(f"{name}:make", components=[Slow]) as system:
        assert system.conductor is True
    del sys.modules[__name__].Slow


@pytest.mark.parametrize(
    ("text", "attribute", "told"),
    [
        ("1 / 0", "make", "failed to import"),
        ("def mace(): ...", "make", "has no attribute `make`"),
    ],
)
def test_an_import_that_fails(module, text, attribute, told):
    name = module(text)
    with pytest.raises(BootError, match=told) as caught:
        boot(f"{name}:{attribute}")
    if "/" in text:
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_there_is_no_such_module():
    with pytest.raises(BootError, match="there is no module `nowhere`"):
        boot("nowhere:make")


@pytest.mark.parametrize("text", ["app.conductor", "app.conductor:", ":make", ""])
def test_a_string_that_names_no_callable_is_refused_before_anything_starts(text):
    with pytest.raises(InvalidValueError, match=r"as `package\.module:callable`"):
        boot(text)


def test_a_preparation_that_fails():
    with pytest.raises(BootError, match="`prepare` failed") as caught:
        boot(prepare=lambda: 1 / 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert json.loads(caught.value.report.to_json())["error"]["component"] == "prepare"
