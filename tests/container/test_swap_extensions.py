"""`system.swap()` and `system.experiment()` of extensions: another version of a process takes its name."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from conftest import descendants, wait_until
from symphony import boot
from symphony.exceptions import (
    BootError,
    ComponentNotFoundError,
    ExtensionError,
    InvalidValueError,
    StoppedError,
)
from workshop import write

SLOW = """
import time
@extension.operation
def slow(seconds):
    time.sleep(seconds)
    return "{version}"
@extension.operation
def say(word="-"):
    if word == "bad":
        raise ValueError(word)
    return "{version} " + word
{more}
"""


def version(folder: Path, number: str, more: str = "", name: str = "outline") -> Path:
    """Writes one version of the extension into a folder of its own."""
    home = folder / number
    write(
        home / "Symphony.toml",
        f'[extension]\nname = "{name}"\nversion = "{number}"\nentry = "outline:extension"\n',
    )
    head = f'from symphony.extension import Extension\nextension = Extension("{name}")\n'
    (home / "outline.py").write_text(head + SLOW.format(version=number, more=more))
    return home


@pytest.fixture
def system(workshop, tmp_path):
    version(tmp_path / "extensions", "1.0")
    with boot(config=workshop.config) as running:
        yield running


MELODY = """
    [melody]
    name = "say"
    inputs = ["word"]
    [[node]]
    id = "say"
    call = "outline.say"
    with = { word = "${inputs.word}" }
"""


@pytest.mark.parametrize("by", ["name", "handle"])
def test_the_name_leads_to_the_new_version_and_the_old_process_ends(
    system, workshop, tmp_path, by, nothing_left
):
    handle = system.kit.extension("outline")
    view = handle.options(timeout=5.0)
    assert handle.call("say") == "1.0 -"
    before = handle.pid
    melody = workshop.melody(MELODY)
    assert system.submit(melody, {"word": "m"}).result(10) == {"say": "1.0 m"}
    report = system.swap(
        "outline" if by == "name" else handle, version(tmp_path / "more", "2.0", "")
    )
    assert handle.pid not in (None, before)
    assert handle.call("say") == view.call("say") == "2.0 -"
    assert system.submit(melody, {"word": "m"}).result(10) == {"say": "2.0 m"}
    assert report.drained
    assert report.component == "outline"
    assert report.old.startswith("1.0 in ")
    assert report.new.startswith("2.0 in ")
    assert "swapped `outline`: `1.0 in" in str(report)
    assert wait_until(lambda: not Path(f"/proc/{before}").exists())
    system.shutdown()


def test_a_version_is_swapped_that_was_never_started_or_has_crashed(system, tmp_path):
    handle = system.kit.extension("outline")
    assert handle.state == "installed"
    assert system.swap("outline", version(tmp_path / "more", "2.0")).drained
    assert handle.state == "ready"
    assert handle.call("say") == "2.0 -"
    os.kill(handle.pid, 9)
    assert system.swap("outline", str(version(tmp_path / "more", "3.0") / "Symphony.toml")).drained
    assert handle.call("say") == "3.0 -"


def test_the_same_folder_is_read_anew(system, tmp_path):
    assert system.kit.extension("outline").call("say") == "1.0 -"
    folder = tmp_path / "extensions" / "1.0"
    file = folder / "outline.py"
    file.write_text(file.read_text().replace("1.0", "edited"))
    system.swap("outline", folder)
    assert system.kit.extension("outline").call("say") == "edited -"


def test_calls_in_flight_end_on_the_old_process(system, tmp_path):
    handle = system.kit.extension("outline")
    handle.activate()
    before = handle.pid
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(handle.call("slow", seconds=0.6)))
    caller.start()
    time.sleep(0.1)
    report = system.swap("outline", version(tmp_path / "more", "2.0"))
    assert answers == ["1.0"] or caller.is_alive()
    caller.join(10)
    assert answers == ["1.0"]
    assert report.drained
    assert wait_until(lambda: not Path(f"/proc/{before}").exists())


def test_what_is_not_drained_is_left_running_and_ends_with_the_system(
    workshop, tmp_path, nothing_left
):
    version(tmp_path / "extensions", "1.0")
    with boot(config=workshop.config) as system:
        handle = system.kit.extension("outline")
        answers: list[str] = []
        caller = threading.Thread(target=lambda: answers.append(handle.call("slow", seconds=1.0)))
        caller.start()
        assert wait_until(lambda: handle.state == "ready")
        time.sleep(0.1)
        report = system.swap("outline", version(tmp_path / "more", "2.0"), drain=0.05)
        assert not report.drained
        assert "1 call in flight" in report.holders[0].what
        assert "not drained" in str(report)
        assert handle.call("say") == "2.0 -"
        caller.join(10)
        assert answers == ["1.0"]
    assert not descendants()


def test_eight_threads_call_while_it_is_swapped(system, tmp_path):
    folders = [version(tmp_path / "more", f"{number}.0") for number in range(2, 8)]
    handle = system.kit.extension("outline")
    ended, failed = threading.Event(), []
    counts: list[int] = []

    def work() -> None:
        calls = 0
        try:
            while not ended.is_set():
                assert handle.call("say", word="x").endswith(" x")
                calls += 1
        except BaseException as error:
            failed.append(error)
        counts.append(calls)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    reports = [system.swap("outline", folder) for folder in folders]
    ended.set()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert all(report.drained for report in reports)
    assert len(counts) == 8
    assert all(counts)
    assert wait_until(lambda: len(descendants()) == 2)


def test_a_version_that_fails_leaves_the_old_one(system, tmp_path):
    handle = system.kit.extension("outline")
    assert handle.call("say") == "1.0 -"
    pid = handle.pid
    with pytest.raises(ExtensionError, match="boom"):
        system.swap("outline", version(tmp_path / "a", "2.0", "raise RuntimeError('boom')"))
    with pytest.raises(BootError, match="this is extension `other`, not `outline`"):
        system.swap("outline", version(tmp_path / "b", "2.0", name="other"))
    with pytest.raises(BootError):
        system.swap("outline", tmp_path / "nowhere")
    with pytest.raises(InvalidValueError, match="a folder with its manifest"):
        system.swap("outline", 3)
    with pytest.raises(ComponentNotFoundError):
        system.swap("nobody", tmp_path)
    assert (handle.call("say"), handle.pid) == ("1.0 -", pid)
    assert wait_until(lambda: len(descendants()) == 2)
    system.shutdown()
    with pytest.raises(StoppedError):
        system.swap("outline", tmp_path)


def test_operations_that_the_new_one_lacks_are_told(system, tmp_path):
    system.kit.extension("outline").activate()
    folder = version(tmp_path / "more", "2.0")
    file = folder / "outline.py"
    file.write_text(file.read_text().replace("def slow", "def fast"))
    report = system.swap("outline", folder)
    assert report.notes == ("the new one has no `slow`, which the old one had",)


def test_an_experiment_runs_two_processes_and_counts_for_each(system, workshop, tmp_path):
    handle = system.kit.extension("outline")
    handle.activate()
    first = handle.pid
    newer = version(tmp_path / "more", "2.0")
    variants = {"old": "outline", "new": newer}
    with system.experiment("outline", variants, {"old": 0.5, "new": 0.5}, seed=3) as experiment:
        assert wait_until(lambda: len(descendants()) == 3)
        answers = [handle.call("say", word=str(number)) for number in range(200)]
        of_old = sum(answer.startswith("1.0") for answer in answers)
        assert 60 < of_old < 140
        with pytest.raises(ExtensionError):
            handle.call("say", word="bad")
        report = experiment.report()
        assert report["old"].calls + report["new"].calls == 201
        assert report["old"].errors + report["new"].errors == 1
        assert report["old"].calls - of_old in (0, 1)
        assert 0 < report["new"].p50 <= report["new"].p90 <= report["new"].p99
        melody = workshop.melody(MELODY)
        heard = {system.submit(melody, {"word": str(n)}).result(10)["say"][:3] for n in range(40)}
        assert heard == {"1.0", "2.0"}
        with pytest.raises(InvalidValueError, match="an experiment runs on extension `outline`"):
            system.swap("outline", newer)
        with pytest.raises(InvalidValueError, match="an experiment runs on extension `outline`"):
            system.experiment("outline", variants)
    assert experiment.report()["old"].calls > 0
    assert handle.pid == first
    assert wait_until(lambda: len(descendants()) == 2)
    assert handle.call("say") == "1.0 -"


@pytest.mark.parametrize("key", ["word", lambda **inputs: inputs["word"]])
def test_one_key_goes_to_one_version(system, tmp_path, key):
    handle = system.kit.extension("outline")
    variants = {"old": handle, "new": version(tmp_path / "more", "2.0")}
    seen: dict[int, list[str]] = {}
    for seed in (1, 2):
        with system.experiment("outline", variants, key=key, seed=seed):
            words = [str(number) for number in range(20)]
            first = [handle.call("say", word=word)[:3] for word in words]
            assert [handle.call("say", word=word)[:3] for word in words] == first
            many = handle.call_many("say", [{"word": word} for word in words])
            assert [answer[:3] for answer in many] == first
            assert len(set(first)) == 2
            seen[seed] = first
    assert seen[1] != seen[2]


def test_a_promoted_version_has_the_name_for_good(system, tmp_path, nothing_left):
    handle = system.kit.extension("outline")
    assert handle.call("say") == "1.0 -"
    before = handle.pid
    newer = version(tmp_path / "more", "2.0")
    experiment = system.experiment(handle, {"a": handle, "b": newer})
    with pytest.raises(InvalidValueError, match="there is no variant `c`"):
        experiment.promote("c")
    report = experiment.promote("b")
    assert report.drained
    assert report.new.startswith("2.0 in ")
    assert handle.call("say") == "2.0 -"
    assert wait_until(lambda: not Path(f"/proc/{before}").exists())
    with pytest.raises(InvalidValueError, match="is over"):
        experiment.promote("a")
    assert experiment.stop() is report
    assert system.swap("outline", version(tmp_path / "more", "3.0")).drained
    system.shutdown()


def test_a_shutdown_in_the_middle_of_an_experiment_leaves_nothing(workshop, tmp_path, nothing_left):
    version(tmp_path / "extensions", "1.0")
    with boot(config=workshop.config) as system:
        experiment = system.experiment(
            "outline", {"a": "outline", "b": version(tmp_path / "more", "2.0")}
        )
        system.kit.extension("outline").call("say")
    assert experiment.stop() is None
    assert not descendants()
