"""A guest that speaks the protocol by itself and says what a lane of ours would never say. Run as a program."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

HEADER = "<HBBHHIIQQ"
HELLO, READY, REQUEST, REPLY, ITEM, END, CREDIT, PUBLISH, SUBSCRIBE, PING, PONG, STOP, STOPPED = (
    1, 4, 5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 18,
)  # fmt: skip

lane = socket.socket(fileno=int(os.environ["SYMPHONY_LANE"]))


def packed(value):
    """A value as msgpack, as far as it is needed here."""
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        return struct.pack(">Bq", 0xD3, value)
    if isinstance(value, str):
        return struct.pack(">BI", 0xDB, len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return struct.pack(">BI", 0xC6, len(value)) + value
    if isinstance(value, list):
        return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(packed, value))
    parts = [packed(key) + packed(part) for key, part in value.items()]
    return struct.pack(">BI", 0xDF, len(value)) + b"".join(parts)


def header(kind, correlation, length):
    return struct.pack(HEADER, 0x5359, 1, kind, 0, 0, 0, length, correlation, 0)


def send(kind, correlation=0, body=b""):
    lane.sendall(header(kind, correlation, len(body)) + body)


def exactly(length):
    parts = bytearray()
    while len(parts) < length:
        part = lane.recv(length - len(parts))
        if not part:
            sys.exit(0)
        parts += part
    return bytes(parts)


def receive():
    """One frame: its kind, its correlation and what it holds."""
    _, _, kind, _, _, _, length, correlation, _ = struct.unpack(HEADER, exactly(32))
    return kind, correlation, exactly(length)


def operation_of(body):
    length = body[1] & 31 if body[1] >> 5 == 5 else body[2]
    begin = 2 if body[1] >> 5 == 5 else 3
    return body[begin : begin + length].decode()


def act(operation, correlation):
    if operation == "publish_names":
        for number in range(4000):
            send(PUBLISH, 0, packed([f"{number:06d}" + "x" * 50_000, None]))
    elif operation == "publish_values":
        for _ in range(40):
            send(PUBLISH, 0, packed(["news", bytes(20_000_000)]))
    elif operation == "subscribe_names":
        for number in range(40):
            send(SUBSCRIBE, 0, packed(f"{number:06d}" + "x" * 10_000_000))
    elif operation == "subscribe_many":
        for number in range(200_000):
            send(SUBSCRIBE, 0, packed(f"topic {number}"))
    elif operation == "pages":
        for _ in range(64):
            send(ITEM, correlation, packed(bytes(8 << 20)))
    elif operation == "half":
        whole = header(REPLY, correlation, 9) + packed(3)
        lane.sendall(whole[:35])
        time.sleep(1)
        lane.sendall(whole[35:])
    elif operation == "long":
        lane.sendall(header(REPLY, correlation, 2 << 30))
    elif operation == "unknown_kind":
        send(77, correlation)
    elif operation == "other_version":
        lane.sendall(struct.pack(HEADER, 0x5359, 2, REPLY, 0, 0, 0, 0, correlation, 0))
    elif operation == "reserved":
        lane.sendall(struct.pack(HEADER, 0x5359, 1, REPLY, 0, 1, 0, 0, correlation, 0))
    elif operation == "end_of_a_plain_call":
        send(END, correlation)
    elif operation == "two_values":
        send(REPLY, correlation, packed(1) + packed(2))
    elif operation == "unsigned":
        send(REPLY, correlation, b"\xcf" + b"\xff" * 8)
    elif operation == "empty":
        send(REPLY, correlation)
    elif operation == "doubled":
        for answer in (7, 8):
            send(REPLY, correlation, packed(answer))
    elif operation == "others":
        for other in (0, correlation + 1, correlation + (1 << 32), 2**64 - 1):
            for kind, body in ((REPLY, packed(9)), (ITEM, packed(9)), (END, b"")):
                send(kind, other, body)
    elif operation == "credit":
        for other in (0, correlation, correlation + 1, 2**64 - 1):
            send(CREDIT, other, b"\xce" + b"\xff" * 4)
    elif operation == "passes":
        # With each of these bytes goes a descriptor of a pipe that nobody else holds then.
        reading, writing = os.pipe()
        whole = header(REPLY, correlation, 9) + packed(1)
        for place in range(len(whole)):
            socket.send_fds(lane, [whole[place : place + 1]], [writing] * 20)
        os.close(writing)
        # Its end is told once no process has the other one: what was passed was not taken.
        os.read(reading, 1)
        os.close(reading)
    elif operation in ("subscribe", "deaf"):
        send(SUBSCRIBE, 0, packed("news"))


def main():
    name = sys.argv[1]
    hello = {"name": name, "version": "0.1.0", "language": "raw", "protocol": [1, 1], "operations": []}  # fmt: skip
    send(HELLO, 0, packed(hello))
    receive()
    send(READY)
    while True:
        kind, correlation, body = receive()
        if kind == PING:
            send(PONG, correlation)
        elif kind == STOP:
            send(STOPPED)
            return
        elif kind == REQUEST:
            operation = operation_of(body)
            act(operation, correlation)
            send(REPLY, correlation, packed(1))
            if operation == "deaf":
                time.sleep(8)


if __name__ == "__main__":
    main()
