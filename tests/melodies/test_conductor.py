"""A Conductor that chooses: when it is asked, on which thread, and what its faults cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import wait_until
from symphony import Conductor, OrchestraKit
from symphony.exceptions import SymphonyError

NOTE = '{ value = "${inputs.value}", file = "${inputs.file}" }'


@pytest.fixture
def notes(lab, melody, node):
    """One slot, and a Melody that notes its input down after what blocks the slot."""
    lab.slots(1)
    return melody(node("note", "lab.note", NOTE), inputs=["value", "file"])


def noted(lab):
    with open(lab.path("notes")) as text:
        return text.read().split()


def submit_behind_a_block(lab, system, score, melody, node, values, priorities=()):
    """Submits while the one slot is taken, so that all are ready when it is free."""
    hold = '{ begun = "${inputs.begun}", release = "${inputs.release}" }'
    block = melody(node("block", "lab.hold", hold), inputs=["begun", "release"])
    begun, release = lab.path("begun"), lab.path("release")
    runs = [system.submit(block, {"begun": begun, "release": release})]
    wait_until(lambda: os.path.exists(begun))
    for place, value in enumerate(values):
        priority = priorities[place] if priorities else 0
        inputs = {"value": value, "file": lab.path("notes")}
        runs.append(system.submit(score, inputs, priority=priority))
    Path(release).touch()
    for run in runs:
        run.result(30)


class Newest(Conductor):
    """The newest run first; remembers what it was asked and told."""

    def __init__(self, kit: OrchestraKit):
        super().__init__(kit)
        self.asked, self.told, self.threads = [], [], set()
        self.inside = self.most = 0

    def choose(self, ready):
        with self.alone():
            self.asked.append(ready)
            return max(ready, key=lambda node: node.run)

    def observe(self, outcome):
        with self.alone():
            self.told.append(outcome)

    @contextlib.contextmanager
    def alone(self):
        self.threads.add(threading.get_ident())
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.002)
        yield
        self.inside -= 1


def test_it_is_asked_only_when_more_is_ready_than_slots_are_free(lab, notes, melody, node):
    system = lab.boot(conductor=Newest)
    conductor = system.conductor
    submit_behind_a_block(lab, system, notes, melody, node, "abcd")
    assert noted(lab) == ["d", "c", "b", "a"]
    assert [len(ready) for ready in conductor.asked] == [4, 3, 2]
    for chosen in conductor.asked[0]:
        assert (chosen.node, chosen.extension, chosen.operation) == ("note", "lab", "note")
        assert (chosen.priority, chosen.remaining, chosen.path) == (0, 1, 1)
        assert chosen.warm is True
        assert chosen.age > 0
        assert chosen.queue >= 1
    assert conductor.most == 1
    assert len(conductor.threads) == 1
    assert threading.get_ident() not in conductor.threads
    chain = melody(
        node("a", "lab.echo", "{ value = 1 }"), node("b", "lab.echo", '{ value = "${a}" }')
    )
    system.submit(chain).result(30)
    assert len(conductor.asked) == 3


def test_it_is_told_every_outcome(lab, notes, melody, node):
    system = lab.boot(conductor=Newest)
    score = melody(
        node("good", "lab.span", "{ seconds = 0.05 }"),
        node("bad", "other.fail", "{}", 'retry = 1\non_error = "skip"'),
        node("kept", "artifact-store.put", '{ data = "x" }'),
    )
    run = system.submit(score)
    run.result(30)
    told = system.conductor.told
    end = time.monotonic() + 10
    while len(told) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    by_node = {}
    for outcome in told:
        assert outcome.run == run.id
        by_node.setdefault(outcome.node, []).append(outcome)
    assert {name: [outcome.ok for outcome in found] for name, found in by_node.items()} == {
        "good": [True],
        "bad": [False, False],
        "kept": [True],
    }
    (good,) = by_node["good"]
    assert (good.extension, good.operation) == ("lab", "span")
    assert good.seconds >= 0.05
    (kept,) = by_node["kept"]
    assert (kept.extension, kept.operation) == ("artifact-store", "put")


def test_without_a_policy_the_oldest_goes_first_and_priority_before_it(lab, notes, melody, node):
    system = lab.boot()
    values, priorities = ["a", "b", "low", "high", "critical"], [0, 0, -100, 100, 1000]
    submit_behind_a_block(lab, system, notes, melody, node, values, priorities)
    assert noted(lab) == ["critical", "high", "a", "b", "low"]


class Raises(Conductor):
    def choose(self, ready):
        raise ValueError("no idea")

    def observe(self, outcome):
        raise KeyError("not listening")


class Nonsense(Conductor):
    def choose(self, ready):
        return ["nothing", "of", "the", "kind"]


class Hangs(Conductor):
    def choose(self, ready):
        time.sleep(0.5)
        return ready


@pytest.mark.parametrize("kind", [Raises, Nonsense, Hangs])
def test_its_faults_cost_decisions_and_never_runs(lab, notes, melody, node, kind, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    system = lab.boot(conductor=kind)
    submit_behind_a_block(lab, system, notes, melody, node, "abcd")
    assert noted(lab) == ["a", "b", "c", "d"]
    stats = system.kit.stats()
    # The last outcomes are told while nobody waits for them: before the hook is pytest's again.
    system.shutdown()
    assert stats["done"] == 5
    assert stats["asked"] >= 1
    if kind is Hangs:
        assert stats["late"] >= 1
    else:
        assert stats["refused"] >= 1
        assert {type(each.exc_value) for each in unraisable} <= {ValueError, KeyError, TypeError}
        assert unraisable


def test_a_list_is_an_order_and_what_it_leaves_out_comes_last(lab, notes, melody, node):
    class Third(Conductor):
        def choose(self, ready):
            return [each for each in ready if each.run == first + 3]

    system = lab.boot(conductor=Third)
    first = 1
    submit_behind_a_block(lab, system, notes, melody, node, "abcd")
    assert noted(lab)[0] == "c"
    assert sorted(noted(lab)) == ["a", "b", "c", "d"]


def test_run_returns_when_nothing_is_left_with_its_counts(lab, melody, node):
    system = lab.boot()
    empty = system.run()
    assert (empty.count, empty.ok, empty.failed) == (0, 0, 0)
    good = melody(node("a", "lab.span", "{ seconds = 0.05 }"))
    bad = melody(node("a", "lab.fail"))
    for score in (good, bad, good, good):
        system.submit(score)
    summary = system.run()
    assert (summary.count, summary.ok, summary.failed) == (4, 3, 1)
    assert summary.seconds > 0
    assert summary.per_second == pytest.approx(4 / summary.seconds)
    system.submit(good)
    again = system.run()
    assert (again.count, again.ok) == (1, 1)


def test_run_for_ever_returns_at_shutdown_from_another_thread(lab, melody, node):
    system = lab.boot()
    system.submit(melody(node("a", "lab.echo", "{ value = 1 }"))).result(30)
    entered = threading.Event()

    def end():
        entered.wait(10)
        time.sleep(0.2)
        system.shutdown()

    ending = threading.Thread(target=end)
    ending.start()
    entered.set()
    began = time.monotonic()
    summary = system.run(forever=True)
    assert time.monotonic() - began >= 0.15
    ending.join(20)
    assert not ending.is_alive()
    assert (summary.count, summary.ok) == (1, 1)


class Loops(Conductor):
    """Does its own work in `run`, then the rest."""

    def run(self, forever=False):
        self.seen = self.kit.extension("lab").call("echo", value="own")
        return super().run(forever)


def test_a_conductor_may_have_a_run_of_its_own(lab, melody, node):
    system = lab.boot(conductor=Loops)
    system.submit(melody(node("a", "lab.echo", "{ value = 1 }")))
    summary = system.run()
    assert system.conductor.seen == "own"
    assert (summary.count, summary.ok) == (1, 1)


FOR_EVER = """
import sys
from symphony import Melody, boot

with boot(config=sys.argv[1]) as system:
    text = '[melody]\\nname="m"\\n[[node]]\\nid="a"\\ncall="lab.echo"\\nwith={value=1}\\n'
    system.submit(Melody.from_text(text)).result(30)
    print("up", flush=True)
    summary = system.run(forever=True)
    print(summary.count, summary.ok, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_run_for_ever_returns_at_a_signal(lab, number):
    process = subprocess.Popen(
        [sys.executable, "-c", FOR_EVER, str(lab.workshop.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "up\n"
        time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "1 1\n", "")


class RaisesTwice(Conductor):
    def choose(self, ready):
        raise KeyError("chosen badly")

    def observe(self, outcome):
        raise ValueError("observed badly")


def test_what_it_raises_is_logged_with_its_traceback_and_being_late_too(
    lab, notes, melody, node, monkeypatch, caplog
):
    hooked = []
    monkeypatch.setattr(sys, "unraisablehook", hooked.append)
    for kind in (RaisesTwice, Hangs):
        system = lab.boot(conductor=kind)
        submit_behind_a_block(lab, system, notes, melody, node, "ab")
        system.shutdown()
    records = [each for each in caplog.records if each.name == "symphony.conductor"]
    told = {each.getMessage() for each in records}
    assert {"the Conductor's `choose` raised", "the Conductor's `observe` raised"} <= told
    assert any(text.startswith("`choose` is late") for text in told)
    raised = [each for each in records if each.getMessage().endswith("raised")]
    assert {each.exc_info[0] for each in raised} == {KeyError, ValueError}
    assert all(each.exc_info[2] is not None for each in raised)
    assert hooked, "a hook of the user's own is told in any case"


class NoKit(Conductor):
    def __init__(self) -> None:
        pass


class NoConductor:
    pass


@pytest.mark.parametrize(
    ("made", "text", "hint"),
    [
        (NoKit, "`NoKit` has no `kit`", "super().__init__(kit)"),
        (NoConductor, "the Conductor is `NoConductor`, which has no `run`", "symphony.Conductor"),
        (lambda: 3, "the Conductor is `int`, which has no `run`", "system.submit"),
    ],
    ids=["without a kit", "another class", "a number"],
)
def test_what_cannot_run_says_what_to_do(lab, melody, node, made, text, hint):
    system = lab.boot(conductor=made)
    assert system.submit(melody(node("a", "lab.span", "{ seconds = 0.01 }"))).result(10)
    with pytest.raises(SymphonyError) as caught:
        system.run()
    assert (caught.value.code, text in caught.value.message) == ("contract-mismatch", True)
    assert hint in caught.value.hints[0]
