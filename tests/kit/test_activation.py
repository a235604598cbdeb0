"""When extensions start, how their starts fail, and what the supervisor is made of."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from pathlib import Path

import pytest
from kit_processes import running, supervisor_of
from symphony import boot
from symphony.exceptions import (
    BootError,
    BootTimeoutError,
    CallTimeoutError,
    ExtensionError,
    QuarantinedError,
    StoppedError,
    SymphonyError,
)
from workshop import ECHO, descendants, wait_until


def test_a_lazy_one_is_not_started_before_its_first_call(workshop, tmp_path):
    sign = tmp_path / "sign"
    workshop.extension("lazy", f"open({str(sign)!r}, 'a').write('x')\n{ECHO}")
    workshop.extension("eager", ECHO, 'activation = "eager"')
    with running(workshop) as system:
        lazy, eager = system.kit.extension("lazy"), system.kit.extension("eager")
        assert (eager.state, lazy.state) == ("ready", "installed")
        assert (eager.pid is not None, lazy.pid) == (True, None)
        assert not sign.exists()
        assert lazy.call("echo", value=1) == 1
        assert lazy.state == "ready"
        assert sign.read_text() == "x"


@pytest.mark.parametrize("way", ["threads", "tasks"])
def test_first_calls_at_the_same_time_start_it_once(workshop, tmp_path, way):
    sign = tmp_path / "sign"
    workshop.extension(
        "lazy", f"import time\nopen({str(sign)!r}, 'a').write('x')\ntime.sleep(0.1)\n{ECHO}"
    )
    with running(workshop) as system:
        lazy = system.kit.extension("lazy")
        answers = []
        if way == "threads":
            barrier = threading.Barrier(8)

            def call(number):
                barrier.wait()
                answers.append(lazy.call("echo", value=number))

            threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:

            async def gathered():
                calls = [lazy.call_async("echo", value=number) for number in range(8)]
                return await asyncio.gather(*calls)

            answers = asyncio.run(gathered())
        assert sorted(answers) == list(range(8))
        assert sign.read_text() == "x"
        assert len(descendants(supervisor_of())) == 1


FAILURES = {
    "raises": ("raise ValueError('no licence')", "ValueError: no licence"),
    "syntax": ("def broken(:", "SyntaxError"),
    "imports": ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
    "exits": ("import os; os._exit(3)", "exit code 3"),
    "sys_exits": ("import sys; sys.exit(4)", "exit code 4"),
    "aborts": ("import os; os.abort()", "SIGABRT"),
    "prints": ("import os, sys; print('why', file=sys.stderr); os._exit(1)", "exit code 1"),
    "nothing": ("extension = 3", "not an `Extension`"),
    "other_name": ("extension = Extension('another')\n" + ECHO, "calls itself `another`"),
    "no_operations": ("", "no operations"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_lazy_one_that_cannot_start_says_why_at_its_call(workshop, name):
    source, text = FAILURES[name]
    workshop.extension("bad", source)
    workshop.extension("good", ECHO)
    with running(workshop) as system:
        bad = system.kit.extension("bad")
        with pytest.raises(ExtensionError) as caught:
            bad.call("echo", value=1)
        error = caught.value
        assert error.extension == "bad"
        assert "did not start" in str(error)
        assert text in str(error) or any(text in hint for hint in error.hints), str(error)
        if name == "prints":
            assert "why" in error.hints[0]
        assert bad.state == "failed"
        with pytest.raises(ExtensionError):
            asyncio.run(_echo(bad))
        assert system.kit.extension("good").call("echo", value=1) == 1


async def _echo(handle):
    return await handle.call_async("echo", value=1)


def test_a_wrong_attribute_says_so(workshop):
    workshop.extension("bad", ECHO, entry="bad:extensoin")
    with running(workshop) as system:
        with pytest.raises(ExtensionError, match="has no `extensoin`"):
            system.kit.extension("bad").call("echo", value=1)


def test_one_that_never_answers_is_killed_at_its_deadline(workshop):
    workshop.extension(
        "mute", f"import time\ntime.sleep(1000)\n{ECHO}", '[extension.limits]\nstart = "300ms"\n'
    )
    with running(workshop) as system:
        mute = system.kit.extension("mute")
        begun = time.monotonic()
        with pytest.raises(ExtensionError) as caught:
            mute.call("echo", value=1)
        assert 0.25 < time.monotonic() - begun < 0.3 * 5
        assert caught.value.code == "start-timeout"
        assert "limits.start" in caught.value.hints[-1]
        assert wait_until(lambda: descendants(supervisor_of()) == [])


def test_a_calls_deadline_holds_while_it_starts(workshop):
    workshop.extension("slow", f"import time\ntime.sleep(0.5)\n{ECHO}")
    with running(workshop) as system:
        slow = system.kit.extension("slow")
        for call in (
            lambda: slow.options(timeout=0.1).call("echo", value=1),
            lambda: asyncio.run(_echo(slow.options(timeout=0.1))),
        ):
            begun = time.monotonic()
            with pytest.raises(CallTimeoutError):
                call()
            assert time.monotonic() - begun < 0.4
        assert slow.call("echo", value=1) == 1


def test_one_that_failed_may_be_asked_again_until_its_budget(workshop, tmp_path):
    sign = tmp_path / "licence"
    workshop.extension(
        "moody", f"import os\nif not os.path.exists({str(sign)!r}): raise OSError('no')\n{ECHO}"
    )
    with running(workshop) as system:
        moody = system.kit.extension("moody")
        with pytest.raises(ExtensionError, match="did not start"):
            moody.call("echo", value=1)
        sign.touch()
        assert moody.call("echo", value=1) == 1
    sign.unlink()
    with running(workshop) as system:
        moody = system.kit.extension("moody")
        for _ in range(4):
            with pytest.raises(ExtensionError):
                moody.call("echo", value=1)
        with pytest.raises(QuarantinedError):
            moody.call("echo", value=1)
        sign.touch()
        moody.restart()
        assert moody.call("echo", value=2) == 2


def test_an_eager_one_that_is_required_fails_the_boot(workshop, nothing_left):
    workshop.extension("good", ECHO, 'activation = "eager"')
    workshop.extension("bad", "raise ValueError('no licence')", 'activation = "eager"')
    with pytest.raises(BootError) as caught:
        boot(config=workshop.config)
    assert caught.value.component == "bad"
    assert caught.value.phase == "orchestra_kit"
    text = str(caught.value) + "".join(caught.value.hints) + str(caught.value.__cause__)
    assert "no licence" in text


def test_an_eager_one_that_never_answers_fails_the_boot_in_its_time(workshop, nothing_left):
    workshop.extension(
        "mute",
        f"import time\ntime.sleep(1000)\n{ECHO}",
        'activation = "eager"\n[extension.limits]\nstart = "300ms"\n',
    )
    begun = time.monotonic()
    with pytest.raises(BootTimeoutError):
        boot(config=workshop.config)
    assert time.monotonic() - begun < 0.3 * 6


def test_an_eager_one_that_is_not_required_degrades_the_system(workshop):
    workshop.extension("good", ECHO, 'activation = "eager"')
    workshop.extension(
        "bad", "raise ValueError('no licence')", 'activation = "eager"\nrequired = false'
    )
    with running(workshop) as system:
        assert system.kit.extension("good").call("echo", value=1) == 1
        health = system.health()
        assert health.state == "degraded"
        states = {entry["name"]: entry["status"] for entry in _components(system)}
        assert (states["good"], states["bad"]) == ("ready", "failed")


def _components(system):
    import json

    return json.loads(system.report.to_json())["components"]


def test_the_supervisor_has_one_thread_and_none_of_the_users_code(workshop, tmp_path):
    sign = tmp_path / "pids"
    marker = f"import os\nopen({str(sign)!r}, 'a').write(f'{{os.getpid()}} ')\n"
    for number in range(3):
        workshop.extension(f"e{number}", marker + ECHO, 'activation = "eager"')
    with running(workshop) as system:
        supervisor = supervisor_of()
        handles = [system.kit.extension(f"e{number}") for number in range(3)]
        assert [handle.call("echo", value=1) for handle in handles] == [1, 1, 1]
        assert len(os.listdir(f"/proc/{supervisor}/task")) == 1
        pids = set(map(int, sign.read_text().split()))
        assert pids == {handle.pid for handle in handles}
        assert supervisor not in pids
        maps = Path(f"/proc/{supervisor}/maps").read_text()
        assert str(workshop.folder) not in maps
        assert os.readlink(f"/proc/{supervisor}/cwd")
        # Its own session, so that no signal of the terminal reaches it.
        assert os.getsid(supervisor) == supervisor != os.getsid(0)


def test_a_guest_has_its_lane_and_nothing_else_of_ours(workshop):
    workshop.extension(
        "open",
        """
        import os
        @extension.operation
        def descriptors():
            found = {}
            for name in os.listdir("/proc/self/fd"):
                try:
                    found[name] = os.readlink(f"/proc/self/fd/{name}")
                except OSError:
                    pass
            return found
        @extension.operation
        def about():
            return [os.getcwd(), os.getsid(0) == os.getpid()]
        """,
    )
    with running(workshop) as system:
        handle = system.kit.extension("open")
        found = handle.call("descriptors")
        assert found["0"] == "/dev/null"
        assert found["1"].startswith("pipe:")
        assert found["2"].startswith("pipe:")
        rest = [target for name, target in found.items() if int(name) > 2]
        kinds = sorted(target.partition(":")[0] for target in rest)
        # Its lane, and what its own background reader waits on.
        assert kinds == ["anon_inode", "anon_inode", "socket"], found
        assert handle.call("about") == [str(workshop.folder / "extensions" / "open"), True]


def test_what_it_prints_goes_to_the_log_with_its_name_and_never_to_our_stdout(
    workshop, capfd, caplog
):
    workshop.extension(
        "chatty",
        """
        import subprocess, sys
        @extension.operation
        def talk():
            print("from print")
            print("from stderr", file=sys.stderr)
            subprocess.run(["echo", "from a child"])
            sys.stdout.write("without an end")
            sys.stdout.flush()
        """,
        '[extension.permissions]\nrun = ["echo"]\n',
    )
    with caplog.at_level(logging.DEBUG):
        with running(workshop) as system:
            system.kit.extension("chatty").call("talk")
        assert wait_until(lambda: "without an end" in caplog.text)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    names = {record.name for record in caplog.records if "from print" in record.getMessage()}
    assert names == {"symphony.extension.chatty"}
    for text in ("from stderr", "from a child"):
        assert text in caplog.text


def test_restarts_at_once_come_to_one_new_run(workshop):
    workshop.extension("echo", ECHO)
    with running(workshop) as system:
        echo = system.kit.extension("echo")
        echo.activate()
        for _ in range(4):
            before, pids = echo.pid, []

            def restart(pids=pids):
                echo.options(timeout=20).restart()
                pids.append(echo.pid)

            threads = [threading.Thread(target=restart) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            # One that came when the new run was there already has another; none was ended that somebody waited for.
            assert len(pids) == 4
            assert before not in pids
            assert echo.call("echo", value=1) == 1


def test_a_restart_of_one_that_loads_ends_that_and_both_waiters_get_the_next(workshop):
    flag = workshop.folder / "loads-slowly"
    flag.touch()
    source = f"import os, time\nif os.path.exists({str(flag)!r}): time.sleep(30)\n" + ECHO
    workshop.extension("echo", source, '[extension.limits]\nstart = "40s"\nqueue = 8')
    with running(workshop) as system:
        echo = system.kit.extension("echo").options(timeout=20)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(echo.call("echo", value=2)))
        thread.start()
        assert wait_until(lambda: echo.state == "loading", 10)
        flag.unlink()
        echo.restart()
        thread.join(20)
        assert answers == [2]


def test_a_restart_goes_on_when_nobody_waits_for_it(workshop):
    workshop.extension(
        "echo", "import time\n" + ECHO + "\n@extension.operation\ndef nap():\n    time.sleep(30)\n"
    )
    with running(workshop) as system:
        echo = system.kit.extension("echo")

        def nap():
            with pytest.raises(SymphonyError):
                echo.call("nap")

        thread = threading.Thread(target=nap)
        thread.start()
        assert wait_until(lambda: echo.state == "ready", 10)
        before = echo.pid
        time.sleep(0.2)
        with pytest.raises(CallTimeoutError):
            echo.options(timeout=0.05).restart()
        thread.join(20)
        assert wait_until(lambda: echo.state == "ready" and echo.pid != before, 20)


def test_callers_of_what_is_starting_hear_of_the_shutdown(workshop, nothing_left):
    names = [f"slow{number}" for number in range(6)]
    for name in names:
        workshop.extension(name, f"import time\ntime.sleep(0.3)\n{ECHO}")
    heard, begun = [], threading.Barrier(len(names) * 3 + 1)

    def call(extension):
        begun.wait()
        try:
            heard.append(extension.call("echo", value=1))
        except StoppedError:
            heard.append("stopped")

    with running(workshop) as system:
        extensions = [system.kit.extension(name) for name in names]
        callers = [
            threading.Thread(target=call, args=(one,), daemon=True) for one in extensions * 3
        ]
        for caller in callers:
            caller.start()
        begun.wait()
        time.sleep(0.1)
    for caller in callers:
        caller.join(20)
    assert len(heard) == len(callers)
    assert set(heard) <= {1, "stopped"}
    assert "stopped" in heard
