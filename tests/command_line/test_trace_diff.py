"""`symphony trace diff`: what grew, what is new, how the critical path changed; each form in which a boot is kept."""

from __future__ import annotations

import json

import pytest
from symphony._cli._main import main

ECHO = "@extension.operation\ndef echo(value):\n    return value\n"
EAGER = 'activation = "eager"\n'
STEPS = ("fork", "set-up", "import", "handshake", "ready")


def report(path=("supervisor", "echo"), imported=0.1, **seconds):
    """A report of a boot; components are named with the seconds that they take."""
    seconds = {"supervisor": 0.05, "state": 0.01, "echo": 0.02 + imported, **seconds}
    components = [
        {
            "name": name,
            "phase": "foundation",
            "status": "ready",
            "started_at": 0.0,
            "seconds": took,
            "requires": [],
        }
        for name, took in seconds.items()
    ]
    spans = [
        {
            "name": step,
            "component": "echo",
            "phase": None,
            "pid": 7,
            "started_at": 0.0,
            "seconds": imported if step == "import" else 0.005,
        }
        for step in STEPS
    ]
    phase = {"name": "foundation", "status": "ready", "seconds": 0.2, "budget_seconds": None}
    return {
        "schema": 1,
        "ok": True,
        "system": "test",
        "ready_seconds": 0.3,
        "since_launch_seconds": 0.4,
        "overhead_seconds": 0.002,
        "infrastructure_seconds": 0.2,
        "memory_mb": 3.0,
        "phases": [phase],
        "components": components,
        "critical_path": list(path),
        "savings": [],
        "budget_violations": [],
        "error": None,
        "spans": spans,
    }


@pytest.fixture
def diff(tmp_path, capsys):
    """Compares two reports, or texts; gives exit code, stdout and stderr."""

    def compare(earlier, now, *arguments):
        for name, one in (("a.json", earlier), ("b.json", now)):
            text = one if isinstance(one, str) else json.dumps(one)
            (tmp_path / name).write_text(text)
        paths = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
        code = main(["trace", "diff", *paths, *arguments])
        ended = capsys.readouterr()
        return code, ended.out, ended.err

    return compare


def test_what_grew_is_told_with_the_step_in_which_it_did(diff):
    code, out, err = diff(report(), report(imported=0.4))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith("(1 with 1 boots): 1 slower, 0 faster, 0 new, 0 gone")
    assert lines[1] == "slower: component `echo`: 420 ms instead of 120 ms (+300 ms, 3.50 ×)"
    assert lines[2] == "  import: 400 ms instead of 100 ms (+300 ms)"
    assert not any("fork" in line for line in lines)
    assert lines[-1].startswith(
        "not told: less than 1 ms or 15 % of what it was; less than what one boot"
    ), lines[-1]


def test_what_shrank_is_told_with_its_sign(diff):
    kept = report(imported=0.4)
    _, out, _ = diff({**kept, "boots": [kept] * 3}, report())
    assert "faster: component `echo`: 120 ms instead of 420 ms (-300 ms, 0.29 ×)" in out
    assert "  import: 100 ms instead of 400 ms (-300 ms)" in out


def test_what_is_new_and_what_the_boot_waits_for_now(diff):
    now = report(path=("supervisor", "late"), late=0.7)
    _, out, _ = diff(report(gone=0.03), now)
    assert "new: component `late`: 700 ms, on the critical path" in out
    assert "gone: component `gone`: it took 30 ms" in out
    path = out.partition("critical path: ")[2].splitlines()
    assert path[0] == "2 steps, ready in 300 ms; it was 2 steps, ready in 300 ms"
    assert path[1].split() == ["supervisor", "50", "ms", "it", "took", "50", "ms"]
    assert path[2].split() == ["+", "late", "700", "ms", "new"]
    assert path[3].split() == ["-", "echo", "120", "ms", "it", "takes", "120", "ms"]


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 0), (("--threshold", "20"), 1), (("--threshold=300%",), 0)]
)
def test_a_threshold_that_is_exceeded_is_exit_code_1(diff, arguments, code):
    kept = [report() for _ in range(3)]
    slow = [report(imported=0.4) for _ in range(3)]
    many = {**kept[0], "boots": kept}, {**slow[0], "boots": slow}
    assert diff(*many, *arguments)[0] == code
    ended, out, _ = diff(*many, *arguments, "--json")
    assert ended == code
    document = json.loads(out)
    assert document["ok"] is (code == 0)
    assert document["earlier"]["boots"] == document["now"]["boots"] == 3
    # What is faster never is.
    assert diff(*reversed(many), *arguments)[0] == 0


def test_the_document_has_what_the_text_tells(diff):
    now = report(path=("supervisor", "late"), imported=0.4, late=0.7)
    _, out, _ = diff(report(), now, "--json")
    document = json.loads(out)
    (change,) = document["slower"]
    assert change["name"] == "echo"
    (step,) = change["steps"]
    assert (step["name"], step["earlier_seconds"], step["seconds"]) == ("import", 0.1, 0.4)
    assert document["new"] == ["late"]
    assert [one["name"] for one in document["now"]["critical_path"]] == ["supervisor", "late"]
    assert document["noise"] == {"seconds": 0.001, "share": 0.15}
    assert document["error"] is None


def test_a_busy_machine_is_told_and_makes_nothing_slower(diff):
    busy = report()
    for one in (*busy["components"], *busy["phases"]):
        one["seconds"] *= 3
    _, out, _ = diff(report(), busy)
    assert "0 slower" in out
    assert "that everything takes 3.00 × as long" in out


@pytest.mark.parametrize("form", ["x.html", "x.json", "stdout"])
def test_each_form_in_which_a_boot_is_kept_is_read(workshop, cli, form):
    workshop.extension("echo", ECHO, EAGER)
    arguments = ["--json"] if form == "stdout" else ["--trace", form]
    ended = cli("run", *arguments)
    assert ended.code == 0, ended
    if form == "stdout":
        (workshop.folder / form).write_text(ended.out)
    ended = cli("trace", "diff", form, form)
    assert ended.code == 0, ended
    assert "(1 with 1 boots): 0 slower, 0 faster, 0 new, 0 gone" in ended.out
    assert "    supervisor process" in ended.out
    # A baseline is read in the same way.
    ended = cli("run", "--baseline", form, "--boots", "1")
    assert ended.code == 0, ended


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ("{", "b.json:1:"),
        ("[]", "not a report of a boot"),
        ('{"traceEvents": []}', "it holds no report of a boot"),
        ('{"traceEvents": [], "symphony": {"report": 1}}', "it holds no report of a boot"),
        ("<!doctype html><script>1</script>", "it holds no report of a boot"),
        (json.dumps({**report(), "ready_seconds": None}), "never ready"),
        (json.dumps({**report(), "spans": [1]}), "have not the form"),
        ("[" * 100_000, "b.json"),
    ],
    ids=["cut", "list", "old trace", "odd trace", "page", "failed", "spans", "deep"],
)
def test_what_holds_no_boot_is_a_wrong_call(diff, form, kept, words):
    code, out, err = diff(report(), kept)
    assert (code, out) == (2, "")
    assert words in err
    form(err)
    code, out, _ = diff(report(), kept, "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "invalid-value"


def test_a_file_that_is_not_there_is_a_wrong_call(cli):
    ended = cli("trace", "diff", "a.json", "b.json", "--json")
    assert ended.code == 2
    assert "cannot read the report `a.json`" in ended.err
    assert ended.document["ok"] is False


@pytest.mark.parametrize("arguments", [["trace"], ["trace", "diff", "a.json"], ["trace", "--json"]])
def test_half_a_call_is_refused(cli, arguments):
    assert cli(*arguments).code == 2
