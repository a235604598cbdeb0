"""The root, its supervisor and its forked children: whoever dies, nothing of ours is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path

import pytest
from kit_processes import alive, kill, running, supervisor_of
from symphony import boot
from symphony.exceptions import ExtensionCrashedError, ExtensionError, StoppedError, SymphonyError
from workshop import ECHO, descendants, run_python, wait_until

BUSY = (
    ECHO
    + """
import os, signal, time
@extension.operation
def pid():
    return os.getpid()
@extension.operation
def sleeps(seconds):
    time.sleep(seconds)
@extension.operation
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
"""
)

ROOT = """
import os, sys, threading, time
from symphony import boot
system = boot(config=sys.argv[1])
handles = [system.kit.extension(name) for name in system.kit.extensions()]
acknowledged = [system.pit.artifacts.put(b"acknowledged %d" % number) for number in range(50)]
pids = [handle.call("pid") for handle in handles]
for handle in handles:
    threading.Thread(target=handle.call, args=("sleeps",), kwargs={"seconds": 60}).start()
if sys.argv[2:] == ["fork"]:
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    pids_of_forks = [child]
else:
    pids_of_forks = []
print(pids, pids_of_forks, acknowledged, flush=True)
time.sleep(60)
"""


@pytest.fixture
def root(workshop):
    """Starts a root in a process of its own; gives it with what it said."""
    for number in range(3):
        workshop.extension(f"busy{number}", BUSY)
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", ROOT, str(workshop.config), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        pids, forks, acknowledged = eval(f"[{process.stdout.readline().replace('] [', '], [')}]")
        ours = [pid for pid in descendants(process.pid) if pid not in forks]
        assert set(pids) < set(ours)
        return process, ours, forks, acknowledged

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("arguments", [(), ("fork",)], ids=["alone", "with a forked child"])
def test_a_root_that_is_killed_leaves_no_process_and_a_clean_state(root, workshop, arguments):
    process, ours, forks, acknowledged = root(*arguments)
    try:
        process.kill()
        process.wait()
        assert wait_until(lambda: not any(map(alive, ours)), 1.0), "something of ours is left"
        # The next system has the state at once, also while the forked child sleeps.
        with boot(config=workshop.config) as system:
            for number, artifact in enumerate(acknowledged):
                assert system.pit.artifacts.get(artifact) == b"acknowledged %d" % number
            assert system.pit.artifacts.verify()["bad"] == []
            assert system.kit.extension("busy0").call("echo", value=1) == 1
        assert all(map(alive, forks))
    finally:
        for fork in forks:
            kill(fork)


def test_a_root_that_is_terminated_ends_with_all_of_it(root):
    process, ours, _, _ = root()
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert wait_until(lambda: not any(map(alive, ours)), 3.0)


def test_a_supervisor_that_is_killed_is_replaced(workshop):
    for number in range(3):
        workshop.extension(f"busy{number}", BUSY)
    with running(workshop) as system:
        handles = [system.kit.extension(f"busy{number}") for number in range(3)]
        pids = [handle.call("pid") for handle in handles]
        first = supervisor_of()
        kill(first)
        assert wait_until(lambda: not any(map(alive, [first, *pids])), 2.0)

        def again(handle):
            for _ in range(3):
                try:
                    return handle.call("echo", value=1)
                except ExtensionCrashedError as error:
                    assert "supervisor" in str(error)
            return None

        assert [again(handle) for handle in handles] == [1, 1, 1]
        assert supervisor_of() != first
        assert not {handle.call("pid") for handle in handles} & set(pids)
        assert system.health().state == "healthy"


def test_a_supervisor_killed_during_a_call_ends_the_call_typed(workshop):
    workshop.extension("busy", BUSY)
    with running(workshop) as system:
        busy = system.kit.extension("busy")
        busy.call("pid")
        supervisor = supervisor_of()
        import threading

        threading.Timer(0.1, kill, [supervisor]).start()
        with pytest.raises(ExtensionCrashedError):
            busy.call("sleeps", seconds=30)
        assert busy.call("echo", value=1) == 1


def test_a_supervisor_that_dies_again_and_again_is_missed_typed_and_comes_back(
    workshop, nothing_left
):
    workshop.extension("busy", BUSY, "[extension.restart]\nbudget = 0\n")
    with running(workshop) as system:
        busy = system.kit.extension("busy")
        busy.call("pid")
        missed, unhealthy, end = None, False, time.monotonic() + 30
        while not (missed and unhealthy) and time.monotonic() < end:
            with contextlib.suppress(AssertionError):
                kill(supervisor_of())
            time.sleep(0.05)
            unhealthy |= system.health().state == "unhealthy"
            try:
                busy.call("echo", value=1)
            except ExtensionCrashedError:
                continue
            except ExtensionError as error:
                missed = error
        assert missed is not None
        assert unhealthy
        assert wait_until(lambda: busy.state == "ready", 40), busy.state
        assert busy.call("echo", value=1) == 1
        assert wait_until(lambda: system.health().state == "healthy"), system.health()


def test_one_that_ignores_sigterm_is_killed_within_the_deadline(workshop, nothing_left):
    workshop.extension("stubborn", BUSY)
    with running(workshop) as system:
        stubborn = system.kit.extension("stubborn")
        pid = stubborn.call("pid")
        with pytest.raises(TimeoutError):
            stubborn.options(timeout=0.1).call("stubborn")
        begun = time.monotonic()
        system.shutdown()
        assert time.monotonic() - begun < 3.5
        assert not alive(pid)


def test_many_stubborn_ones_stop_side_by_side(workshop, nothing_left):
    for number in range(4):
        workshop.extension(f"stubborn{number}", BUSY)
    with running(workshop) as system:
        for number in range(4):
            handle = system.kit.extension(f"stubborn{number}")
            handle.call("pid")
            with pytest.raises(TimeoutError):
                handle.options(timeout=0.05).call("stubborn")
        begun = time.monotonic()
        system.shutdown(timeout=1.0)
        assert time.monotonic() - begun < 3.5


FORKED = """
import os, sys, time, warnings
# From 3.12 on Python warns of a fork beside threads; what a child may do all the same is what is tested.
warnings.simplefilter("ignore", DeprecationWarning)
from symphony import boot
from symphony.exceptions import ForkedError
before = set(os.listdir("/proc/self/fd"))
system = boot(config=sys.argv[1])
handle = system.kit.extension("busy")
assert handle.call("echo", value=1) == 1
handle.call_many("echo", [{"value": 1}] * 10)
topic = system.bus.topic("t")
subscription = topic.subscribe()
supervisor = int(open(f"/proc/self/task/{os.getpid()}/children").read().split()[0])
parent = {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
          if name not in before and os.path.exists(f"/proc/self/fd/{name}")
          or name not in before and os.path.islink(f"/proc/self/fd/{name}")}
child = os.fork()
if child == 0:
    try:
        kept = {}
        for name, target in parent.items():
            try:
                now = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                continue
            if now == target and now.partition(":")[0] in ("socket", "pipe", "anon_inode") \
                    or now.endswith("/lock"):
                kept[name] = now
        assert not kept, kept
        for use in (
            lambda: handle.call("echo", value=1),
            lambda: handle.call_many("echo", [{"value": 1}]),
            lambda: handle.stream("echo", value=1),
            lambda: handle.restart(),
            lambda: system.kit.extension("busy"),
            lambda: system.pit.artifacts.put(b"x"),
            lambda: topic.publish(1),
            lambda: subscription.get(timeout=0.1),
            lambda: system.submit("none.toml"),
            lambda: system.health(),
        ):
            try:
                use()
            except ForkedError:
                continue
            raise AssertionError(f"no ForkedError: {use.__code__.co_firstlineno}")
        system.shutdown()
        print("child ok", flush=True)
    except BaseException as error:
        import traceback
        traceback.print_exc()
        os._exit(9)
    sys.exit(5)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 5 if hasattr(os, "waitstatus_to_exitcode") else True
assert handle.call("echo", value=2) == 2
assert system.pit.artifacts.get(system.pit.artifacts.put(b"after")) == b"after"
assert subscription.get(timeout=0.01, default="none") == "none"
system.shutdown()
print("parent ok")
"""


def test_a_forked_child_lets_go_of_everything_and_the_parent_goes_on(workshop):
    workshop.extension("busy", BUSY)
    workshop.extension("eager", BUSY, 'activation = "eager"')
    result = run_python(FORKED, str(workshop.config), timeout=30)
    assert (result.returncode, result.stdout) == (0, "child ok\nparent ok\n"), result.stderr
    assert result.stderr == ""


def test_multiprocessing_by_fork_works_beside_a_system(workshop):
    workshop.extension("busy", BUSY)
    result = run_python(
        """
        import multiprocessing, sys
        from symphony import boot
        def square(number):
            return number * number
        if __name__ == "__main__":
            with boot(config=sys.argv[1]) as system:
                assert system.kit.extension("busy").call("echo", value=1) == 1
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    print(pool.map(square, range(5)))
                assert system.kit.extension("busy").call("echo", value=1) == 1
        """,
        str(workshop.config),
        timeout=30,
    )
    assert (result.returncode, result.stdout) == (0, "[0, 1, 4, 9, 16]\n"), result.stderr


def test_a_root_that_never_shuts_down_leaves_nothing(workshop, tmp_path):
    workshop.extension("busy", BUSY)
    sign = tmp_path / "pid"
    for end in ("", "import os; os._exit(0)", "raise SystemExit(7)", "1 / 0"):
        source = textwrap.dedent(
            f"""
            import sys
            from symphony import boot
            system = boot(config=sys.argv[1])
            open({str(sign)!r}, "w").write(str(system.kit.extension("busy").call("pid")))
            {end}
            """
        )
        result = run_python(source, str(workshop.config), timeout=30)
        expected = {"": 0, "raise SystemExit(7)": 7, "1 / 0": 1}.get(end, 0)
        assert result.returncode == expected, result.stderr
        pid = int(sign.read_text())
        assert wait_until(lambda pid=pid: not alive(pid), 1.0)


def test_two_roots_do_not_share_a_state(workshop):
    workshop.extension("busy", BUSY)
    with running(workshop) as system:
        with pytest.raises(SymphonyError) as caught:
            boot(config=workshop.config)
        assert caught.value.code == "state-locked"
        told = "".join(traceback.format_exception(None, caught.value, None))
        assert f"process {os.getpid()} holds its lock" in told
        assert system.kit.extension("busy").call("echo", value=1) == 1
    assert Path(workshop.folder / ".symphony").is_dir()
    with running(workshop):
        pass


STREAM = """
@extension.operation
def numbers(count: int):
    yield from range(count)
"""


def test_after_the_shutdown_every_handle_says_so(workshop):
    workshop.extension("echo", ECHO + STREAM)
    melody = workshop.melody(
        '[melody]\nname = "m"\n[[node]]\nid = "n"\ncall = "echo.echo"\nwith = { value = 1 }\n'
    )
    with running(workshop) as system:
        echo, topic, bus, kit = (
            system.kit.extension("echo"),
            system.bus.topic("t"),
            system.bus,
            system.kit,
        )
        stream, subscription = echo.stream("numbers", count=20), topic.subscribe()
        assert next(stream) == 0
        run = system.submit(melody)
        assert run.result() == {"n": 1}
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(list(topic.subscribe())))
        thread.start()
        time.sleep(0.1)
        topic.publish(1)
    thread.join(20)
    # A loop that waited for the next value has ended, with what came before.
    assert waiting == [[1]]
    # So has the wait for what was published before; whoever asks for more is told.
    assert subscription.get(timeout=1.0) == 1
    for use in (
        lambda: topic.publish(1),
        lambda: topic.subscribe(),
        lambda: next(subscription),
        lambda: subscription.get(timeout=0.1),
        lambda: bus.topic("u"),
        lambda: bus.loan(3),
        lambda: next(stream),
        lambda: echo.call("echo", value=1),
        lambda: echo.call_many("echo", [{"value": 1}]),
        lambda: echo.stream("numbers", count=1),
        lambda: echo.activate(),
        lambda: echo.restart(),
        lambda: kit.extension("echo"),
        lambda: system.submit(melody),
        lambda: system.run(),
        lambda: system.health(),
    ):
        with pytest.raises(StoppedError):
            use()
    # What it came to is known; what is given back is given back.
    assert run.result() == {"n": 1}
    stream.close()
    subscription.close()


def test_a_result_that_does_not_come_says_how_long_it_was_waited_for(workshop):
    workshop.extension(
        "slow", "import time\n@extension.operation\ndef nap():\n    time.sleep(20)\n"
    )
    melody = workshop.melody('[melody]\nname = "m"\n[[node]]\nid = "n"\ncall = "slow.nap"\n')
    with running(workshop) as system:
        run = system.submit(melody)
        with pytest.raises(TimeoutError, match="`m` did not end in 300 ms"):
            run.result(timeout=0.3)
        run.cancel()
