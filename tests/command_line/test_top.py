"""`symphony top`: finds systems that run, tells what they do, and disturbs none of them."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from workshop import ECHO, wait_until

SYSTEM_KEYS = {
    "schema",
    "system",
    "pid",
    "uptime_seconds",
    "ready_seconds",
    "memory_mb",
    "cpu_seconds",
    "extensions",
    "members",
    "runs",
}
EXTENSION_KEYS = {
    "name",
    "state",
    "pid",
    "restarts",
    "calls",
    "errors",
    "queue",
    "p50_seconds",
    "p99_seconds",
    "memory_mb",
    "cpu_seconds",
    "last_error",
    "grants",
}
FAILING = ECHO + "\n@extension.operation\ndef fail() -> None:\n    raise ValueError('no')\n"


@pytest.fixture
def session(cli, tmp_path_factory):
    """The folder of the session, and in it that of the sockets."""
    runtime = tmp_path_factory.mktemp("session")
    cli.environment["XDG_RUNTIME_DIR"] = str(runtime)
    return runtime / "symphony"


@pytest.fixture
def running(cli, workshop, session):
    """`symphony run --forever` of a system with an extension; ended after the test."""
    workshop.extension("echo", FAILING, 'activation = "eager"\n')
    workshop.system('state = "state"\n')
    process = cli.start("run", "--forever")
    assert wait_until(lambda: session.is_dir() and os.listdir(session), 60)
    yield process
    if process.poll() is None:
        process.terminate()
        process.communicate(timeout=30)
    assert os.listdir(session) == []


def figures(cli, *arguments):
    ended = cli("top", "--once", "--json", *arguments)
    assert ended.code == 0, ended
    assert ended.document["ok"] is True
    for system in ended.document["systems"]:
        assert set(system) == SYSTEM_KEYS
        assert all(set(extension) == EXTENSION_KEYS for extension in system["extensions"])
    return ended.document["systems"]


def test_a_running_system_is_told(cli, running):
    (system,) = figures(cli)
    assert system["system"] == "test"
    assert system["pid"] == running.pid
    assert system["memory_mb"] > 0
    assert {member["name"] for member in system["members"]} == {
        "pool-manager",
        "artifact-store",
        "dag-tracker",
        "arbitration-engine",
        "stale-manager",
    }
    (echo,) = system["extensions"]
    assert (echo["name"], echo["state"], echo["restarts"]) == ("echo", "ready", 0)
    assert echo["pid"] in {int(pid) for pid in os.listdir("/proc") if pid.isdigit()}
    assert (echo["calls"], echo["errors"], echo["p50_seconds"]) == (0, 0, None)


def test_what_was_killed_and_what_it_said_is_told(cli, running):
    before = figures(cli)[0]["extensions"][0]["pid"]
    os.kill(before, signal.SIGKILL)

    def is_back():
        (echo,) = figures(cli)[0]["extensions"]
        return echo["state"] == "ready" and echo["pid"] != before and echo["restarts"] == 1

    assert wait_until(is_back, 30)


def test_calls_errors_and_times_are_counted(workshop, session):
    from symphony import boot
    from symphony._cli._top._systems import ask
    from symphony.exceptions import RemoteError
    from symphony.top import serve

    workshop.extension("echo", FAILING)
    workshop.system('state = "state"\n')
    with (
        boot(config=workshop.config) as system,
        serve(system, state=workshop.folder / "state") as served,
    ):
        handle = system.kit.extension("echo")
        for number in range(8):
            assert handle.call("echo", value=number) == number
        assert handle.call_many("echo", [{"value": 1}, {"value": 2}]) == [1, 2]
        with pytest.raises(RemoteError):
            handle.call("fail")
        (echo,) = ask(served.path, {"ask": "figures"})["extensions"]
        assert (echo["calls"], echo["errors"], echo["queue"]) == (11, 1, 0)
        assert 0 < echo["p50_seconds"] <= echo["p99_seconds"] < 60
        assert ask(served.path, {"ask": "stop", "extension": "nobody"})["error"]
        assert ask(served.path, {"ask": "stop", "extension": "echo"}) == {"ok": True}
        assert wait_until(lambda: handle.state == "stopped", 20)
    assert not os.path.exists(served.path)
    served.close()


def test_an_order_to_restart_is_carried_out(cli, running, session):
    from symphony._cli._top._systems import ask

    (name,) = os.listdir(session)
    path = str(session / name)
    before = ask(path, {"ask": "figures"})["extensions"][0]["pid"]
    assert ask(path, {"ask": "restart", "extension": "echo"}) == {"ok": True}

    def is_another():
        (echo,) = ask(path, {"ask": "figures"})["extensions"]
        return echo["state"] == "ready" and echo["pid"] not in {None, before}

    assert wait_until(is_another, 30)


def test_text_and_prometheus(cli, running):
    ended = cli("top", "--once")
    assert ended.code == 0
    assert re.search(r"(?m)^test  pid \d+  up ", ended.out)
    assert re.search(r"(?m)^  echo +ready +\d+ +0 ", ended.out)
    samples = parsed(cli("top", "--format", "prometheus").out)
    label = {"system": "test", "pid": str(running.pid)}
    assert samples["symphony_extension_state"] == [
        ({**label, "extension": "echo", "state": "ready"}, 1.0)
    ]
    assert samples["symphony_extension_calls_total"] == [({**label, "extension": "echo"}, 0.0)]
    assert samples["symphony_memory_bytes"][0][1] > 1 << 20


def test_prometheus_takes_any_name():
    from symphony._cli._top import _prometheus

    name = 'a "quoted"\\ name\nof two lines'
    system = {
        **dict.fromkeys(SYSTEM_KEYS),
        "system": name,
        "pid": 1,
        "uptime_seconds": 0.5,
        "extensions": [],
        "members": [],
        "runs": {"done": 3},
    }
    samples = parsed(_prometheus.text([system, {**system, "pid": 2}]))
    assert samples["symphony_uptime_seconds"] == [
        ({"system": name, "pid": "1"}, 0.5),
        ({"system": name, "pid": "2"}, 0.5),
    ]
    assert _prometheus.text([]) == ""


def parsed(text):
    """The exposition format, read strictly: each metric once, its kind before its samples."""
    assert text.endswith("\n")
    samples, kinds, last = {}, {}, None
    for line in text.splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) ([a-z_0-9]+) (.+)", line)
        if comment:
            if comment[1] == "TYPE":
                assert comment[2] not in kinds, "a metric stands twice"
                assert comment[3] in {"gauge", "counter"}
                kinds[comment[2]] = comment[3]
                last = comment[2]
            continue
        sample = re.fullmatch(
            r'([a-z_0-9]+)\{((?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (\S+)', line
        )
        assert sample, line
        assert sample[1] == last, "a sample of another metric"
        assert (kinds[last] == "counter") == last.endswith("_total")
        labels = {
            key: re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), value)
            for key, value in re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', sample[2])
        }
        samples.setdefault(last, []).append((labels, float(sample[3])))
    return samples


# -- Where nothing runs, or something is in the way --------------------------------------------------------------------


def test_where_nothing_runs(cli, session):
    ended = cli("top", "--once", "--json")
    assert ended.code == 1
    assert ended.document == {"ok": False, "systems": []}
    assert ended.err.startswith("error: no system")
    assert cli("top", "--format", "xml").code == 2


def test_without_a_session_the_state_is_looked_in(cli, workshop):
    cli.environment.pop("XDG_RUNTIME_DIR", None)
    workshop.extension("echo", ECHO)
    workshop.system('state = "state"\n')
    process = cli.start("run", "--forever")
    try:
        folder = workshop.folder / "state" / "top"
        assert wait_until(lambda: folder.is_dir() and os.listdir(folder), 60)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert figures(cli)[0]["pid"] == process.pid
        assert figures(cli, "--state", "state")[0]["pid"] == process.pid
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert os.listdir(folder) == []


def test_the_socket_of_a_system_that_was_killed_is_removed_by_the_next(cli, running, session):
    running.kill()
    running.communicate()
    (name,) = os.listdir(session)
    assert cli("top", "--once", "--json").code == 1
    process = cli.start("run", "--forever")
    try:
        assert wait_until(lambda: os.listdir(session) not in ([], [name]), 60)
        assert figures(cli)[0]["pid"] == process.pid
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_folder_that_others_may_enter_is_neither_served_in_nor_looked_in(cli, workshop, session):
    session.mkdir(mode=0o755)
    session.chmod(0o755)
    workshop.extension("echo", ECHO)
    assert cli("run").code == 0
    assert os.listdir(session) == []
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(session / "1.socket"))
        stranger.listen()
        assert cli("top", "--once", "--json").code == 1


def test_hostile_connections_disturb_nobody(cli, running, session):
    (name,) = os.listdir(session)
    path = str(session / name)
    hostile = []
    for said in (
        b"",
        b"{",
        b"x" * 100_000,
        b"[]\n",
        b'{"ask": 1}\n',
        b"\xff\n",
        b"{}{}\n" * 9,
        b"[" * 3000 + b"\n",
    ):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(5)
        peer.connect(path)
        hostile.append(peer)
        try:
            peer.sendall(said)
        except OSError:
            assert len(said) > 4096
    hostile.pop().close()
    try:
        assert wait_until(lambda: cli("top", "--once", "--json").code == 0, 30)
        assert running.poll() is None
    finally:
        for peer in hostile:
            peer.close()


def test_a_server_that_never_answers_is_left_out(cli, running, session):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(session / "0.socket"))
        silent.listen()
        assert [system["pid"] for system in figures(cli)] == [running.pid]
    (session / "0.socket").unlink()


def test_a_forked_child_of_the_root_does_not_hold_the_socket(workshop, session):
    from symphony import boot
    from symphony.top import serve

    with boot() as system, serve(system, state=workshop.folder) as served:
        number = served._socket.fileno()
        child = os.fork()
        if child == 0:
            try:
                os.fstat(number)
                os._exit(1)
            except OSError:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def test_the_live_view_shows_restarts_and_ends(cli, running):
    """On a terminal: the table, a key that restarts, a key that ends, and the terminal as it was."""
    master, slave = pty.openpty()
    before = figures(cli)[0]["extensions"][0]["pid"]
    process = subprocess.Popen(
        [sys.executable, "-m", "symphony", "top"],
        cwd=cli.workshop.folder,
        env={**cli.environment, "TERM": "xterm", "COLUMNS": "150", "LINES": "30"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    end = time.monotonic() + 60
    try:
        pressed = ended = False
        while time.monotonic() < end and process.poll() is None:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
            if b"echo" in shown and not pressed:
                os.write(master, b"r")
                pressed = True
            if b"restart `echo`: begun" in shown and not ended:
                os.write(master, b"q")
                ended = True
        assert process.wait(20) == 0, shown[-500:]
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert ended, shown
    assert b"\x1b[?1049l" in shown, "the screen was not given back"
    assert wait_until(lambda: figures(cli)[0]["extensions"][0]["pid"] not in {None, before}, 30)
