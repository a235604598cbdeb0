"""The guest's side for Python authors: descriptions, answers, faults, streams and coroutines.

The lane here is a stand-in that plays a list of requests; the real one is tried where it is built.
"""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from symphony._guest.server import Server, describe_fault, load, serve_lane
from symphony.extension import Extension, OperationDescription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

STOP = object()


class PlayedLane:
    """Gives the requests of a queue and records what is answered."""

    def __init__(self, *requests: tuple[int, str, dict[str, Any]]) -> None:
        self.requests: queue.Queue[Any] = queue.Queue()
        for request in requests:
            self.requests.put(request)
        self.sent: list[tuple[Any, ...]] = []
        self.given_up: set[int] = set()
        self.answered = threading.Condition()

    def _record(self, *frame: Any) -> None:
        with self.answered:
            self.sent.append(frame)
            self.answered.notify_all()

    def hello(self, name: str, version: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        self._record("hello", name, version, operations)
        return {}

    def ready(self) -> None:
        self._record("ready")

    def stop_requested(self) -> bool:
        return False

    def stopping_for(self) -> float | None:
        return None

    def stopped(self) -> None:
        self._record("stopped")

    def next_request(self) -> Any:
        request = self.requests.get(timeout=20)
        return None if request is STOP else request

    def has_request(self) -> bool:
        return not self.requests.empty()

    def room(self, correlation: int, completions: Any = None, token: int = 0) -> bool | None:
        return None if correlation in self.given_up else True

    def reply(self, correlation: int, value: Any) -> None:
        if isinstance(value, set):
            raise TypeError("a `set` cannot be sent")
        self._record("reply", correlation, value)

    def error(self, correlation: int, *fault: str) -> None:
        self._record("error", correlation, *fault)

    def item(self, correlation: int, value: Any) -> None:
        self._record("item", correlation, value)

    def end(self, correlation: int) -> None:
        self._record("end", correlation)

    def call(
        self,
        operation: str,
        inputs: dict[str, Any],
        timeout: float | None,
        under: int | None = None,
    ) -> Any:
        self._record("call", operation, inputs, timeout)
        return f"answer of {operation}"

    def publish(self, topic: str, value: Any) -> None:
        self._record("publish", topic, value)

    def cancelled(self, correlation: int) -> bool:
        return correlation in self.given_up

    def wait_for(self, *frame: Any) -> None:
        with self.answered:
            assert self.answered.wait_for(
                lambda: any(sent[: len(frame)] == frame for sent in self.sent), timeout=20
            ), (frame, self.sent)


def served(extension: Extension, *requests: tuple[int, str, dict[str, Any]]) -> PlayedLane:
    lane = PlayedLane(*requests)
    lane.requests.put(STOP)
    Server(extension, lane).run()
    return lane


def test_importing_it_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import symphony.extension, symphony._guest.server;"
        "print(*sorted(set(sys.modules) - before - {'__future__'}))"
    )
    source = Path(sys.modules["symphony.extension"].__file__ or "").parents[1]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {code}"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split() == [
        "symphony",
        "symphony._guest",
        "symphony._guest.contract",
        "symphony._guest.ending",
        "symphony._guest.folder_modules",
        "symphony._guest.server",
        "symphony._signal_handlers",
        "symphony._work",
        "symphony._work.single_values",
        "symphony._work.typed_values",
        "symphony.extension",
    ]


def test_a_marked_function_stays_what_it_is() -> None:
    extension = Extension("sample")

    def double(value: int, *, by: int = 2, **rest: int) -> int:
        """Multiply a value.

        More text.
        """
        return value * by

    assert extension.operation(double) is double
    assert extension.operation(name="twice")(double) is double
    assert extension.operations["twice"](4) == 8
    assert extension.descriptions["double"].as_message() == {
        "name": "double",
        "inputs": [{"name": "value", "required": True}, {"name": "by", "required": False}],
        "stream": False,
        "doc": "Multiply a value.",
    }
    assert extension.descriptions["double"].takes_any


def test_what_cannot_be_called_by_name_is_refused() -> None:
    extension = Extension("sample")
    with pytest.raises(TypeError, match="positional-only"):
        extension.operation(lambda *values: values, name="f")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="must be a function, not `type`"):
        OperationDescription("f", int)
    extension.operation(lambda: 1)
    with pytest.raises(ValueError, match="two operations `<lambda>`"):
        extension.operation(lambda: 2)


def test_a_method_is_described_without_self() -> None:
    class Counter:
        def count(self, by: int = 1) -> int:
            return by

    description = OperationDescription("count", Counter().count)
    assert (description.required, description.optional) == ((), ("by",))


def test_answers_faults_and_wrong_inputs() -> None:
    extension = Extension("sample")

    @extension.operation
    def divide(value: int, by: int = 1) -> float:
        return value / by

    @extension.operation
    def unsendable() -> set[int]:
        return {1}

    lane = served(
        extension,
        (1, "divide", {"value": 4, "by": 2}),
        (2, "divide", {"value": 4, "by": 0}),
        (3, "divide", {"by": 2, "valeu": 1}),
        (4, "missing", {}),
        (5, "unsendable", {}),
        (6, "divide", {"value": 3}),
    )
    assert lane.sent[0] == ("ready",)
    assert lane.sent[1] == ("reply", 1, 2.0)
    _, correlation, code, message, kind, traceback = lane.sent[2]
    assert (correlation, code, kind) == (2, "remote-error", "ZeroDivisionError")
    assert message == "division by zero"
    assert "in divide" in traceback
    assert "_guest.py" not in traceback
    faults = "lacks `value` and does not know `valeu`"
    told = f"operation `divide` {faults}; it takes `value`, `by` (optional)"
    assert lane.sent[3][1:5] == (3, "remote-error", told, "TypeError")
    assert lane.sent[4][1:3] == (4, "unknown-operation")
    assert "it has `divide`, `unsendable`" in lane.sent[4][3]
    assert lane.sent[5][1:5] == (5, "remote-error", "a `set` cannot be sent", "TypeError")
    assert lane.sent[6] == ("reply", 6, 3.0)


def test_a_generator_is_a_stream_that_ends_or_fails_or_is_given_up() -> None:
    extension = Extension("sample")
    closed: list[str] = []
    lane = PlayedLane((1, "numbers", {"count": 2}), (2, "numbers", {"count": -1}))

    @extension.operation
    def numbers(count: int) -> Iterator[int]:
        try:
            if count < 0:
                raise ValueError("negative")
            for number in range(count):
                yield number
                if number == 5:
                    lane.given_up.add(3)
        finally:
            closed.append("closed")

    lane.requests.put((3, "numbers", {"count": 1000}))
    server = threading.Thread(target=Server(extension, lane).run)
    server.start()
    for frame in (("end", 1), ("error", 2), ("error", 3)):
        lane.wait_for(*frame)
    lane.requests.put(STOP)
    server.join(20)
    assert extension.descriptions["numbers"].is_stream
    frames = {number: [] for number in (1, 2, 3)}
    for frame in lane.sent[1:]:
        frames[frame[1]].append(frame[:3])
    assert frames[1] == [("item", 1, 0), ("item", 1, 1), ("end", 1)]
    assert frames[2] == [("error", 2, "remote-error")]
    given_up = [*(("item", 3, number) for number in range(7)), ("error", 3, "cancelled")]
    assert frames[3] in (given_up, [*given_up[:6], given_up[-1]])
    assert closed == ["closed"] * 3


def test_between_two_values_a_request_has_its_turn_on_the_same_thread() -> None:
    extension = Extension("sample")
    threads: list[int] = []
    seen: list[str] = []

    @extension.operation
    def numbers(name: str, count: int) -> Iterator[int]:
        try:
            for number in range(count):
                threads.append(threading.get_ident())
                seen.append(name)
                yield number
        finally:
            seen.append(f"{name} closed")

    @extension.operation
    def ask() -> str:
        threads.append(threading.get_ident())
        seen.append("ask")
        return "answer"

    lane = PlayedLane(
        (1, "numbers", {"name": "endless", "count": 10**9}),
        (2, "numbers", {"name": "short", "count": 3}),
        (3, "ask", {}),
    )
    server = threading.Thread(target=Server(extension, lane).run)
    server.start()
    lane.wait_for("end", 2)
    lane.requests.put(STOP)
    server.join(20)
    assert not server.is_alive()
    assert seen.index("ask") < 8
    assert seen.count("short") == 3
    # The stop closes what is still being sent, and answers it.
    assert seen[-1] == "endless closed"
    assert lane.sent[-1][:3] == ("error", 1, "cancelled")
    assert len(set(threads)) == 1


def test_a_stream_without_room_is_left_where_it_is_until_it_may_go_on() -> None:
    extension = Extension("sample")
    made: list[int] = []

    @extension.operation
    def numbers() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            yield number

    class NarrowLane(PlayedLane):
        room_left = 2

        def room(self, correlation: int, completions: Any = None, token: int = 0) -> bool | None:
            return self.room_left > 0

        def item(self, correlation: int, value: Any) -> None:
            self.room_left -= 1
            super().item(correlation, value)

    lane = NarrowLane((1, "numbers", {}))
    server = threading.Thread(target=Server(extension, lane).run)
    server.start()
    lane.wait_for("item", 1, 1)
    lane.requests.put((2, "missing", {}))
    lane.wait_for("error", 2)
    # Nothing is made that there is no room for.
    assert made == [0, 1]
    lane.room_left = 10
    lane.requests.put(1)
    lane.wait_for("end", 1)
    lane.requests.put(STOP)
    server.join(20)
    assert [frame[2] for frame in lane.sent if frame[0] == "item"] == [0, 1, 2, 3]


def test_coroutines_run_side_by_side_and_the_loop_thread_ends() -> None:
    extension = Extension("sample")
    here: dict[str, Any] = {"count": 0}

    @extension.operation
    async def meet(number: int) -> int:
        both = here.setdefault("both", asyncio.Event())
        here["count"] += 1
        if here["count"] == 2:
            both.set()
        await both.wait()
        return number

    @extension.operation
    async def ticks() -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    lane = PlayedLane((1, "meet", {"number": 1}), (2, "meet", {"number": 2}), (3, "ticks", {}))
    server = threading.Thread(target=Server(extension, lane).run)
    server.start()
    for frame in (("reply", 1, 1), ("reply", 2, 2), ("end", 3)):
        lane.wait_for(*frame)
    lane.requests.put(STOP)
    server.join(20)
    assert not server.is_alive()
    assert [frame for frame in lane.sent if frame[0] == "item"] == [
        ("item", 3, number) for number in range(3)
    ]
    deadline = time.monotonic() + 20
    while any(thread.name == "symphony-async" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_coroutine_that_is_given_up_is_cancelled_and_answered() -> None:
    extension = Extension("sample")
    seen: list[Any] = []

    @extension.operation
    async def wait() -> None:
        try:
            seen.append(extension.cancelled())
            await asyncio.sleep(3600)
        finally:
            seen.append("cleaned up")

    lane = PlayedLane((1, "wait", {}))
    server = threading.Thread(target=Server(extension, lane).run)
    server.start()
    deadline = time.monotonic() + 20
    while not seen:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    lane.given_up.add(1)
    lane.wait_for("error", 1, "cancelled")
    lane.requests.put(STOP)
    server.join(20)
    assert seen == [False, "cleaned up"]


def test_an_operation_calls_publishes_and_asks_whether_it_is_cancelled() -> None:
    extension = Extension("sample")

    @extension.operation
    def work() -> list[Any]:
        extension.publish("progress", 0.5)
        return [
            extension.call("artifact-store.put", data="x"),
            extension.options(timeout=2.0).call("other.do"),
            extension.cancelled(),
        ]

    lane = PlayedLane((7, "work", {}), STOP)  # type: ignore[arg-type]
    lane.given_up.add(7)
    Server(extension, lane).run()
    assert ("publish", "progress", 0.5) in lane.sent
    assert ("call", "artifact-store.put", {"data": "x"}, None) in lane.sent
    assert ("call", "other.do", {}, 2.0) in lane.sent
    answers = ["answer of artifact-store.put", "answer of other.do", True]
    assert lane.sent[-1] == ("reply", 7, answers)


def test_without_symphony_a_call_says_so() -> None:
    extension = Extension("sample")
    assert extension.cancelled() is False
    with pytest.raises(RuntimeError, match="`sample` cannot call: it is not served by Symphony"):
        extension.call("artifact-store.get", id="x")


@pytest.mark.parametrize(
    ("text", "entry", "code", "kind", "message"),
    [
        ("raise ValueError('on import')", "{}:extension", 1, "ValueError", "on import"),
        ("x = 1", "{}:extension", 1, "AttributeError", "has no `extension`"),
        ("extension = 1", "{}:extension", 1, "TypeError", "is a `int`, not an `Extension`"),
        ("def f(:", "{}:extension", 1, "SyntaxError", ""),
        ("", "nowhere_{}:extension", 1, "ModuleNotFoundError", "nowhere_"),
        ("", "{}", 1, "ValueError", "not of the form `module:attribute`"),
        ("raise SystemExit(3)", "{}:extension", 3, None, ""),
    ],
)
def test_a_fault_of_the_entry_is_told_and_ends_the_process(
    text: str,
    entry: str,
    code: int,
    kind: str | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = f"entry_{abs(hash((text, entry)))}"
    (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    lane = PlayedLane()
    assert serve_lane(entry.format(module), str(tmp_path), lane) == code
    if kind is None:
        assert lane.sent == []
    else:
        ((frame, correlation, word, told, kind_told, traceback),) = lane.sent
        assert (frame, correlation, word, kind_told) == ("error", 0, "start-failed", kind)
        assert message in told
        assert traceback.strip() in capsys.readouterr().err


def test_serving_says_hello_then_ready_and_ends_with_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greeting.py").write_text(
        "from symphony.extension import Extension\n"
        "extension = Extension('greeting', '1.2.3')\n"
        "@extension.operation\n"
        "def greet(name): return 'hello ' + name\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    lane = PlayedLane((1, "greet", {"name": "you"}), STOP)  # type: ignore[arg-type]
    assert serve_lane("greeting:extension", str(tmp_path), lane) == 0
    assert lane.sent[0][:3] == ("hello", "greeting", "1.2.3")
    assert lane.sent[1:] == [("ready",), ("reply", 1, "hello you")]
    assert sys.path[0] == str(tmp_path)


def test_an_exception_that_cannot_be_printed_is_still_described() -> None:
    class HostileError(Exception):
        def __str__(self) -> str:
            raise OSError("no")

    try:
        raise HostileError
    except HostileError as fault:
        message, kind, traceback = describe_fault(fault)
    assert "unprintable" in message
    assert kind.endswith("HostileError")
    assert "HostileError" in traceback


def test_loading_follows_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dotted_entry.py").write_text(
        "from symphony.extension import Extension\n"
        "class Box:\n"
        "    extension = Extension('boxed')\n"
        "Box.extension.operation(lambda: 1, name='one') if False else None\n"
        "@Box.extension.operation\n"
        "def one(): return 1\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load("dotted_entry:Box.extension", str(tmp_path)).name == "boxed"
