"""The generators of an extension whose values are being sent, imported with the first of them.

A generator waits between two values wherever it is left, so that a stream whose reader is behind, or has stopped
reading, needs no thread: the serving thread leaves it there and takes the next request. Called by
`symphony._guest.server.Server` on its serving thread only. Keeps the promises that a generator runs on that thread
alone, one value at a time, that it is closed and its stream answered exactly once, and that between two values a
request that waits has its turn.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from symphony._core import GuestLane
    from symphony._guest.server import Server


_END = object()


class Streams:
    """The streams that are being sent by turns."""

    def __init__(self, lane: GuestLane, answers: Server) -> None:
        """Keep where values and answers go.

        Args:
            lane: Takes the values.
            answers: Answers for what fails or is given up.
        """
        self._lane = lane
        self._answers = answers
        self._generators: dict[int, Iterator[Any]] = {}
        self._turns: list[int] = []

    def start(self, correlation: int, values: Iterator[Any]) -> None:
        """Take a generator over; it is closed at its end.

        Args:
            correlation: The request that it answers.
            values: The generator.
        """
        self._generators[correlation] = values
        self._turns.append(correlation)

    def resume(self, correlation: int) -> None:
        """A stream whose reader was behind may go on, or is given up."""
        if correlation in self._generators:
            self._turns.append(correlation)

    def waiting(self) -> bool:
        """Tell whether a stream has something to do now."""
        return bool(self._turns)

    def step(self) -> None:
        """Send the next value of the stream whose turn it is; its next turn comes after the others'."""
        correlation = self._turns.pop(0)
        if correlation not in self._generators:
            # It was told twice that it may go on, and has ended since the first time.
            return
        room = self._lane.room(correlation)
        if room is None:
            self._close(correlation)
        elif room:
            self._answers.enter(correlation)
            try:
                self._send_next(correlation)
            finally:
                self._answers.enter(None)

    def close(self) -> None:
        """Close every generator and answer its stream."""
        for correlation in list(self._generators):
            self._close(correlation)

    def _send_next(self, correlation: int) -> None:
        values = self._generators[correlation]
        try:
            value = next(values, _END)
            if value is not _END:
                self._lane.item(correlation, value)
                self._turns.append(correlation)
                return
            late = self._closed(correlation)
            if late is not None:
                raise late
            self._lane.end(correlation)
        except SystemExit:
            raise
        except BaseException as raised:  # noqa: BLE001  # Whatever an operation raises.
            self._fail(correlation, raised)

    def _fail(self, correlation: int, raised: BaseException) -> None:
        """A value that cannot be sent leaves its generator open; one that the generator raised has ended it."""
        # As `finally` has it: the last one, with the first as its context.
        raised = self._closed(correlation) or raised
        if self._lane.cancelled(correlation):
            self._answers.send_cancelled(correlation)
        else:
            self._answers.send_fault(correlation, raised)

    def _close(self, correlation: int) -> None:
        self._answers.enter(correlation)
        try:
            raised = self._closed(correlation)
            if raised is None:
                self._answers.send_cancelled(correlation)
            else:
                self._answers.send_fault(correlation, raised)
        finally:
            self._answers.enter(None)

    def _closed(self, correlation: int) -> BaseException | None:
        """Closes a generator that is not closed yet; what that raised."""
        close = getattr(self._generators.pop(correlation, None), "close", None)
        try:
            if close is not None:
                close()
        except SystemExit:
            raise
        except BaseException as raised:  # noqa: BLE001  # Whatever an operation raises.
            return raised
        return None
