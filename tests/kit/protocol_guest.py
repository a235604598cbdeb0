"""A guest in plain Python that knows `docs/protocol.md` and nothing of Symphony. Run as a program."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time

HEADER = struct.Struct("<HBBHHIIQQ")
HELLO, WELCOME, READY, REQUEST, REPLY, ERROR, ITEM, END, CANCEL, CREDIT = (
    1,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
)
PING, PONG, STOP, STOPPED = 15, 16, 17, 18
FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
COUNTED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
HOLDING = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}

lane = socket.socket(fileno=int(os.environ["SYMPHONY_LANE"]))
lane.set_inheritable(False)
jobs: dict[int, list] = {}  # correlation -> [operation, due or next item, items in all, credit]


def packed(value) -> bytes:
    """A text, a number, a list or a map as msgpack."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">Bq", 0xD3, value)
    if isinstance(value, str):
        return struct.pack(">BI", 0xDB, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(packed, value))
    parts = [packed(key) + packed(part) for key, part in value.items()]
    return struct.pack(">BI", 0xDF, len(value)) + b"".join(parts)


def span(body: bytes, at: int) -> tuple[int, int, int]:
    """Where what a value holds begins, how many bytes it has, and how many values."""
    kind = body[at]
    at += 1
    if kind < 0x80 or kind >= 0xE0:
        return at, 0, 0
    if kind < 0x90:
        return at, 0, 2 * (kind & 15)
    if kind < 0xA0:
        return at, 0, kind & 15
    if kind < 0xC0:
        return at, kind & 31, 0
    if kind in FIXED:
        return at, FIXED[kind], 0
    if kind in COUNTED:
        size = COUNTED[kind]
        return at + size, int.from_bytes(body[at : at + size], "big"), 0
    size, times = HOLDING[kind]
    return at + size, 0, times * int.from_bytes(body[at : at + size], "big")


def after(body: bytes, at: int) -> int:
    """Where the value that begins here ends."""
    open_values = 1
    while open_values:
        at, size, values = span(body, at)
        at += size
        open_values += values - 1
    return at


def text(body: bytes, at: int) -> str:
    start, size, _ = span(body, at)
    return body[start : start + size].decode()


def number(body: bytes, at: int) -> float:
    """An integer or a float."""
    kind, rest = body[at], body[at + 1 : after(body, at)]
    if kind in (0xCA, 0xCB):
        return struct.unpack(">f" if kind == 0xCA else ">d", rest)[0]
    if not rest:
        return kind if kind < 0x80 else kind - 256
    return int.from_bytes(rest, "big", signed=kind >= 0xD0)


def send(kind: int, correlation: int = 0, body: bytes = b"") -> None:
    lane.sendall(HEADER.pack(0x5359, 1, kind, 0, 0, 0, len(body), correlation, 0) + body)


def exactly(length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = lane.recv(length - len(parts))
        if not part:
            sys.exit(0)
        parts += part
    return bytes(parts)


def fail(correlation: int, code: str, message: bytes) -> None:
    said = packed("message") + struct.pack(">BI", 0xDB, len(message)) + message
    send(ERROR, correlation, b"\x82" + packed("code") + packed(code) + said)


def begin(correlation: int, body: bytes, streaming: bool) -> None:
    """Takes one request: `[operation, priority, inputs]`."""
    at, _, _ = span(body, 0)
    operation = text(body, at)
    at, _, entries = span(body, after(body, after(body, at)))
    inputs = {}
    for _ in range(entries // 2):
        key, at = text(body, at), after(body, at)
        inputs[key] = at
        at = after(body, at)
    try:
        if operation == "echo":
            value = inputs["value"]
            send(REPLY, correlation, body[value : after(body, value)])
        elif operation == "fail":
            start, size, _ = span(body, inputs["message"])
            fail(correlation, "remote-error", body[start : start + size])
        elif operation == "die":
            os._exit(3)
        elif operation == "slow":
            jobs[correlation] = ["slow", time.monotonic() + number(body, inputs["seconds"]), 0, 0]
        elif operation in ("count", "broken"):
            many = int(number(body, inputs["many"]))
            if streaming:
                jobs[correlation] = [operation, 0, many, 64]
            elif operation == "broken":
                fail(correlation, "remote-error", b"broken in the middle")
            else:
                send(REPLY, correlation, packed(list(range(many))))
        else:
            fail(correlation, "unknown-operation", f"no operation `{operation}`".encode())
    except KeyError as missing:
        fail(correlation, "invalid-value", f"the input {missing} is missing".encode())


def work() -> float | None:
    """Goes on with what is open; says in how many seconds there is something to do."""
    now, soonest = time.monotonic(), None
    for correlation, job in list(jobs.items()):
        operation, at, many, _ = job
        if operation == "slow":
            if at <= now:
                del jobs[correlation]
                send(REPLY, correlation, packed(True))
            else:
                soonest = min(at - now, soonest or at)
            continue
        while job[1] < many and job[3] > 0:
            send(ITEM, correlation, packed(job[1]))
            job[1] += 1
            job[3] -= 1
        if job[1] == many:
            del jobs[correlation]
            if operation == "broken":
                fail(correlation, "remote-error", b"broken in the middle")
            else:
                send(END, correlation)
    return soonest


def main() -> None:
    names = ["echo", "fail", "die", "slow", "count", "broken"]
    operations = [
        {"name": name, "async": True, "stream": name in ("count", "broken")} for name in names
    ]
    hello = {"protocol": [1, 1], "name": sys.argv[1], "operations": operations}
    send(HELLO, 0, packed(hello))
    while True:
        if not select.select([lane], [], [], work())[0]:
            continue
        _, _, kind, flags, _, _, length, correlation, _ = HEADER.unpack(exactly(32))
        body = exactly(length)
        if kind == WELCOME:
            send(READY)
        elif kind == PING:
            send(PONG, correlation)
        elif kind == REQUEST:
            begin(correlation, body, bool(flags & 1))
        elif kind == CREDIT and correlation in jobs:
            jobs[correlation][3] += int(number(body, 0))
        elif kind == CANCEL and jobs.pop(correlation, None):
            fail(correlation, "cancelled", b"asked to stop")
        elif kind == STOP:
            send(STOPPED)
            return


main()
