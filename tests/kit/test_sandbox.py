"""A hostile extension: what its manifest does not grant is refused by the kernel, and it goes on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kit_processes import running, supervisor_of
from workshop import Workshop, write

RUNS = """
import ctypes, os, sys

@extension.operation
def do(code: str, more: dict):
    names = {"libc": ctypes.CDLL(None, use_errno=True), "ctypes": ctypes, "os": os, **more}
    try:
        exec(code, names)
    except OSError as error:
        return [type(error).__name__, error.errno]
    except BaseException as error:
        return [type(error).__name__, str(error)]
    return ["done", names.get("result")]
"""

REFUSED = (["PermissionError", 1], ["PermissionError", 13])
CALL = """
result = libc.syscall({number}, {arguments})
if result == -1:
    raise OSError(ctypes.get_errno(), "refused")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder outside of every grant, with a file in it."""
    folder = tmp_path_factory.mktemp("outside")
    write(folder / "secret.txt", "secret\n")
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory, place):
    workshop = Workshop(tmp_path_factory.mktemp("sandbox"), signs=False)
    workshop.system(f'workspace = "{place}"')
    workshop.extension("hostile", RUNS)
    workshop.extension("sibling", RUNS)
    workshop.extension(
        "reads",
        RUNS,
        """
        [extension.permissions]
        read = ["${workspace}"]
        """,
    )
    workshop.extension(
        "writes",
        RUNS,
        """
        [extension.permissions]
        read = ["${workspace}"]
        write = ["${workspace}"]
        """,
    )
    workshop.extension("online", RUNS, "[extension.permissions]\nnetwork = true\n")
    workshop.extension(
        "runs",
        RUNS,
        '[extension.permissions]\nrun = ["true", "sh", "PYTHON"]\n'.replace(
            "PYTHON", sys.executable
        ),
    )
    with running(workshop) as system:
        yield system


@pytest.fixture
def ask(system):
    def do(name: str, code: str, **more: object):
        handle = system.kit.extension(name).options(timeout=60)
        return handle.call("do", code=textwrap.dedent(code), more=more)

    return do


def test_a_file_that_is_not_granted_is_not_read(ask, place):
    code = "result = open(path).read()"
    path = str(place / "secret.txt")
    assert ask("hostile", code, path=path) in REFUSED
    assert ask("hostile", code, path="/etc/passwd") in REFUSED
    assert ask("reads", code, path=path) == ["done", "secret\n"]
    assert ask("hostile", "result = os.listdir(path)", path=str(place)) in REFUSED


def test_a_link_leads_nowhere_else(ask, place):
    code = """
    link = os.path.join(os.environ["TMPDIR"], "link")
    os.path.lexists(link) and os.unlink(link)
    os.symlink(path, link)
    result = open(link).read()
    """
    assert ask("hostile", code, path=str(place / "secret.txt")) in REFUSED
    hard = "os.link(path, os.path.join(os.environ['TMPDIR'], 'hard'))"
    assert ask("hostile", hard, path=str(place / "secret.txt"))[0] != "done"


def test_another_extensions_folders_are_closed(system, ask):
    assert ask("sibling", "open(os.environ['TMPDIR'] + '/mine', 'w').write('x')")[0] == "done"
    [_, private] = ask("sibling", "result = os.environ['TMPDIR']")
    [_, folder] = ask("sibling", "result = os.getcwd()")
    for path in (f"{private}/mine", f"{folder}/sibling.py", f"{folder}/Symphony.toml"):
        assert Path(path).exists()
        assert ask("hostile", "result = open(path).read()", path=path) in REFUSED, path
    assert ask("hostile", "result = open('hostile.py').read()")[0] == "done"


@pytest.mark.parametrize("what", ["environ", "mem", "fd", "maps", "cmdline"])
def test_the_roots_entries_in_the_process_table_are_closed(ask, what):
    code = f"""
    path = f"/proc/{{root}}/{what}"
    result = os.listdir(path) if {what!r} == "fd" else len(open(path, "rb").read(1))
    """
    for name in ("hostile", "runs"):
        assert ask(name, code, root=os.getpid()) in REFUSED
        assert ask(name, code, root=supervisor_of()) in REFUSED
    [kind, _] = ask("hostile", "result = open('/proc/self/status').read(4)")
    assert kind == "done"


@pytest.mark.parametrize(
    "code",
    [
        "open(path + '/new', 'w')",
        "open(path + '/secret.txt', 'a')",
        "os.truncate(path + '/secret.txt', 0)",
        "os.unlink(path + '/secret.txt')",
        "os.mkdir(path + '/folder')",
        "os.rename(path + '/secret.txt', path + '/moved')",
        "os.mkfifo(path + '/fifo')",
        "os.symlink('/etc', path + '/link')",
    ],
)
def test_nothing_is_written_outside(ask, place, code):
    for name in ("hostile", "reads"):
        assert ask(name, code, path=str(place)) in REFUSED, name
    assert sorted(os.listdir(place)) == ["secret.txt"]
    assert (place / "secret.txt").read_text() == "secret\n"


def test_what_is_granted_is_written(ask, place):
    code = """
    open(path + "/new", "w").write("x")
    os.mkdir(path + "/folder")
    os.rename(path + "/new", path + "/folder/moved")
    os.unlink(path + "/folder/moved")
    os.rmdir(path + "/folder")
    """
    assert ask("writes", code, path=str(place)) == ["done", None]
    # A device that it makes would be as good as the device.
    assert ask("writes", "os.mknod(path + '/disk', 0o60600, 0xFE00)", path=str(place)) in REFUSED
    assert ask("hostile", "open('hostile.py', 'w')") in REFUSED


@pytest.mark.parametrize(
    "code",
    [
        "socket.create_connection((host, port))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (host, port))",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX).connect(path)",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', path)",
        "socket.socket(socket.AF_UNIX).connect(chr(0) + 'symphony-test')",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', path)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_VSOCK)",
    ],
)
def test_no_way_to_the_network(ask, tmp_path, code):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        local.listen()
        more = {
            "host": "127.0.0.1",
            "port": listener.getsockname()[1],
            "path": str(tmp_path / "socket"),
        }
        assert ask("hostile", f"import socket\n{code}", **more) in REFUSED
        if "connection" in code:
            assert ask("online", f"import socket\n{code}.close()", **more) == ["done", None]


def test_a_granted_network_is_no_way_to_the_kernel(ask):
    for code in (
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_VSOCK)",
    ):
        assert ask("online", f"import socket\n{code}") in REFUSED, code
    assert ask(
        "online", "import socket\nresult = socket.getaddrinfo('localhost', 80)[0][4][1]"
    ) == [
        "done",
        80,
    ]


# By their numbers on x86-64; the filter refuses them by name on each architecture.
@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        pytest.param(101, "16, os.getppid(), 0, 0", id="ptrace"),
        pytest.param(310, "os.getppid(), 0, 0, 0, 0, 0", id="process_vm_readv"),
        pytest.param(438, "0, 0, 0", id="pidfd_getfd"),
        pytest.param(425, "8, 0", id="io_uring_setup"),
        pytest.param(323, "0", id="userfaultfd"),
        pytest.param(298, "0, 0, -1, -1, 0", id="perf_event_open"),
        pytest.param(321, "0, 0, 0", id="bpf"),
        pytest.param(250, "0, 0, 0", id="keyctl"),
        pytest.param(272, "0x10000000", id="unshare"),
        pytest.param(308, "3, 0", id="setns"),
        pytest.param(165, "0, 0, 0, 0, 0", id="mount"),
        pytest.param(304, "-100, 0, 0", id="open_by_handle_at"),
        pytest.param(157, "1, 0, 0, 0, 0", id="death signal"),
        pytest.param(302, "os.getppid(), 7, 0, 0", id="limits of another"),
        pytest.param(141, "0, os.getppid(), 19", id="priority of another"),
        pytest.param(141, "1, 0, 19", id="priority of a group"),
        pytest.param(251, "1, os.getppid(), 0", id="disk priority of another"),
        pytest.param(203, "os.getppid(), 0, 0", id="processors of another"),
        pytest.param(144, "os.getppid(), 5, 0", id="scheduler of another"),
        pytest.param(30, "0, 0, 0", id="shmat"),
        pytest.param(31, "0, 2, 0", id="shmctl"),
        pytest.param(65, "0, 0, 0", id="semop"),
        pytest.param(70, "0, 0, 0, 0, 2048", id="msgrcv"),
        pytest.param(159, "0", id="adjtimex"),
        pytest.param(0x40000000 + 39, "0", id="x32"),
    ],
)
def test_a_system_call_that_reaches_past_it(ask, number, arguments):
    code = CALL.format(number=number, arguments=arguments)
    for name in ("hostile", "runs", "online"):
        assert ask(name, code) == ["PermissionError", 1], name


def test_signals_stay_at_home(system, ask):
    others = {
        "root": os.getpid(),
        "supervisor": supervisor_of(),
        "sibling": system.kit.extension("sibling").activate()
        or ask("sibling", "result = os.getpid()")[1],
        "init": 1,
    }
    for name, pid in others.items():
        for guest in ("hostile", "runs"):
            assert ask(guest, "os.kill(pid, 0)", pid=pid) in REFUSED, name
            assert ask(guest, "os.kill(pid, 9)", pid=pid) in REFUSED, name
    code = """
    import signal
    heard = []
    signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    result = heard
    """
    assert ask("hostile", code) == ["done", [1]]
    assert ask("sibling", "result = 1") == ["done", 1]


@pytest.mark.parametrize(
    "code",
    [
        "os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "os.execv('/lib64/ld-linux-x86-64.so.2', ['ld', '/bin/true'])",
        """
        import shutil
        number = os.memfd_create("program")
        with open("/bin/true", "rb") as source, open(number, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target)
        os.execve(number, ["true"], {})
        """,
        "import multiprocessing; multiprocessing.get_context('fork').Process(target=print).start()",
    ],
)
def test_no_program_is_run(ask, code):
    assert ask("hostile", code) in REFUSED


def test_granted_programs_run_and_no_others(ask):
    run = (
        "import subprocess\nresult = subprocess.run(command, capture_output=True, text=True).stdout"
    )
    assert ask("runs", run, command=["sh", "-c", "echo yes"]) == ["done", "yes\n"]
    assert ask("runs", run, command=[sys.executable, "-c", "print(1 + 1)"]) == ["done", "2\n"]
    assert ask("runs", run, command=["ls"]) in REFUSED
    # What it starts is held as it is.
    kind, text = ask("runs", run, command=[sys.executable, "-c", "print(open('/etc/shadow'))"])
    assert (kind, text) == ("done", "")


def test_processes_of_its_own_with_a_run_grant(ask):
    code = """
    import multiprocessing
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        result = pool.map(abs, [-1, -2, -3])
    """
    assert ask("runs", code) == ["done", [1, 2, 3]]


@pytest.mark.parametrize(
    "code",
    [
        """
        import threading
        results = []
        threads = [threading.Thread(target=results.append, args=(n,)) for n in range(20)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        result = len(results) == 20
        """,
        """
        import asyncio
        async def both():
            loop = asyncio.get_running_loop()
            return await asyncio.gather(asyncio.sleep(0, 1), loop.run_in_executor(None, int, "2"))
        result = asyncio.run(both()) == [1, 2]
        """,
        """
        import tempfile
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
            file.flush()
            result = folder.startswith(os.environ["TMPDIR"]) and open(file.name).read() == "x"
        """,
        "import ssl\nresult = ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED",
        """
        import sqlite3
        base = sqlite3.connect(os.path.join(os.environ["TMPDIR"], "base"))
        with base:
            base.execute("create table if not exists t (a)")
            base.execute("insert into t values (1)")
        result = base.execute("select count(*) from t").fetchone()[0] > 0
        """,
        "result = libc.getpid() == os.getpid()",
        "import zoneinfo, datetime\nresult = bool(datetime.datetime.now().astimezone())",
        "open('/dev/null', 'w').write('x')\nresult = len(open('/dev/urandom', 'rb').read(8)) == 8",
        """
        data = os.path.join(os.path.dirname(os.environ["TMPDIR"]), "data")
        open(os.path.join(data, "kept"), "w").write("x")
        result = open(os.path.join(data, "kept")).read() == "x"
        """,
    ],
)
def test_what_must_keep_working(ask, code):
    assert ask("hostile", code) == ["done", True]


def test_a_native_package_with_threads_of_its_own_keeps_working(ask):
    code = """
    import numpy
    result = float(numpy.ones((512, 512)).dot(numpy.ones((512, 512))).sum()) == 512.0**3
    """
    assert ask("hostile", code) == ["done", True]


NATIVE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
static void told(const char *what, long result) { printf("native %s %d\n", what, result < 0 ? errno : 0); }
static int entry(const char *root, const char *name) {
    char path[100];
    snprintf(path, sizeof path, "/proc/%s/%s", root, name);
    return open(path, O_RDONLY);
}
int main(int count, char **words) {
    char *none[] = {"true", NULL};
    int root = atoi(words[1]), pair[2];
    if (count > 2) return 7;
    told("read", open("/etc/passwd", O_RDONLY));
    told("write", open("made", O_WRONLY | O_CREAT, 0600));
    told("environ", entry(words[1], "environ"));
    told("mem", entry(words[1], "mem"));
    told("fd", entry(words[1], "fd"));
    told("tcp", socket(AF_INET, SOCK_STREAM, 0));
    told("udp", socket(AF_INET, SOCK_DGRAM, 0));
    told("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    told("datagrams", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    /* It may have a pair of streams, and neither leads anywhere else. */
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = 1 + snprintf(name.sun_path + 1, 80, "symphony-test-%s", words[1]);
    told("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    told("abstract", connect(pair[0], (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + length));
    told("io_uring", syscall(SYS_io_uring_setup, 8, NULL));
    told("ptrace", ptrace(PTRACE_ATTACH, root, NULL, NULL));
    told("vm", syscall(SYS_process_vm_readv, root, NULL, 0, NULL, 0, 0));
    told("fork", fork());
    told("vfork", syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    told("setsid", setsid());
    told("parent", kill(getppid(), 9));
    told("root", kill(root, 9));
    told("memory", syscall(SYS_execveat, memfd_create("program", 0), "", none, none + 1, AT_EMPTY_PATH));
    told("other", execv("/bin/true", none));
    told("own", open(words[0], O_RDONLY));
    fflush(stdout);
    return 3;
}
"""
# EISCONN: the pair's socket has its other end already.
NATIVE_TOLD = {
    **dict.fromkeys(("read", "write", "environ", "mem", "fd", "other"), 13),
    **dict.fromkeys(("tcp", "udp", "unix", "datagrams", "io_uring", "ptrace", "vm"), 1),
    **dict.fromkeys(("fork", "vfork", "setsid", "parent", "root", "memory"), 1),
    "pair": 0,
    "abstract": 106,
    "own": 0,
}


def test_a_native_extension_is_held_too(tmp_path, caplog):
    workshop = Workshop(tmp_path, signs=False)
    folder = workshop.folder / "extensions" / "native"
    write(folder / "native.c", NATIVE)
    subprocess.run(["cc", "-o", "native", "native.c"], cwd=folder, check=True)
    write(
        folder / "Symphony.toml",
        f"""
        [extension]
        name = "native"
        version = "0.1.0"
        command = ["./native", "{os.getpid()}"]
        operations = ["any"]
        """,
    )
    caplog.set_level("INFO")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0symphony-test-{os.getpid()}")
        listener.listen()
        with running(workshop) as system, pytest.raises(Exception, match="native"):
            system.kit.extension("native").options(timeout=10).call("any")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    lines = [record.getMessage().split() for record in caplog.records]
    said = {
        words[1]: int(words[2]) for words in lines if words[:1] == ["native"] and len(words) == 3
    }
    assert said == NATIVE_TOLD


def test_it_is_told_grant_by_grant(system):
    told = system.kit.enforcement("hostile")
    assert {told[grant] for grant in ("read", "write", "network", "run", "env", "calls")} == {
        "enforced"
    }
    assert system.kit.enforcement("runs")["run"].startswith("degraded: ")


def test_a_pipe_that_a_manifest_names_as_a_program_holds_nobody_up(tmp_path):
    workshop = Workshop(tmp_path, signs=False)
    folder = workshop.extension("piped", RUNS, '[extension.permissions]\nrun = ["./pipe"]\n')
    os.mkfifo(folder / "pipe")
    with running(workshop) as system:
        assert system.kit.enforcement("piped")["run"].startswith("degraded: ")
        handle = system.kit.extension("piped").options(timeout=60)
        assert handle.call("do", code="result = 1", more={}) == ["done", 1]


def test_a_program_of_its_own_may_become_another_and_that_is_told(tmp_path):
    workshop = Workshop(tmp_path, signs=False)
    folder = workshop.folder / "extensions" / "native"
    write(folder / "native", "#!/bin/true\n").chmod(0o755)
    text = '[extension]\nname = "native"\ncommand = ["./native"]\noperations = ["any"]\n'
    write(folder / "Symphony.toml", text)
    with running(workshop) as system:
        assert system.kit.enforcement("native")["run"].startswith("degraded: it starts no process")


def test_a_grant_for_what_is_not_there_is_told(tmp_path):
    workshop = Workshop(tmp_path, signs=False)
    workshop.extension("hopeful", RUNS, '[extension.permissions]\nwrite = ["out"]\n')
    with running(workshop) as system:
        told = system.kit.enforcement("hopeful")["write"]
    assert told.startswith("enforced: ")
    assert str(tmp_path / "extensions" / "hopeful" / "out") in told


def test_memory_has_a_limit(tmp_path):
    workshop = Workshop(tmp_path, signs=False)
    workshop.extension("greedy", RUNS, '[extension.limits]\nmemory = "192MiB"\n')
    with running(workshop) as system:
        handle = system.kit.extension("greedy").options(timeout=60)
        code = "result = len(bytearray(size))"
        assert handle.call("do", code=code, more={"size": 1 << 20}) == ["done", 1 << 20]
        kind, _ = handle.call("do", code=code, more={"size": 400 << 20})
        assert kind == "MemoryError"
        # It goes on, and threads have room.
        code = """
        import threading
        threads = [threading.Thread(target=len, args=("",)) for _ in range(20)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        result = len(bytearray(16 << 20)) >> 20
        """
        assert handle.call("do", code=textwrap.dedent(code), more={}) == ["done", 16]
        assert system.kit.enforcement("greedy")["memory"].startswith("degraded: ")


def test_a_script_that_a_command_names_is_read(tmp_path, caplog):
    workshop = Workshop(tmp_path, signs=False)
    script = write(tmp_path / "elsewhere" / "script.py", "print('it', 'ran')\n")
    write(
        workshop.folder / "extensions" / "scripted" / "Symphony.toml",
        f"""
        [extension]
        name = "scripted"
        version = "0.1.0"
        command = ["{sys.executable}", "{script}"]
        operations = ["any"]
        """,
    )
    caplog.set_level("INFO")
    with running(workshop) as system, pytest.raises(Exception, match="scripted"):
        system.kit.extension("scripted").options(timeout=10).call("any")
    assert "it ran" in caplog.text
