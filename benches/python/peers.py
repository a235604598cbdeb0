"""The peers of a call round trip, each with a real process at its other end: 64 bytes there and back."""

from __future__ import annotations

import multiprocessing
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MESSAGE = b"x" * 64


@contextmanager
def raw_socket() -> Iterator[Callable[[], object]]:
    """A blocking Unix socket, nothing above it."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        while True:
            data = there.recv(64)
            if not data:
                os._exit(0)
            there.sendall(data)
    there.close()

    def call() -> object:
        here.sendall(MESSAGE)
        return here.recv(64)

    yield call
    here.close()
    os.waitpid(child, 0)


@contextmanager
def pipe() -> Iterator[Callable[[], object]]:
    """`multiprocessing.Pipe`, bytes."""
    here, there = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        here.close()
        try:
            while True:
                there.send_bytes(there.recv_bytes())
        except EOFError:
            os._exit(0)
    there.close()

    def call() -> object:
        here.send_bytes(MESSAGE)
        return here.recv_bytes()

    yield call
    here.close()
    os.waitpid(child, 0)


@contextmanager
def zeromq() -> Iterator[Callable[[], object]]:
    """pyzmq, REQ and REP over a Unix socket."""
    import tempfile

    import zmq

    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/lane"
        child = os.fork()
        if child == 0:
            server = zmq.Context().socket(zmq.REP)
            server.bind(address)
            while True:
                data = server.recv()
                server.send(data)
                if not data:
                    os._exit(0)
        client = zmq.Context().socket(zmq.REQ)
        client.connect(address)

        def call() -> object:
            client.send(MESSAGE)
            return client.recv()

        yield call
        client.send(b"")
        client.recv()
        client.close()
        os.waitpid(child, 0)
