"""What a boot leaves to be read: log records, budget alerts, the critical path's savings, spans, comparisons."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import pytest
import symphony
from boot_scripts import run
from symphony import BootError, InvalidValueError, boot
from workshop import write

TELL = """
import json
class Tell:
    def __init__(self, log):
        pass
def install(level=10):
    import logging
    class Keep(logging.Handler):
        def emit(self, record):
            kept.append((record.levelname, record.getMessage(), record.created))
    logging.getLogger().addHandler(Keep())
    logging.getLogger().setLevel(level)
    return logging
kept = []
def until(text, seconds=20):
    end = time.monotonic() + seconds
    while not any(text in entry[1] for entry in kept) and time.monotonic() < end:
        time.sleep(0.01)
def dump():
    say(json.dumps(kept))
class Slow:
    def start(self):
        time.sleep(0.02)
"""


def records(ended):
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def check_whole(kept):
    """Every event from the first to the last, in order, pairs closed."""
    texts = [text for _, text, _ in kept]
    assert texts[0].startswith("booting `symphony`: ")
    phases = [
        text.split("`")[1] for text in texts if text.startswith("phase ") and " started" in text
    ]
    assert phases == ["foundation", "ipc_bus", "pit", "orchestra_kit", "conductor"]
    begun, ended = (
        texts.index("`Slow` starts"),
        [t.startswith("`Slow` ready") for t in texts].index(True),
    )
    assert begun < ended
    assert len(texts) == len(set(texts)), "a record came twice"
    at = [created for _, _, created in kept]
    slow = at[ended] - at[begun]
    assert slow >= 0.019, "the records do not have the times at which things happened"
    for level, text, _ in kept:
        wanted = "DEBUG" if text.startswith(("`", "gate of")) else "INFO"
        assert level == wanted, text


def test_records_have_the_order_of_the_events_phases_at_info_components_at_debug(tmp_path):
    ended = run(
        TELL
        + """
install()
seen = []
with boot(components=[Slow], observer=lambda event: seen.append(str(event))):
    told = list(kept)
assert [text for _, text, _ in told] == seen, (told, seen)
assert told[-1][1].startswith("boot ready in ")
kept[:] = told
dump()
""",
        tmp_path,
    )
    check_whole(records(ended))


@pytest.mark.parametrize(
    "imported", ["", "import logging"], ids=["imported later", "imported before"]
)
def test_records_wait_for_logging_that_is_configured_after_the_boot(tmp_path, imported):
    ended = run(
        TELL
        + imported
        + """
with boot(components=[Slow]):
    early = "logging" in sys.modules
    install()
    until("boot ready")
    told = list(kept)
kept[:] = told
say(early)
dump()
""",
        tmp_path,
    )
    assert ended.stdout.splitlines()[0] == str(bool(imported)), "the boot imports logging"
    check_whole(records(ended))


def test_a_conductors_module_that_configures_logging_gets_what_was_said_before(tmp_path):
    (tmp_path / "brain.py").write_text(
        "import __main__, time\ntime.sleep(0.1)\n__main__.install()\n"
        "def make() -> object:\n    return object()\n"
    )
    ended = run(
        TELL
        + """
with boot(conductor="brain:make", components=[Slow]):
    told = list(kept)
kept[:] = told
dump()
""",
        tmp_path,
    )
    check_whole(records(ended))


@pytest.mark.parametrize("configured", ["after", "at exit"])
def test_records_of_a_boot_that_failed_are_not_lost(tmp_path, configured):
    again = "\nwith boot():\n    until('boot ready')\n" if configured == "after" else ""
    ended = run(
        TELL
        + """
import atexit
atexit.register(dump)
def broken() -> int:
    raise ValueError("no luck")
try:
    boot(components=[Slow, broken])
except BootError:
    install()
"""
        + again,
        tmp_path,
    )
    kept = records(ended)
    levels = {text: level for level, text, _ in kept}
    (rolling,) = [text for text in levels if text.startswith("rolling back: ")]
    (failed,) = [text for text in levels if text.startswith("boot failed after ")]
    assert (levels[rolling], levels[failed]) == ("ERROR", "ERROR")
    texts = [text for _, text, _ in kept]
    assert texts[0].startswith("booting `symphony`")
    assert texts.index(rolling) < texts.index(failed)
    if configured == "after":
        assert texts.index(failed) < len(texts) - 10, "those of the next boot come after"


def test_a_budget_is_an_event_a_warning_and_an_entry(workshop, caplog):
    workshop.system(
        '[system.budgets]\nready = "1us"\noverhead = "1us"\nmemory = "60GiB"\n'
        '[system.phases.pit]\nbudget = "1us"\n[system.phases.conductor]\nbudget = "60s"\n'
    )
    seen = []
    with caplog.at_level(logging.DEBUG, logger="symphony.boot"):
        with boot(config=workshop.config, observer=seen.append) as system:
            report = system.report
    exceeded = ["phases.pit", "ready", "overhead"]
    events = [str(event) for event in seen if event.name == "budget-exceeded"]
    assert [text.split("`")[1] for text in events] == exceeded
    warnings = [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]
    assert warnings == events
    assert events[0].startswith("budget `phases.pit` exceeded: ")
    assert events[0].endswith(" of 1 µs")
    assert [entry["name"] for entry in report.budget_violations] == exceeded
    document = json.loads(report.to_json())
    assert document["budget_violations"] == report.budget_violations
    pit = next(phase for phase in document["phases"] if phase["name"] == "pit")
    assert report.budget_violations[0] == {
        "name": "phases.pit",
        "limit": pit["budget_seconds"],
        "actual": pytest.approx(pit["seconds"], abs=0.001),
    }
    assert "over budget: phases.pit took " in str(report)


def test_savings_are_bounded_by_the_next_path():
    import time

    class Long:
        def start(self):
            time.sleep(0.2)

    class Short:
        def start(self):
            time.sleep(0.1)

    class Both:
        def __init__(self, long: Long, short: Short):
            pass

    with boot(components=[Long, Short, Both]) as system:
        report = system.report
    assert [entry["name"] for entry in report.savings] == report.critical_path
    saved = {entry["name"]: entry["seconds"] for entry in report.savings}
    ends = {
        entry["name"]: entry["started_at"] + entry["seconds"]
        for entry in json.loads(report.to_json())["components"]
    }
    # Without `Long` the boot would still wait for `Short`; beside that nothing takes long.
    assert saved["Long"] == pytest.approx(ends["Long"] - ends["Short"], abs=0.02)
    assert saved["Long"] < ends["Long"] - 0.1
    assert "Short" not in saved
    assert json.loads(report.to_json())["savings"] == report.savings
    assert "\nsooner ready without: " in str(report)


def test_a_failed_boot_saves_nothing_and_shows_its_rollback():
    class Fine:
        def stop(self):
            pass

    def broken(fine: Fine) -> int:
        raise ValueError

    with pytest.raises(BootError) as caught:
        boot(components=[Fine, broken])
    report = caught.value.report
    assert report.savings == []
    names = [(span["name"], span["component"]) for span in report.spans]
    assert ("rollback", None) in names
    assert ("stop", "Fine") in names
    assert json.loads(report.to_json())["spans"] == report.spans


def test_the_spans_of_children_lie_in_their_components_with_the_real_numbers(workshop):
    source = (
        "import time\ntime.sleep(0.05)\n@extension.operation\ndef echo(value):\n    return value\n"
    )
    workshop.extension("echo", source, 'activation = "eager"\n')
    with boot(config=workshop.config) as system:
        pid = system.kit.extension("echo").pid
        report = json.loads(system.report.to_json())
    echo = next(entry for entry in report["components"] if entry["name"] == "echo")
    spans = [span for span in report["spans"] if span["component"] == "echo"]
    assert [span["name"] for span in spans] == ["fork", "set-up", "import", "handshake", "ready"]
    assert {span["pid"] for span in spans} == {pid}
    assert next(span for span in spans if span["name"] == "import")["seconds"] >= 0.05
    for span in spans:
        assert span["started_at"] >= echo["started_at"]
        end = echo["started_at"] + echo["seconds"]
        assert span["started_at"] + span["seconds"] <= end + 1e-6


OLD = """
import os, sys
sys.path.append({package!r})
from symphony import _core
lane = _core.GuestLane(int(os.environ["SYMPHONY_LANE"]))
lane.hello("old", "0.1.0", [{{"name": "echo"}}]{spans})
lane.ready()
while lane.next_request() is not None:
    pass
"""


@pytest.mark.parametrize(
    ("spans", "names"),
    [
        ("", ["start", "ready"]),
        (", [('x', float('nan'), -1.0), ('y', 1e300, 0.0)]", ["start", "ready"]),
        (", [('x\\n' * 99, 0.0, 1e9)] * 99", ["fork", *["x" * 32] * 8, "handshake", "ready"]),
    ],
    ids=["an older guest", "nonsense", "far too much"],
)
def test_a_guest_is_as_welcome_whatever_it_says_of_its_start(workshop, spans, names):
    folder = workshop.folder / "extensions" / "old"
    write(
        folder / "Symphony.toml",
        f"""
        [extension]
        name = "old"
        version = "0.1.0"
        command = [{sys.executable!r}, "old.py"]
        activation = "eager"
        operations = ["echo"]
        [extension.limits]
        start = "20s"
        """,
    )
    package = str(Path(symphony.__file__).parent.parent)
    write(folder / "old.py", OLD.format(package=package, spans=spans))
    with boot(config=workshop.config) as system:
        mine = [span for span in system.report.spans if span["component"] == "old"]
        assert {span["pid"] for span in mine} == {system.kit.extension("old").pid}
        (old,) = [
            one for one in json.loads(system.report.to_json())["components"] if one["name"] == "old"
        ]
    assert [span["name"] for span in mine] == names
    assert all(span["seconds"] >= 0 for span in mine)
    assert mine[0]["started_at"] >= old["started_at"]
    assert mine[-1]["started_at"] + mine[-1]["seconds"] <= old["started_at"] + old["seconds"] + 1e-6


class Lasting:
    """Whoever is slower by less than a millisecond is not told of, and a boot may take no longer."""

    def __init__(self) -> None:
        time.sleep(0.02)


def test_two_boots_are_compared():
    with boot(components=[Lasting]) as system:
        earlier = system.report
    with boot(components=[Lasting]) as system:
        report = system.report
    comparison = report.compare(earlier)
    assert comparison == report.compare(earlier.to_json())
    assert (comparison["new"], comparison["gone"]) == ([], [])
    document = json.loads(earlier.to_json())
    for entry in document["components"]:
        if entry["name"] == "pit":
            entry.update(name="of-old")
        if entry["name"] == "state":
            entry.update(seconds=5.0)
    document["ready_seconds"] = 0.000_001
    comparison = report.compare(json.dumps(document))
    assert (comparison["new"], comparison["gone"]) == (["pit"], ["of-old"])
    assert "ready" in [change["name"] for change in comparison["slower"]]
    assert "state" in [change["name"] for change in comparison["faster"]]
    for text, reason in (
        ("{", "line 1, column 1: it is not a report"),
        ("", "not a report of a boot"),
    ):
        with pytest.raises(InvalidValueError, match=reason):
            report.compare(text)
    with pytest.raises(TypeError):
        report.compare(3)


def test_the_reports_methods_are_those_of_the_stub():
    assert {"compare", "savings", "spans", "budget_violations"} <= set(dir(symphony.BootReport))


def test_two_systems_that_have_nothing_to_say_use_no_time(tmp_path):
    ended = run(
        """
import resource
def used():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
with boot(), boot():
    begin = used()
    time.sleep(1.0)
    say(used() - begin)
""",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    # A thread that never rests would take the whole second.
    assert float(ended.stdout) < 0.25


def test_an_import_saves_what_it_is_longer_than_the_phases_beside_it(tmp_path, monkeypatch):
    write(
        tmp_path / "long_import.py",
        """
        import time
        from symphony import Conductor, OrchestraKit
        time.sleep(0.8)
        def make(kit: OrchestraKit) -> Conductor:
            return Conductor.from_components(kit)
        """,
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with boot("long_import:make") as system:
        report = system.report
    (entry,) = [
        one
        for one in json.loads(report.to_json())["components"]
        if one["name"] == "import long_import"
    ]
    saved = {one["name"]: one["seconds"] for one in report.savings}[entry["name"]]
    # It began beside the phases: without it the system would be ready when they were.
    shown = entry["started_at"] + entry["seconds"] - report.infrastructure_seconds
    assert saved == pytest.approx(shown, abs=0.05)
    assert saved < entry["seconds"]
