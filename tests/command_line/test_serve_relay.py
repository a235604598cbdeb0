"""`symphony serve`: a client's process, between its pipes and a system that the test plays."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest
from symphony._cli._serve.relay import Relay
from workshop import wait_until

pytestmark = pytest.mark.timeout(30)


class Meeting:
    """A system that is always there; `ends` are its ends."""

    def __init__(self):
        self.ends = []

    def join(self, _greeting):
        ours, theirs = socket.socketpair()
        self.ends.append(ours)
        return theirs


@pytest.fixture
def relay():
    """A relay that runs: its system, its input, its output, and how it is ended."""
    meeting = Meeting()
    reads, stdin = os.pipe()
    stdout, writes = os.pipe()
    codes = []
    made = Relay(meeting, read_only=False, stdin=reads, stdout=writes)
    runs = threading.Thread(target=lambda: codes.append(made.run()), daemon=True)
    runs.start()
    with open(stdin, "wb", buffering=0) as asks, open(stdout, "rb") as answers:
        yield meeting, asks, answers
        asks.close()
        for end in meeting.ends:
            end.close()
        runs.join(10)
        assert codes == [0]
    for thread in threading.enumerate():
        if thread.name == "serve: answers":
            thread.join(10)
    for descriptor in (reads, writes):
        os.close(descriptor)


def ask(asks, number):
    asks.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}).encode() + b"\n")


def test_a_client_without_threads_is_told_and_goes_on_when_it_has_some(relay, monkeypatch):
    meeting, asks, answers = relay
    ask(asks, 1)
    assert wait_until(lambda: meeting.ends)
    meeting.ends[0].recv(1000)
    meeting.ends[0].close()
    assert json.loads(answers.readline())["error"]["data"]["code"] == "stopped"

    def refuses(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuses)
        for number in (2, 3):
            ask(asks, number)
            error = json.loads(answers.readline())["error"]
            assert (error["code"], error["data"]["code"]) == (-32010, "start-failed")
            assert "can't start new thread" in error["message"]
    ask(asks, 4)
    assert wait_until(lambda: len(meeting.ends) == 4)
    assert json.loads(meeting.ends[3].recv(1000))["id"] == 4
    meeting.ends[3].sendall(b'{"jsonrpc":"2.0","id":4,"result":{}}\n')
    assert json.loads(answers.readline())["result"] == {}
