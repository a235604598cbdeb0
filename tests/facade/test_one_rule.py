"""One rule, one home: the same fault, told by `boot()`, `check`, a swap, an override and a Melody alike."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import symphony
from symphony import boot
from symphony._cli._check import find_faults
from symphony._core import NeedSpec

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
MELODY = """
[melody]
name = "ring"
[[node]]
id = "Store"
call = "artifact-store.put"
with = { data = "${User}" }
[[node]]
id = "User"
call = "artifact-store.put"
with = { data = "${Store}" }
"""
EXTENSION = """
[extension]
name = "reader"
version = "1.0.0"
command = ["true"]
operations = ["read"]
requires = ["ghost"]
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


def test_a_missing_dependency_has_one_text_of_components_extensions_and_nodes(module, tmp_path):
    """One sentence with other names in it: its text is one edit, `missing_text` of the crate `component`."""

    def sentence(consumer, wanted):
        return TEXT.replace("Needs", consumer).replace("Gone", wanted)

    booted = fault_of(lambda: boot(components=[module.Needs]))
    assert booted.message == sentence("Needs", "Gone")
    with pytest.raises(symphony.MelodyError) as played:
        symphony.Melody.from_text(MELODY.replace("${User}", "${Gone}").replace("ring", "gap"))
    (fault,) = played.value.diagnostics
    assert fault.message == sentence("Store", "Gone")
    (tmp_path / "Symphony.toml").write_text('[system]\nname = "gap"\nextensions = ["reader"]\n')
    (tmp_path / "reader").mkdir()
    (tmp_path / "reader" / "Symphony.toml").write_text(EXTENSION)
    required = fault_of(lambda: boot(config=tmp_path / "Symphony.toml"))
    assert required.message == sentence("reader", "ghost")


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
    with pytest.raises(symphony.MelodyError) as played:
        symphony.Melody.from_text(MELODY)
    (fault,) = played.value.diagnostics
    # Nodes where there were components: all else is the same.
    assert fault.message == checked.message
    assert fault.path == checked.path
    assert [text for *_, text in fault.related] == [
        text.replace("needs", "uses") for *_, text in checked.related
    ]
    del sys.modules["one_ring_parts"]


def test_a_ring_of_extensions_is_told_as_one_of_components(tmp_path):
    (tmp_path / "Symphony.toml").write_text('[system]\nname = "x"\nextensions = ["*"]\n')
    for name, other in (("store", "user"), ("user", "store")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Symphony.toml").write_text(
            f'[extension]\nname = "{name}"\nversion = "1"\nkind = "operator"\n'
            f'command = ["true"]\nrequires = ["{other}"]\n'
        )
    rings = [fault for fault in find_faults([str(tmp_path)]) if fault.code == "dependency-cycle"]
    assert rings[0].message == "dependency cycle: `store` -> `user` -> `store`"


def test_a_word_that_is_none_of_its_set_is_no_default(module):
    from symphony._components.collect import collect

    (spec,) = collect([module.Needs]).specs
    for field, word in (("phase", "pitt"), ("kind", "clas"), ("start", "now")):
        with pytest.raises(symphony.InvalidValueError, match=f"there is no .*`{word}`"):
            setattr(spec, field, word)
    with pytest.raises(symphony.InvalidValueError, match="there is no kind of need `once`"):
        NeedSpec("gone", module.Gone, "once", False, None, None, 0)
    with pytest.raises(symphony.InvalidValueError, match="there is no severity `bad`"):
        symphony.Diagnostic("missing-dependency", "no", severity="bad")
    with pytest.raises(symphony.InvalidValueError, match="there is no code `mising`"):
        symphony.Diagnostic("mising", "no")


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


def test_what_component_says_is_refused_in_the_same_words(tmp_path):
    for said, text in (
        ("timeout=0", "`timeout` takes a positive number of seconds, not 0"),
        ("timeout=-1.5", "`timeout` takes a positive number of seconds, not -1.5"),
        ("phase='pitt'", "there is no phase `pitt`"),
    ):
        source = f"from symphony import component\n@component({said})\nclass A: ...\n"
        (tmp_path / "said.py").write_text(source)
        (checked,) = find_faults([str(tmp_path)])
        with pytest.raises(symphony.InvalidValueError) as raised:
            exec(source, {"__name__": "said"})
        assert (checked.code, checked.message) == (raised.value.code, text)
        assert (raised.value.message, raised.value.hints) == (text, (checked.hint,))
