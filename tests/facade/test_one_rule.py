"""One rule, one home: the same missing dependency, told by `boot()`, `check`, a swap and an override alike."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import symphony
from symphony import boot
from symphony._cli._check import find_faults
from symphony._core import Boot

SOURCE = """
from symphony import component

class Gone:
    pass

@component
class Needs:
    def __init__(self, gone: Gone) -> None:
        self.gone = gone

class Old:
    pass
"""
TEXT = "`Needs` needs `Gone`, and nobody provides it"
HINT = "add `Gone` to `components`"


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "one_rule_parts.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import one_rule_parts

    yield one_rule_parts
    del sys.modules["one_rule_parts"]


def told(fault):
    return fault.code, fault.message, fault.file, fault.line, fault.column, fault.path


def fault_of(call):
    with pytest.raises(symphony.MissingDependencyError) as caught:
        call()
    (fault,) = caught.value.diagnostics
    return fault


def test_a_missing_dependency_is_one_fault_whoever_tells_it(module, tmp_path):
    (checked,) = find_faults([str(tmp_path)])
    assert (checked.message, checked.hint) == (TEXT, HINT)
    booted = fault_of(lambda: boot(components=[module.Needs]))
    assert booted.to_dict() == checked.to_dict()
    by_name = fault_of(lambda: boot("one_rule_parts:Needs"))
    assert by_name.to_dict() == checked.to_dict()
    with boot(components=[module.Old]) as system:
        swapped = fault_of(lambda: system.swap(module.Old, module.Needs))
        overridden = fault_of(lambda: system.override(module.Old, module.Needs).__enter__())
        assert told(swapped) == told(overridden) == told(checked)
        # Here alone it is too late to register what is missing.
        assert swapped.hint == overridden.hint
        assert swapped.hint == "only what was there at boot can be injected; add it to `components`"


def test_a_circle_is_one_fault_whoever_tells_it(tmp_path, monkeypatch):
    (tmp_path / "one_ring_parts.py").write_text(
        textwrap.dedent(
            """
            from __future__ import annotations
            from symphony import component

            @component
            class Store:
                def __init__(self, user: User) -> None: ...

            @component
            class User:
                def __init__(self, store: Store) -> None: ...

            class Plain:
                pass
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import one_ring_parts as parts

    (checked,) = find_faults([str(tmp_path)])
    with pytest.raises(symphony.CycleError) as booted:
        boot(components=[parts])
    assert booted.value.diagnostics[0].to_dict() == checked.to_dict()
    overrides = {parts.Store: parts.Plain()}
    with boot(components=[parts], overrides=overrides) as system:
        with pytest.raises(symphony.CycleError) as swapped:
            system.swap(parts.Store, parts.Store)
        (fault,) = swapped.value.diagnostics
        assert (fault.message, fault.related) == (checked.message, checked.related)
    del sys.modules["one_ring_parts"]


def test_a_word_that_is_none_of_its_set_is_no_default(module):
    from symphony._components.collect import collect

    for field, word in (("phase", "pitt"), ("kind", "once")):
        (spec,) = collect([module.Needs]).specs
        setattr(spec if field == "phase" else spec.needs[0], field, word)
        core = Boot(
            path=None,
            state=None,
            workspace=None,
            python=None,
            members=None,
            supervisor=[],
            foreign_python=[],
            timeout=None,
            abort_on_hang=False,
            stepwise=False,
        )
        with pytest.raises(symphony.InvalidValueError, match=f"there is no .*`{word}`"):
            core.add(object(), spec, False)
        core.cancel()


def test_a_phase_that_does_not_exist_is_told_alike(tmp_path):
    text = "from symphony import component\n\n@component(phase='pitt')\nclass A: ...\n"
    (tmp_path / "odd.py").write_text(text)
    (checked,) = find_faults([str(tmp_path)])
    with pytest.raises(symphony.InvalidValueError) as raised:
        symphony.component(phase="pitt")
    assert (checked.code, checked.message) == (raised.value.code, raised.value.message)
    assert checked.hint == raised.value.hints[0]


def test_what_only_marks_its_classes_loads_no_core():
    code = (
        "import sys\nfrom symphony import component\n@component\nclass A: ...\n"
        "print('symphony._core' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
