"""Names under a list of hosts, where a resolver answers: a machine of the test's own, whose resolver the test is."""

from __future__ import annotations

import json

import pytest
from test_sandbox import RUNS
from workshop import Workshop, run_python

pytestmark = pytest.mark.timeout(120)

# Network and mounts of its own, and a resolver at 127.0.0.1 which knows what stands in `zone` and keeps its questions.
MACHINE = """
import ctypes, fcntl, json, os, socket, struct, sys, tempfile, threading, time
from pathlib import Path

library = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, NEW_USER, NEW_NETWORK = 0x0002_0000, 0x1000_0000, 0x4000_0000


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


check(library.unshare(NEW_MOUNTS | NEW_NETWORK | (0 if os.geteuid() == 0 else NEW_USER)))
check(library.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
folder = Path(tempfile.mkdtemp())
for name, text in {
    "resolv.conf": "nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n",
    "hosts": "127.0.0.1 localhost\\n",
    "nsswitch.conf": "hosts: files dns\\n",
}.items():
    (folder / name).write_text(text)
    path = f"/etc/{name}"
    check(library.mount(str(folder / name).encode(), os.path.realpath(path).encode(), None, 4096, None))

zone = {"a.test": ["127.0.0.2"], "b.test": ["127.0.0.4"], "db.internal": ["127.0.0.5"], "moves.test": ["127.0.0.2"]}
names = {"127.0.0.5": "db.internal", "127.0.0.6": "lies.internal"}
asked = []
silent = set()


def answer(question):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    kind = int.from_bytes(question[at + 1 : at + 3], "big")
    name = ".".join(labels)
    asked.append(name)
    if name in silent:
        return None
    records = []
    if kind == 1:
        records = [socket.inet_aton(one) for one in zone.get(name, [])]
    elif kind == 12 and name.endswith(".in-addr.arpa"):
        called = names.get(".".join(reversed(labels[:4])))
        if called:
            records = [b"".join(bytes([len(part)]) + part.encode() for part in called.split(".")) + b"\\0"]
    known = name in zone or records
    head = question[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, len(records), 0, 0)
    body = b"".join(
        b"\\xc0\\x0c" + struct.pack("!HHIH", kind, 1, 0, len(record)) + record for record in records
    )
    return head + question[12 : at + 5] + body


def by_datagram(server):
    while True:
        question, who = server.recvfrom(4096)
        found = answer(question)
        if found is not None:
            server.sendto(found, who)


streams = []


def by_stream(server):
    while True:
        peer, _ = server.accept()
        streams.append(peer)
        with peer:
            while length := peer.recv(2):
                found = answer(peer.recv(int.from_bytes(length, "big")))
                if found is None:
                    break
                peer.sendall(len(found).to_bytes(2, "big") + found)


datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 53))
threading.Thread(target=by_datagram, args=(datagrams,), daemon=True).start()
threading.Thread(target=by_stream, args=(socket.create_server(("127.0.0.1", 53)),), daemon=True).start()


def serve(server):
    while True:
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"hello")


threading.Thread(target=serve, args=(socket.create_server(("0.0.0.0", 8080)),), daemon=True).start()
"""

USES = """
zone["other.test"] = ["127.0.0.3"]
silent.add("late.test")

from symphony import boot

with boot(config=sys.argv[1]) as system:

    def reach(host, name="named"):
        code = f"import socket; result = socket.create_connection(({host!r}, 8080), timeout=20).recv(5).decode()"
        return system.kit.extension(name).options(timeout=40).call("do", code=code, more={})[-1]

    told = {"a name": reach("a.test"), "its resolver, by stream": len(streams) > 0}
    told |= {host: reach(host) for host in ("127.0.0.2", "127.0.0.3", "other.test", "nobody.test")}
    told |= {host: reach(host) for host in ("db.internal", "127.0.0.5", "127.0.0.6")}
    told["before it moves"] = reach("moves.test")
    zone["moves.test"] = ["127.0.0.7"]
    told["after it moved"] = reach("moves.test")
    waits = threading.Thread(target=lambda: told.update(late=reach("127.0.0.8", "waits")))
    waits.start()
    while asked.count("late.test") < 1:
        time.sleep(0.01)
    told["meanwhile"] = [reach("127.0.0.2"), waits.is_alive()]
    # A lookup that failed is no answer: the call waits for the next. Each asks twice, for addresses of either kind.
    before = asked.count("late.test")
    while waits.is_alive() and asked.count("late.test") < before + 3:
        time.sleep(0.01)
    zone["late.test"] = ["127.0.0.8"]
    silent.clear()
    waits.join()
print(json.dumps(told))
"""


def test_a_name_is_what_the_resolver_says_and_a_silent_one_holds_up_nobody(tmp_path):
    workshop = Workshop(tmp_path, signs=False)
    for name, hosts in {
        "named": ["a.test:8080", "moves.test:8080", "*.internal:8080"],
        "waits": ["late.test:8080"],
    }.items():
        workshop.extension(name, RUNS, f"[extension.permissions]\nnetwork = {json.dumps(hosts)}\n")
    ended = run_python(MACHINE + USES, str(workshop.config), timeout=100)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    refused = 1
    assert told == {
        "a name": "hello",
        "its resolver, by stream": True,
        "127.0.0.2": "hello",
        "127.0.0.3": refused,
        "other.test": refused,
        "nobody.test": -2,
        "db.internal": "hello",
        "127.0.0.5": "hello",
        "127.0.0.6": refused,
        "before it moves": "hello",
        "after it moved": "hello",
        "late": "hello",
        "meanwhile": ["hello", True],
    }


# Nobody answers what one extension has looked up, which is more than is looked up for it at once.
FLOODS = """
silent |= {f"late{n}.test" for n in range(24)} | {f"{n}.0.9.10.in-addr.arpa" for n in range(100)}

from symphony import boot

with boot(config=sys.argv[1]) as system:
    code = '''
import socket, threading
for n in range(100):
    threading.Thread(target=socket.socket().connect_ex, args=((f"10.9.0.{n}", 8080),), daemon=True).start()
'''
    system.kit.extension("floods").call("do", code=code, more={})
    while sum(name in silent for name in asked) < 8:
        time.sleep(0.01)
    code = "import socket; result = socket.create_connection(('a.test', 8080)).recv(5).decode()"
    print(system.kit.extension("named").options(timeout=40).call("do", code=code, more={})[-1])
"""


def test_lookups_of_one_extension_hold_up_no_other(tmp_path):
    workshop = Workshop(tmp_path, signs=False)
    late = [f"late{number}.test:8080" for number in range(24)]
    for name, hosts in {"floods": [*late, "*.internal:8080"], "named": ["a.test:8080"]}.items():
        workshop.extension(name, RUNS, f"[extension.permissions]\nnetwork = {json.dumps(hosts)}\n")
    patient = MACHINE.replace("timeout:1 attempts:1", "timeout:5 attempts:2")
    ended = run_python(patient + FLOODS, str(workshop.config), timeout=100)
    assert (ended.returncode, ended.stdout) == (0, "hello\n"), ended.stderr
