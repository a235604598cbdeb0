"""Failures in a Melody: retry, skip, fallback, fail; crashes; cancelling."""

from __future__ import annotations

import os
import signal
import time

import pytest
from conftest import run_python
from symphony import (
    CallTimeoutError,
    ExtensionCrashedError,
    ExtensionError,
    RemoteError,
    StoppedError,
    SymphonyError,
)

HANG = '{ file = "${inputs.file}" }'


def eventually(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_a_node_is_tried_again_until_it_succeeds(system, melody, node):
    with_ = '{ name = "x", times = 2 }'
    score = melody(node("a", "lab.fail_times", with_, "retry = 2"))
    assert system.submit(score).result(30) == {"a": ["done", 3]}


def test_retries_have_an_end(system, melody, node):
    with_ = '{ name = "x", times = 9 }'
    score = melody(node("a", "lab.fail_times", with_, "retry = 2"))
    with pytest.raises(RemoteError, match="try 3") as caught:
        system.submit(score).result(30)
    assert (caught.value.extension, caught.value.operation) == ("lab", "fail_times")
    assert caught.value.type_name == "ValueError"
    assert "node `a` (`lab.fail_times`) of `m` failed" in str(caught.value)


def test_a_skipped_node_is_none_and_what_uses_it_runs(system, melody, node):
    score = melody(
        node("a", "lab.fail", "{}", 'on_error = "skip"'),
        node("b", "lab.echo", '{ value = ["${a}", "${a.part}", "<${a}>"] }'),
    )
    run = system.submit(score)
    assert run.result(30) == {"a": None, "b": [None, None, "<>"]}
    assert run.state == "done"


@pytest.mark.parametrize(
    "written",
    ['on_error = { fallback = "plan_b" }', 'on_error = "fallback"\nfallback = "plan_b"'],
    ids=["table", "beside"],
)
@pytest.mark.parametrize("fails", [True, False])
def test_a_fallback_runs_only_in_need_and_gives_its_value(
    lab, system, melody, node, written, fails
):
    notes = lab.path("notes")
    score = melody(
        node(
            "a",
            "lab.fail" if fails else "lab.echo",
            '{ text = "x" }' if fails else "{ value = 1 }",
            written,
        ),
        node("plan_b", "other.note", f'{{ value = 2, file = "{notes}" }}'),
        node("c", "lab.echo", '{ value = "${a}" }'),
    )
    result = system.submit(score).result(30)
    if fails:
        assert result == {"a": 2, "plan_b": 2, "c": 2}
    else:
        assert result == {"a": 1, "plan_b": None, "c": 1}
    assert os.path.exists(notes) is fails


def test_the_first_failure_is_raised_and_the_rest_is_cancelled(lab, system, melody, node):
    begun, ended = lab.path("begun"), lab.path("ended")
    score = melody(
        node("slow", "other.until_cancelled", f'{{ begun = "{begun}", ended = "{ended}" }}'),
        node("bad", "lab.hang_once", '{ file = "${inputs.file}" }'),
        node("after", "lab.note", f'{{ value = "${{slow}}", file = "{lab.path("notes")}" }}'),
        inputs=["file"],
    )
    file = lab.path("pid")
    run = system.submit(score, {"file": file})
    assert eventually(lambda: os.path.exists(begun) and os.path.exists(file))
    assert run.state == "running"
    with open(file) as text:
        os.kill(int(text.read()), signal.SIGKILL)
    with pytest.raises(ExtensionCrashedError) as caught:
        run.result(30)
    assert caught.value.extension == "lab"
    assert caught.value.code == "extension-crashed"
    assert "SIGKILL" in str(caught.value)
    assert run.state == "failed"
    assert eventually(lambda: os.path.exists(ended))
    assert system.kit.extension("lab").call("echo", value=1) == 1
    assert not os.path.exists(lab.path("notes"))


def test_a_killed_extension_is_started_again_and_its_node_retried(lab, system, melody, node):
    score = melody(
        node("a", "lab.hang_once", HANG, "retry = 1"),
        node("b", "other.echo", '{ value = "${a}" }'),
        inputs=["file"],
    )
    file = lab.path("pid")
    run = system.submit(score, {"file": file})
    assert eventually(lambda: os.path.exists(file))
    with open(file) as text:
        os.kill(int(text.read()), signal.SIGKILL)
    assert run.result(30) == {"a": "second", "b": "second"}


def test_a_node_has_a_deadline_of_its_own(system, melody, node):
    score = melody(node("a", "lab.span", "{ seconds = 5 }", 'timeout = "200ms"'))
    with pytest.raises(CallTimeoutError) as caught:
        system.submit(score).result(30)
    assert caught.value.extension == "lab"


def test_waiting_has_a_deadline_and_the_run_goes_on(system, melody, node):
    run = system.submit(melody(node("a", "lab.span", "{ seconds = 0.4 }")))
    with pytest.raises(TimeoutError):
        run.result(0.05)
    assert run.state == "running"
    assert set(run.result(30)) == {"a"}
    assert run.result(0) == run.result()


def test_a_run_can_be_cancelled(lab, system, melody, node):
    begun, ended = lab.path("begun"), lab.path("ended")
    score = melody(
        node("a", "lab.until_cancelled", f'{{ begun = "{begun}", ended = "{ended}" }}'),
        node("b", "lab.note", f'{{ value = "${{a}}", file = "{lab.path("notes")}" }}'),
    )
    run = system.submit(score)
    assert eventually(lambda: os.path.exists(begun))
    run.cancel()
    with pytest.raises(SymphonyError) as caught:
        run.result(30)
    assert caught.value.code == "cancelled"
    assert run.state == "cancelled"
    run.cancel()
    assert eventually(lambda: os.path.exists(ended))
    assert not os.path.exists(lab.path("notes"))
    assert system.submit(melody(node("x", "lab.echo", "{ value = 1 }"))).result(30) == {"x": 1}


def test_cancelling_what_has_ended_changes_nothing(system, melody, node):
    run = system.submit(melody(node("a", "lab.echo", "{ value = 1 }")))
    assert run.result(30) == {"a": 1}
    run.cancel()
    assert (run.state, run.result()) == ("done", {"a": 1})


def test_shutdown_ends_runs_and_nothing_more_is_taken(lab, melody, node):
    system = lab.boot()
    begun = lab.path("begun")
    score = melody(
        node("a", "lab.until_cancelled", f'{{ begun = "{begun}", ended = "{lab.path("e")}" }}')
    )
    run = system.submit(score)
    assert eventually(lambda: os.path.exists(begun))
    system.shutdown()
    with pytest.raises(SymphonyError) as caught:
        run.result(30)
    assert isinstance(caught.value, (StoppedError, ExtensionError))
    assert run.state == "failed"
    with pytest.raises(StoppedError):
        system.submit(score)


def test_one_failed_run_does_not_touch_the_others(system, melody, node):
    good = melody(node("a", "lab.add", '{ left = "${inputs.x}" }'), inputs=["x"])
    bad = melody(node("a", "lab.fail"))
    runs = [system.submit(good, {"x": n}) if n % 3 else system.submit(bad) for n in range(30)]
    for number, run in enumerate(runs):
        if number % 3:
            assert run.result(30) == {"a": number + 1}
        else:
            with pytest.raises(RemoteError):
                run.result(30)


CHAIN = """
import sys
from symphony import boot

def node(name, call, more):
    return f'[[node]]\\nid = "{name}"\\ncall = "artifact-store.{call}"\\n{more}\\n'

def bad(name, wanted, then):
    return node(name, "get", f'with = {{ id = "{wanted}" }}\\non_error = {then}')

length = int(sys.argv[1])
falls = '{ fallback = "s%d" }'
lines = ['[melody]\\nname = "chain"\\n', bad("first", "none", falls % 0)]
lines.append(node("gap", "put", 'with = { data = "${first}" }\\non_error = "skip"'))
lines.append(bad("second", "n${gap}", falls % 0))
for number in range(length):
    lines.append(bad(f"s{number}", "none", falls % (number + 1) if number + 1 < length else '"skip"'))
with open("chain.toml", "w") as file:
    file.writelines(lines)
with boot() as system:
    values = system.submit("chain.toml").result(60)
    print(values["first"], values["second"], len(values))
"""


def test_any_number_of_stand_ins_may_have_failed_already(tmp_path):
    # The second walk finds the whole chain failed; a process of its own, as it ended in a crash.
    done = run_python(CHAIN, "3000", cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["None", "None", "3003"]
