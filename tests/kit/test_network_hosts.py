"""`network = ["host:port"]`: what is listed is connected to, by whatever means; nothing else is, whatever is tried."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from pathlib import Path

import machines
import pytest
from kit_processes import alive, kill, supervisor_of
from listed_hosts import CONNECT, HAS_6
from test_sandbox import REFUSED, RUNS
from workshop import Workshop, descendants, run_python, symphony, wait_until, write

pytestmark = pytest.mark.timeout(120)


WORKS = {
    "connect": CONNECT,
    "timeout": """
        with socket.create_connection(("127.0.0.1", listed), timeout=20) as peer:
            result = peer.recv(4) == b"HTTP" and peer.gettimeout() == 20
        """,
    "blocking stays blocking": """
        with socket.socket() as peer:
            peer.connect(("127.0.0.1", listed))
            result = os.get_blocking(peer.fileno()) and peer.recv(4) == b"HTTP"
        """,
    "not blocking": """
        import select
        with socket.socket() as peer:
            peer.setblocking(False)
            first = peer.connect_ex(("127.0.0.1", listed))
            select.select([], [peer], [], 20)
            error = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            again = peer.connect_ex(("127.0.0.1", listed))
            result = [first in (0, 115), error, again in (0, 106)] == [True, 0, True]
        """,
    "twice": """
        with socket.create_connection(("127.0.0.1", listed)) as peer:
            result = peer.connect_ex(("127.0.0.1", listed)) == 106
        """,
    "no such descriptor": """
        address = (ctypes.c_char * 16).from_buffer_copy(
            b"\\x02\\x00" + listed.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8))
        errors = []
        for number in (999, 0):
            libc.connect(number, address, 16)
            errors.append(ctypes.get_errno())
        libc.connect(0, ctypes.c_void_p(8), 16)
        result = [*errors, ctypes.get_errno()] == [9, 88, 14]
        """,
    "asyncio": """
        import asyncio
        async def one():
            reader, writer = await asyncio.open_connection("127.0.0.1", listed)
            data = await reader.read(4)
            writer.close()
            await writer.wait_closed()
            return data
        async def all():
            return await asyncio.gather(*(one() for _ in range(50)))
        result = asyncio.run(all()) == [b"HTTP"] * 50
        """,
    "threads": """
        found = []
        def one():
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", listed)) as peer:
                    found.append(peer.recv(4))
        threads = [threading.Thread(target=one) for _ in range(20)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        result = found == [b"HTTP"] * 100
        """,
    "http.client": """
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", listed, timeout=20)
        connection.request("GET", "/")
        result = connection.getresponse().read() == b"hello"
        """,
    "disconnect": """
        with socket.socket() as peer:
            peer.connect(("127.0.0.1", listed))
            done = libc.connect(peer.fileno(), (ctypes.c_char * 16)(), 16)
            peer.connect(("127.0.0.1", listed))
            result = done == 0 and peer.recv(4) == b"HTTP"
        """,
    "pairs": """
        left, right = socket.socketpair()
        with left, right:
            left.sendmsg([b"x"])
            result = right.recv(1) == b"x"
        """,
}

BY_NAME = {
    "name": """
        with socket.create_connection(("localhost", listed), timeout=20) as peer:
            result = peer.recv(4) == b"HTTP"
        """,
    "happy eyeballs": """
        import asyncio
        async def one():
            reader, writer = await asyncio.open_connection(
                "localhost", listed, happy_eyeballs_delay=0.05)
            data = await reader.read(4)
            writer.close()
            return data
        result = asyncio.run(one()) == b"HTTP"
        """,
    "tls": """
        import ssl
        context = ssl.create_default_context(cadata=authority)
        with socket.create_connection(("localhost", secure), timeout=20) as peer:
            with context.wrap_socket(peer, server_hostname="localhost") as safe:
                result = safe.recv(4) == b"HTTP" and safe.version()[:3] == "TLS"
        """,
    "https": """
        import ssl, urllib.request
        context = ssl.create_default_context(cadata=authority)
        url = f"https://localhost:{secure}/"
        result = urllib.request.urlopen(url, context=context, timeout=20).read() == b"hello"
        """,
    "getaddrinfo": """
        found = socket.getaddrinfo("localhost", listed, type=socket.SOCK_STREAM)
        result = ("127.0.0.1", listed) in [one[4] for one in found]
        """,
}


@pytest.mark.parametrize("what", WORKS)
def test_what_is_listed_is_connected_to_in_every_way(ask, what):
    for name in ("listed", "runs", "own"):
        assert ask(name, WORKS[what]) == ["done", True], name


@pytest.mark.parametrize("what", BY_NAME)
def test_a_name_is_what_this_machine_says_it_is(ask, what):
    assert ask("named", BY_NAME[what]) == ["done", True]


def test_an_address_of_the_new_protocol(ask, servers):
    if HAS_6:
        code = "result = socket.create_connection(('::1', listed6)).recv(4) == b'HTTP'"
        assert ask("listed", code) == ["done", True]
    # An address of the old one, written as one of the new.
    code = """
    with socket.socket(socket.AF_INET6) as peer:
        peer.connect(("::ffff:127.0.0.1", port))
        result = peer.recv(4) == b"HTTP"
    """
    if HAS_6:
        assert ask("listed", code, port=servers["listed"].port) == ["done", True]
        assert ask("listed", code, port=servers["other"].port) in REFUSED


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("socket.create_connection(('127.0.0.1', other))", id="port"),
        pytest.param("socket.create_connection(('127.0.0.2', listed))", id="address"),
        pytest.param("socket.create_connection(('0.0.0.0', listed))", id="any"),
        pytest.param("socket.socket().connect_ex", id="asyncio"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", id="udp"),
        pytest.param("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)", id="udp6"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)", id="sctp"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", id="mptcp"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", id="raw"),
        pytest.param("socket.socket(socket.AF_UNIX)", id="unix"),
        pytest.param("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", id="netlink"),
        pytest.param("socket.socketpair()[0].connect(path)", id="unix of a pair"),
        pytest.param("socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', other))", id="sendto"),
        pytest.param(
            "socket.socket().sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', other))", id="sendmsg"
        ),
        pytest.param("socket.socket().setsockopt(6, 30, 1)", id="fast open"),
        pytest.param("socket.socket().setsockopt(0, 4, bytes(4))", id="source route"),
        pytest.param("socket.socket().bind(('127.0.0.1', 0))", id="bind"),
        pytest.param("socket.socket().listen()", id="listen"),
        pytest.param("socket.create_server(('127.0.0.1', 0))", id="server"),
    ],
)
def test_nothing_else_is(ask, servers, tmp_path, code):
    if code.endswith("connect_ex"):
        code = """
        import asyncio
        asyncio.run(asyncio.open_connection("127.0.0.1", other))
        """
    before = servers["other"].came
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        local.listen()
        for name in ("listed", "named", "runs", "own"):
            assert ask(name, code, path=str(tmp_path / "socket")) in REFUSED, name
    assert servers["other"].came == before


def test_whom_it_starts_is_held_as_it_is(ask, servers):
    code = """
    import subprocess
    connect = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
    run = lambda port: subprocess.run(
        [python, "-c", connect, str(port)], capture_output=True, text=True)
    [good, bad] = run(listed), run(other)
    forked = []
    for port in (listed, other):
        child = os.fork()
        if child == 0:
            # Twice, so that nobody above it is the one that was started.
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(socket.socket().connect_ex(("127.0.0.1", port)))
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        forked.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    result = [good.returncode, bad.returncode, bad.stderr.strip().splitlines()[-1], forked]
    """
    before = servers["other"].came
    kind, [good, bad, said, forked] = ask("runs", code, python=sys.executable)
    assert (kind, good, bad, forked) == ("done", 0, 1, [0, 1])
    assert said.startswith("PermissionError")
    assert servers["other"].came == before


def resolver() -> int | None:
    """The process that looks names up: the only child of the supervisor with a name for that."""
    for child in descendants(supervisor_of()):
        with contextlib.suppress(OSError):
            if alive(child) and Path(f"/proc/{child}/comm").read_text() == "symphony-names\n":
                return child
    return None


def test_the_process_that_looks_names_up_may_die(ask, servers):
    assert ask("named", BY_NAME["name"]) == ["done", True]
    first = resolver()
    assert first is not None
    kill(first)
    assert wait_until(lambda: not alive(first))
    time.sleep(1.1)
    # What is known still counts; what is not known has another one looked up.
    assert ask("named", BY_NAME["name"]) == ["done", True]
    assert ask("named", "socket.create_connection(('127.0.0.3', listed))") in REFUSED
    assert resolver() not in (None, first)


def test_below_a_name_only_what_confirms_it(ask, servers):
    before = servers["other"].came
    assert ask("named", "socket.create_connection(('127.0.0.1', other))") in REFUSED
    assert servers["other"].came == before


def test_another_supervisor_holds_them_as_the_first_did(hosts, ask):
    first = supervisor_of()
    kill(first)
    assert wait_until(lambda: not alive(first))

    assert wait_until(lambda: hosts.connects("listed"))
    assert ask("listed", "socket.create_connection(('127.0.0.1', other))") in REFUSED


def test_a_refusal_is_told_once_with_the_extension(hosts, ask, caplog):
    caplog.set_level("WARNING")
    for _ in range(3):
        assert ask("runs", "socket.create_connection(('127.0.0.9', 9))") in REFUSED
    assert wait_until(lambda: "127.0.0.9:9" in caplog.text)
    told = [record for record in caplog.records if "127.0.0.9:9" in record.getMessage()]
    assert len(told) == 1
    assert "runs" in told[0].name


# A root that runs in a container: what is not allowed there, and the reason that is told.
CONTAINERS = {
    "descriptors": (machines.without_taking_descriptors, "pidfd_getfd"),
    "listener": (machines.with_another_listener, "handed to another program"),
}


@pytest.mark.parametrize("what", CONTAINERS)
def test_where_it_cannot_be_held_nothing_is_granted_and_that_is_said(servers, tmp_path, what):
    workshop = Workshop(tmp_path, signs=False)
    port = servers["listed"].port
    listed = f'activation = "eager"\n[extension.permissions]\nnetwork = ["127.0.0.1:{port}"]\n'
    workshop.extension("listed", RUNS, listed)
    code = """
    import json, sys
    from symphony import boot
    with boot(config=sys.argv[1]) as system:
        code = f"import socket; socket.create_connection(('127.0.0.1', {sys.argv[2]}))"
        said = system.kit.extension("listed").call("do", code=code, more={})
        [grants] = [one.get("grants") for one in json.loads(system.report.to_json())["components"]
                    if one["name"] == "listed"]
    print(json.dumps([said, [one for one in grants if one["name"] == "network"]]))
    """
    machine, reason = CONTAINERS[what]
    ended = run_python(code, str(workshop.config), str(port), preexec_fn=machine, close_fds=False)
    assert ended.returncode == 0, ended.stderr
    said, [told] = json.loads(ended.stdout)
    assert told["status"] == "not enforced"
    assert reason in told["detail"]
    assert "nothing of the network is granted" in told["detail"]
    assert said in REFUSED


@pytest.mark.parametrize("name", ["listed", "runs", "own"])
def test_who_runs_as_root_may_not_say_where_an_address_leads(ask, name):
    code = """
    lines = [line.split() for line in open("/proc/self/status")]
    held = {line[0]: int(line[1], 16) for line in lines if line[0].startswith("Cap")}
    result = [held[key] >> 12 & 3 for key in ("CapEff:", "CapPrm:", "CapInh:")]
    """
    assert ask(name, code) == ["done", [0, 0, 0]]


def test_what_is_held_is_said(hosts, servers):
    told = hosts.system.kit.enforcement("named")["network"]
    listed, secure, other = (servers[name].port for name in ("listed", "secure", "other"))
    assert told == (
        f"enforced: only `localhost:{listed}`, `localhost:{secure}`, `*.internal:{other}`"
    )


def test_a_host_that_could_be_two_things_is_a_fault_with_its_place(tmp_path):
    write(
        tmp_path / "Symphony.toml",
        """
        [extension]
        name = "a"
        version = "1"
        entry = "a:extension"

        [extension.permissions]
        network = ["api.example.org", "::1:80", 443]
        """,
    )
    write(tmp_path / "a.py", "from symphony.extension import Extension\nextension = Extension()\n")
    asked = symphony("check", "--json", str(tmp_path))
    found = json.loads(asked.stdout)["diagnostics"]
    places = [(one["line"], one["column"]) for one in found]
    assert places == [(7, 12), (7, 31), (7, 41)], found
    assert found[0]["message"] == "`api.example.org` has no port"
    assert found[0]["hint"] == "grant one port of it, as `api.example.org:443`"
    assert "in brackets" in found[1]["hint"]
    assert "hosts as texts" in found[2]["message"]
