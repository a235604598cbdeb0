"""`symphony run --baseline`: what became slower, faster, new and gone, and how a bad file is refused."""

from __future__ import annotations

import json
import re

import pytest
from symphony._cli._baseline import Baseline

# Slow enough that no load of the machine hides it.
ECHO = "import time\ntime.sleep(0.3)\n@extension.operation\ndef echo(value):\n    return value\n"
EAGER = 'activation = "eager"\n'
NAN = float("nan")


@pytest.fixture
def report(workshop, cli):
    """Boots once and writes the report; gives a function that changes it."""
    workshop.extension("echo", ECHO, EAGER)
    document = cli("run", "--json").document
    path = workshop.folder / "base.json"

    def change(**figures):
        for name, seconds in figures.items():
            for entry in [*document["components"], *document["phases"]]:
                if entry["name"] == name:
                    entry["seconds"] = seconds
            if f"{name}_seconds" in document:
                document[f"{name}_seconds"] = seconds
        path.write_text(json.dumps(document, indent=2))
        return document

    change()
    return change


def slow(report):
    """A baseline in which everything took far longer, so that nothing is slower now."""
    document = report()
    names = [entry["name"] for entry in [*document["components"], *document["phases"]]]
    return report(**dict.fromkeys(names, 1000.0), ready=1000.0, overhead=1000.0)


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_slower_is_told_with_both_figures_and_with_strict_fails(report, cli, strict):
    slow(report)
    report(echo=0.000_001, orchestra_kit=0.000_001)
    flags = ["--strict"] if strict else []
    ended = cli("run", "--baseline", "base.json", "--boots", "2", *flags)
    assert ended.code == (1 if strict else 0), ended
    word = "error" if strict else "warning"
    figures = r"[\d.]+ m?s instead of 1 µs \(\+[\d.]+ m?s, \d+\.\d\d ×\)"
    for subject in ("phase `orchestra_kit`", "component `echo`"):
        line = rf"^{word}: {subject} is slower than in `base.json`: {figures}$"
        assert re.search(line, ended.err, re.MULTILINE), ended.err
    assert len(ended.err.splitlines()) == 2, ended.err
    assert re.search(
        r"^compared with `base.json` \(2 with 1 boots\): 2 slower, \d+ faster, 0 new, 0 gone$",
        ended.out,
        re.MULTILINE,
    )


def test_the_document_has_the_comparison(report, cli, keys):
    document = slow(report)
    report(echo=0.000_001)
    for entry in document["components"]:
        if entry["name"] == "stale-manager":
            entry["name"] = "of-old"
    report()
    ended = cli("run", "--baseline", "base.json", "--boots", "1", "--json", "--strict")
    assert ended.code == 1, ended
    assert set(ended.document) == keys["report"] | {"runs", "results", "baseline", "boots"}
    assert ended.document["ok"] is False
    baseline = ended.document["baseline"]
    assert set(baseline) == {"file", "boots", "slower", "faster", "new", "gone", "noise"}
    assert baseline["boots"] == {"earlier": 1, "now": 1}
    assert baseline["file"] == "base.json"
    assert (baseline["new"], baseline["gone"]) == (["stale-manager"], ["of-old"])
    assert baseline["noise"] == {"seconds": 0.001, "share": 0.15}
    (change,) = baseline["slower"]
    actual = next(one["seconds"] for one in ended.document["components"] if one["name"] == "echo")
    assert change == {
        "kind": "component",
        "name": "echo",
        "earlier_seconds": 0.000_001,
        "seconds": actual,
        "difference_seconds": pytest.approx(actual - 0.000_001),
        "ratio": pytest.approx(actual / 0.000_001),
    }
    assert "note: component `stale-manager` is new\nnote: component `of-old` is gone\n" in ended.err


def test_what_is_not_slower_passes_with_strict(report, cli):
    slow(report)
    ended = cli("run", "--baseline", "base.json", "--boots", "2", "--strict")
    assert (ended.code, ended.err) == (0, ""), ended
    assert "0 slower" in ended.out


def test_without_the_flag_there_is_no_such_key_and_after_a_failed_boot_nothing_in_it(
    report, workshop, cli
):
    assert "baseline" not in cli("run", "--json").document
    workshop.extension("echo", "raise ValueError(1)\n", EAGER)
    ended = cli("run", "--baseline", "base.json", "--json")
    assert ended.code == 1
    assert ended.document["baseline"] is None
    assert "boots" not in ended.document


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (None, "", "cannot read the baseline `base.json`: No such file or directory"),
        (b"\xff\xfe", "", "the baseline `base.json` is not a text in UTF-8"),
        (b"", "base.json:1", "it is not a report of a boot: "),
        (b'{\n  "schema": 1,\n  "ready_seconds": oops\n}', "base.json:3:20: ", "expected value"),
        (b'{\n  "schema": 1}', "base.json:2:14: ", "missing field"),
        (b'{"schema": 1, "ready_seconds": "soon"}', "base.json:1:37: ", "invalid type: string"),
        (b"[1, 2]", "base.json:1:", "it is not a report of a boot"),
    ],
    ids=["absent", "not text", "empty", "not JSON", "not a report", "a wrong type", "a list"],
)
def test_a_bad_file_is_a_wrong_call_and_nothing_is_booted(
    workshop, cli, form, error_document, text, place, reason
):
    if text is not None:
        (workshop.folder / "base.json").write_bytes(text)
    ended = cli("run", "--baseline", "base.json")
    assert (ended.code, ended.out) == (2, ""), ended
    form(ended.err)
    assert ended.err.startswith("error: " + place), ended.err
    assert reason in ended.err
    document = cli("run", "--baseline", "base.json", "--json").document
    error_document(document)
    assert reason in document["error"]["message"]
    assert not (workshop.folder / ".symphony").exists()


def test_the_report_of_a_boot_that_failed_is_no_baseline(workshop, cli):
    workshop.extension("echo", "raise ValueError(1)\n", EAGER)
    failed = cli("run", "--json")
    (workshop.folder / "base.json").write_text(failed.out)
    ended = cli("run", "--baseline", "base.json")
    assert ended.code == 2
    assert "it is the report of a boot that was never ready" in ended.err


def boots(count, *, ready=0.1, echo=0.02, jitter=0.0):
    """The figures of boots, each a little other than the last."""
    return [
        {
            "ready_seconds": ready + jitter * (number % 3),
            "overhead_seconds": 0.002,
            "phases": [
                {"name": name, "status": "ready", "seconds": ready / 4 + jitter * (number % 2)}
                for name in ("foundation", "pit", "orchestra_kit")
            ],
            "components": [
                {"name": "echo", "started_at": 0.01, "seconds": echo + jitter * (number % 3)},
                {"name": "other", "started_at": 0.01, "seconds": 0.01 + jitter * (number % 2)},
                {"name": "third", "started_at": 0.01, "seconds": 0.03},
            ],
        }
        for number in range(count)
    ]


@pytest.fixture
def against(tmp_path):
    """Compares boots with others."""

    def compare(earlier, now, threshold=0.15):
        document = {"schema": 1, **earlier[0], **({"boots": earlier} if len(earlier) > 1 else {})}
        path = tmp_path / "base.json"
        path.write_text(json.dumps(document))
        return Baseline(str(path)).compare(now, threshold)

    return compare


def names(changes):
    return sorted(change["name"] for change in changes)


def test_medians_are_compared_and_one_odd_boot_is_none(against):
    odd = [*boots(4), *boots(1, ready=9.0, echo=9.0)]
    assert against(boots(5), odd).slower == []
    assert names(against(boots(5), boots(5, echo=0.06)).slower) == ["echo"]


def test_the_noise_of_both_sides_is_no_difference(against):
    assert against(boots(5, jitter=0.03), boots(5, echo=0.05)).slower == []
    assert against(boots(5), boots(5, echo=0.03, jitter=0.03)).slower == []
    assert names(against(boots(5, jitter=0.005), boots(5, echo=0.2)).slower) == ["echo"]


def test_of_one_boot_nothing_is_known_of_its_noise(against):
    assert against(boots(1), boots(5, echo=0.039)).slower == []
    assert names(against(boots(1), boots(5, echo=0.05)).slower) == ["echo"]


def test_a_machine_that_is_busier_makes_nothing_slower(against):
    busy = boots(5)
    for boot in busy:
        for entry in (*boot["phases"], *boot["components"]):
            entry["seconds"] *= 3
        boot["ready_seconds"] *= 3
        boot["overhead_seconds"] *= 3
    assert against(boots(5), busy).slower == []
    for boot in busy:
        boot["components"][0]["seconds"] *= 3
    assert names(against(boots(5), busy).slower) == ["echo"]


@pytest.mark.parametrize(("threshold", "told"), [(0.15, ["echo"]), (0.9, ["echo"]), (1.1, [])])
def test_the_threshold_is_a_share_of_what_it_was(against, threshold, told):
    assert names(against(boots(5), boots(5, echo=0.04), threshold).slower) == told


def test_several_boots_are_kept_and_compared(workshop, cli, keys):
    workshop.extension("echo", ECHO.replace("time.sleep(0.3)", "pass"), EAGER)
    ended = cli("run", "--boots", "3", "--json")
    assert set(ended.document) == keys["report"] | {"runs", "results", "boots"}
    assert len(ended.document["boots"]) == 3
    assert all(boot["ready_seconds"] > 0 for boot in ended.document["boots"])
    (workshop.folder / "base.json").write_text(ended.out)
    workshop.extension(
        "echo", ECHO.replace("0.3", "2.0"), EAGER + "[extension.limits]\nstart = '9s'\n"
    )
    ended = cli("run", "--boots", "3", "--baseline", "base.json", "--threshold", "20%", "--strict")
    assert ended.code == 1, ended
    assert "component `echo` is slower" in ended.err
    assert "(3 with 3 boots)" in ended.out
    ended = cli("run", "--baseline", "base.json", "--boots", "1", "--threshold", "1e9")
    assert ended.code == 0, ended
    assert "0 slower" in ended.out


@pytest.mark.parametrize("argument", ["a lot", "-1", "nan", "inf"])
def test_a_threshold_is_a_number_of_percent(cli, argument):
    ended = cli("run", f"--threshold={argument}")
    assert ended.code == 2
    assert "number of percent" in ended.err


@pytest.mark.parametrize("kept", [[7], [{}], [{"phases": 1, "components": []}], {"a": 1}])
def test_boots_that_are_none_are_a_wrong_call(report, workshop, cli, kept):
    document = report()
    (workshop.folder / "base.json").write_text(json.dumps({**document, "boots": kept}))
    ended = cli("run", "--baseline", "base.json")
    assert ended.code == 2, ended
    assert "`boots`" in ended.err


@pytest.mark.parametrize("seconds", [-1, NAN, "1", True, 10**400])
@pytest.mark.parametrize("place", ["ready_seconds", "components"])
def test_boots_with_figures_that_are_no_durations_are_a_wrong_call(
    report, workshop, cli, seconds, place
):
    document = report()
    boot = {
        name: document[name]
        for name in ("ready_seconds", "overhead_seconds", "phases", "components")
    }
    boot = json.loads(json.dumps(boot))
    if place == "components":
        started = next(one for one in boot["components"] if one["started_at"] is not None)
        started["seconds"] = seconds
    else:
        boot[place] = seconds
    (workshop.folder / "base.json").write_text(json.dumps({**document, "boots": [boot]}))
    ended = cli("run", "--baseline", "base.json", "--json")
    assert ended.code == 2, ended
    # What is no JSON is refused at its place.
    words = "no finite number" if seconds is not NAN else "base.json:1:"
    assert words in ended.err
    assert ended.document["error"]["code"] == "invalid-value"


def test_what_a_system_prints_at_its_exit_is_no_figure(workshop, cli):
    workshop.system('components = ["noisy"]\n')
    (workshop.folder / "noisy.py").write_text(
        "import atexit\nfrom symphony import component\n"
        "atexit.register(print, '[bye')\nprint('hello')\n"
        "@component\nclass Noisy: ...\n"
    )
    ended = cli("run", "--boots", "3")
    assert ended.code == 0, ended
    (workshop.folder / "noisy.py").write_text("print('{}')\nraise RuntimeError('no')\n")
    ended = cli("run", "--boots", "2", "--json")
    assert ended.code == 1, ended


def test_every_boot_that_is_measured_is_kept(workshop, cli):
    workshop.system('components = ["noisy"]\n')
    (workshop.folder / "noisy.py").write_text(
        "import atexit\nfrom symphony import component\nimport os\n"
        "if os.getenv('QUIET') is None: atexit.register(os.write, 1, b'bye')\n"
        "@component\nclass Noisy: ...\n"
    )
    ended = cli("run", "--boots", "3", "--json")
    document, _ = json.JSONDecoder().raw_decode(ended.out)
    assert ended.code == 0, ended
    assert len(document["boots"]) == 3
