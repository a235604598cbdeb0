"""Every bad input, through `boot()` and `symphony run`: named, placed, and nothing is left."""

from __future__ import annotations

import importlib
import re

import pytest
import symphony
from symphony import boot

ECHO = """
@extension.operation
def echo(value):
    return value
"""
EAGER = 'activation = "eager"\n'


class Case:
    """A way to break a system, and what is said of it."""

    def __init__(self, build, code, error, *fragments, places=(), hint=None, check=True):
        self.build, self.code, self.error = build, code, error
        self.fragments, self.places, self.hint = fragments, places, hint
        self.check = check


def no_such_file(workshop):
    workshop.config.unlink()


def a_folder_for_a_file(workshop):
    workshop.config.unlink()
    workshop.config.mkdir()


def toml_syntax(workshop):
    workshop.config.write_text('[system]\nname = "x\n')


def not_utf8(workshop):
    workshop.config.write_bytes(b'[system]\nname = "\xff\xfe"\n')


def unknown_key(workshop):
    workshop.system("memmbers = []\n")


def unknown_key_of_an_extension(workshop):
    workshop.extension("echo", ECHO, 'activaton = "eager"\n')


def wrong_type(workshop):
    workshop.extension("echo", ECHO, "activation = 3\n")


def missing_entry_module(workshop):
    workshop.extension("echo", ECHO, EAGER, entry="nope:extension")


def missing_attribute(workshop):
    workshop.extension("echo", ECHO, EAGER, entry="echo:extensio")


def raises_on_import(workshop):
    workshop.extension("echo", "import nowhere_to_be_found\n" + ECHO, EAGER)


def exits_before_its_handshake(workshop):
    workshop.extension("echo", "import os\nos._exit(3)\n", EAGER)


def exits_politely(workshop):
    workshop.extension("echo", "raise SystemExit(4)\n", EAGER)


def aborts(workshop):
    workshop.extension("echo", "import os\nos.abort()\n", EAGER)


def never_answers(workshop):
    slow = EAGER + '[extension.limits]\nstart = "300ms"\n'
    workshop.extension("echo", "import time\ntime.sleep(60)\n", slow)


def two_of_one_name(workshop):
    workshop.extension("echo", ECHO)
    manifest = workshop.extension("other", ECHO) / "Symphony.toml"
    manifest.write_text(manifest.read_text().replace('"other"', '"echo"'))


def requirement_of_nobody(workshop):
    workshop.extension("echo", ECHO, 'requires = ["ghost"]\n')


def circle_of_three(workshop):
    for name, needed in (("a", "b"), ("b", "c"), ("c", "a")):
        workshop.extension(name, ECHO, f'requires = ["{needed}"]\n')


START = {"check": False}
CASES = {
    case.build.__name__: case
    for case in (
        Case(no_such_file, "manifest-invalid", "ManifestError", "does not exist", check=False),
        Case(a_folder_for_a_file, "manifest-invalid", "ManifestError", "is a folder, not a file"),
        Case(
            toml_syntax,
            "manifest-invalid",
            "ManifestError",
            "this is not TOML",
            places=["Symphony.toml:2"],
        ),
        Case(
            not_utf8,
            "manifest-invalid",
            "ManifestError",
            "is not UTF-8",
            places=["Symphony.toml:2"],
            hint="save the file as UTF-8",
        ),
        Case(
            unknown_key,
            "manifest-invalid",
            "ManifestError",
            "unknown key `memmbers` in `system`",
            places=["Symphony.toml:4"],
            hint="did you mean `members`?",
        ),
        Case(
            unknown_key_of_an_extension,
            "manifest-invalid",
            "ManifestError",
            "unknown key `activaton` in `extension`",
            places=["extensions/echo/Symphony.toml:5"],
            hint="did you mean `activation`?",
        ),
        Case(
            wrong_type,
            "manifest-invalid",
            "ManifestError",
            "`extension.activation` must be text, not a whole number",
            places=["extensions/echo/Symphony.toml:5"],
        ),
        Case(
            missing_entry_module,
            "manifest-invalid",
            "ManifestError",
            "the entry module `nope` does not exist",
            places=["extensions/echo/Symphony.toml:4"],
            hint="nope.py",
        ),
        Case(
            missing_attribute,
            "start-failed",
            "BootError",
            "`echo` failed to start in phase `orchestra_kit`",
            "module `echo` in",
            "has no `extensio`; did you mean `echo:extension`?",
            **START,
        ),
        Case(
            raises_on_import,
            "start-failed",
            "BootError",
            "`echo` failed to start in phase `orchestra_kit`",
            "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
            places=["extensions/echo/echo.py:3"],
            **START,
        ),
        Case(
            exits_before_its_handshake,
            "start-failed",
            "BootError",
            "`echo` failed to start in phase `orchestra_kit`",
            "exit code 3",
            **START,
        ),
        Case(
            exits_politely,
            "start-failed",
            "BootError",
            "`echo` failed to start in phase `orchestra_kit`",
            "exit code 4",
            **START,
        ),
        Case(
            aborts,
            "start-failed",
            "BootError",
            "`echo` failed to start in phase `orchestra_kit`",
            "signal 6 (SIGABRT)",
            **START,
        ),
        Case(
            never_answers,
            "start-timeout",
            "BootTimeoutError",
            "`echo` failed to start in phase `orchestra_kit`",
            "it did not say that it is ready within 300 ms",
            hint="raise `limits.start`",
            **START,
        ),
        Case(
            two_of_one_name,
            "duplicate-component",
            "DuplicateComponentError",
            "two extensions are called `echo`",
            places=["extensions/echo/Symphony.toml:2", "extensions/other/Symphony.toml:2"],
            hint="rename one of them",
        ),
        Case(
            requirement_of_nobody,
            "missing-dependency",
            "MissingDependencyError",
            "`echo` needs `ghost`, and nobody provides it",
            places=["extensions/echo/Symphony.toml:5"],
        ),
        Case(
            circle_of_three,
            "dependency-cycle",
            "CycleError",
            "dependency cycle: `a` -> `b` -> `c` -> `a`",
            places=[f"extensions/{name}/Symphony.toml:5" for name in "abc"],
            hint="take one of them out of `requires`",
        ),
    )
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def assert_said(text, case):
    for fragment in case.fragments:
        assert fragment in text, text
    for place in case.places:
        assert re.search(rf"(^|[ /]){re.escape(place)}\b", text, re.MULTILINE), text
    if case.hint is not None:
        assert re.search(rf"^hint: .*{re.escape(case.hint)}", text, re.MULTILINE), text


@every_case
def test_boot_raises_one_named_error_and_leaves_nothing(case, workshop, monkeypatch, nothing_left):
    case.build(workshop)
    monkeypatch.chdir(workshop.folder)
    with pytest.raises(getattr(symphony, case.error)) as caught:
        boot(config="Symphony.toml")
    error = caught.value
    assert type(error).__name__ == case.error
    assert error.code == case.code
    chain, cause = [str(error)], error.__cause__
    while cause is not None:
        chain.append(str(cause))
        cause = cause.__cause__
    said = "\n".join(chain)
    for fragment in case.fragments:
        assert fragment in said
    for place in case.places:
        assert place in said
    if case.hint is not None:
        assert any(case.hint in hint for hint in error.hints)
    if case.code == "start-failed":
        assert (error.phase, error.component) == ("orchestra_kit", "echo")
        assert error.report.ok is False
    assert error.rollback_errors == ()


@every_case
def test_run_says_it_on_stderr_in_the_house_form(case, workshop, cli, form):
    case.build(workshop)
    ended = cli("run", "Symphony.toml")
    assert ended.code == 1, ended
    assert ended.out == "", ended
    form(ended.err)
    assert_said(ended.err, case)


@every_case
def test_run_json_is_one_document_also_then(case, workshop, cli, error_document):
    case.build(workshop)
    ended = cli("run", "Symphony.toml", "--json")
    assert ended.code == 1, ended
    document = ended.document
    error_document(document)
    error = document["error"]
    assert error["code"] == case.code
    text = "\n".join([error["message"], *error["causes"], *(f"hint: {h}" for h in error["hints"])])
    assert_said(text, case)
    assert ended.err.startswith("error: "), ended


@pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.check],
    ids=[name for name, case in CASES.items() if case.check],
)
def test_check_says_the_same_without_a_boot(case, workshop, cli, form):
    case.build(workshop)
    ended = cli("check")
    assert ended.code == 1, ended
    form(ended.err)
    assert_said(ended.err, case)
    faults = cli("check", "--json").document["diagnostics"]
    assert case.code in {fault["code"] for fault in faults}


def test_check_and_boot_use_the_same_words(workshop, cli):
    circle_of_three(workshop)
    with pytest.raises(symphony.CycleError) as caught:
        boot(config=workshop.config)
    faults = cli("check", "--json").document["diagnostics"]
    assert faults == [fault.to_dict() for fault in caught.value.diagnostics]


def test_a_broken_entry_is_found_by_check_where_its_source_tells(workshop, cli):
    missing_attribute(workshop)
    ended = cli("check")
    assert ended.code == 1, ended
    assert "error: module `echo` has no `extensio`\n" in ended.err
    assert "extensions/echo/Symphony.toml:4" in ended.err
    assert "hint: did you mean `extension`?" in ended.err


def test_a_lazy_extension_at_fault_fails_its_call_and_not_the_boot(workshop, nothing_left):
    workshop.extension("echo", "import nowhere_to_be_found\n" + ECHO)
    with boot(config=workshop.config) as system:
        with pytest.raises(symphony.ExtensionError, match="nowhere_to_be_found") as caught:
            system.kit.extension("echo").call("echo", value=1)
        assert caught.value.extension == "echo"
        assert caught.value.code == "start-failed"


def test_all_faults_of_all_manifests_are_told_at_once(workshop, cli, form):
    workshop.extension("echo", ECHO, 'activaton = "eager"\nrequires = 3\n')
    workshop.extension("other", ECHO, EAGER + 'requires = ["ghost"]\n', entry="nope:extension")
    ended = cli("run", "Symphony.toml")
    assert ended.code == 1
    form(ended.err)
    for said in ("`activaton`", "`extension.requires`", "`ghost`", "`nope`"):
        assert said in ended.err
    assert len(re.findall(r"^error: ", ended.err, re.MULTILINE)) == 4, ended
    document = cli("run", "Symphony.toml", "--json").document
    assert document["error"]["code"] == "manifest-invalid"
    assert document["error"]["message"].startswith("4 faults in the plan\n")


COMPONENTS = """\
from __future__ import annotations

class Planner:
    def __init__(self, index: Index): ...

class Index:
    def __init__(self, store: Store): ...

class Store:
    def __init__(self, planner: Planner): ...
"""


def test_a_circle_of_three_components_has_every_edge_and_starts_nothing(
    workshop, monkeypatch, nothing_left
):
    (workshop.folder / "ring_of_three.py").write_text(COMPONENTS)
    monkeypatch.syspath_prepend(workshop.folder)
    monkeypatch.chdir(workshop.folder)
    ring = importlib.import_module("ring_of_three")
    with pytest.raises(symphony.CycleError) as caught:
        boot(config=workshop.config, components=[ring.Planner, ring.Index, ring.Store])
    error = caught.value
    assert error.message == (
        "dependency cycle: `Planner` -> `Index` -> `Store` -> `Planner`\n"
        "  ring_of_three.py:4   `Planner` needs `Index`\n"
        "  ring_of_three.py:7   `Index` needs `Store`\n"
        "  ring_of_three.py:10  `Store` needs `Planner`"
    )
    (hint,) = error.hints
    assert re.fullmatch(r"declare `\w+: Late\[\w+\]` at ring_of_three\.py:\d+", hint)
    (fault,) = error.diagnostics
    assert sorted(fault.path) == ["Index", "Planner", "Store"]


def test_a_second_system_on_the_same_state_is_refused(workshop, cli, form, error_document):
    with boot(config=workshop.config):
        with pytest.raises(symphony.StateLockedError) as caught:
            boot(config=workshop.config)
        assert caught.value.code == "state-locked"
        ended = cli("run", "Symphony.toml")
        assert ended.code == 1, ended
        form(ended.err)
        assert ".symphony" in ended.err
        document = cli("run", "Symphony.toml", "--json").document
        error_document(document)
        assert document["error"]["code"] == "state-locked"
    assert cli("run", "Symphony.toml").code == 0


def test_a_conductor_that_cannot_be_imported_is_named(workshop, cli, form, error_document):
    ended = cli("run", "Symphony.toml", "--conductor", "no_such_module:make")
    assert ended.code == 1, ended
    form(ended.err)
    assert "no_such_module" in ended.err
    (workshop.folder / "mine.py").write_text("def make(): ...\n")
    ended = cli("run", "Symphony.toml", "--conductor", "mine:made", "--json")
    assert ended.code == 1, ended
    error_document(ended.document)
    assert "made" in ended.err
