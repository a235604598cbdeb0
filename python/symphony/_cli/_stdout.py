"""The stdout of a command whose output is a document: the document's alone.

`run --json`, `call` and `serve` keep it to themselves before any code of a system runs in this process. From then on
whatever is printed here, to `sys.stdout` or to descriptor 1, by this process or by one that it starts, goes to stderr.
The invariant kept here: in a process that is the command's own that holds until its end, since threads and handlers at
exit print too; whoever calls `main` with arguments has everything back when it returns.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TextIO

_STDOUT, _STDERR = 1, 2


class KeptStdout:
    """The stdout that a command has kept to itself.

    Attributes:
        descriptor: The real stdout, where it was descriptor 1.
    """

    def __init__(self) -> None:
        """Takes it."""
        self._stream: TextIO | None = sys.stdout
        self.descriptor: int | None = None
        if self._stream is not None:
            self._stream.flush()
            if _writes_to_descriptor(self._stream):
                self.descriptor = os.dup(_STDOUT)
                _put_stderr_at_stdout()
        sys.stdout = sys.stderr
        _kept.append(self)

    def fileno(self) -> int:
        """The descriptor of the real stdout.

        Raises:
            OSError: There is none: stdout is closed, or not a file.
        """
        if self.descriptor is not None:
            return self.descriptor
        if self._stream is None:
            raise OSError("stdout is closed")
        return self._stream.fileno()

    def write_document(self, document: Any) -> None:
        """Writes a document as JSON.

        Raises:
            OSError: Whoever read it has gone, or there is no room.
        """
        import json

        self.write_line(json.dumps(document, indent=2))

    def write_line(self, text: str) -> None:
        """Writes a text and the end of its line.

        Raises:
            OSError: Whoever read it has gone, or there is no room.
        """
        if self._stream is None:
            return
        if self.descriptor is None:
            print(text, file=self._stream, flush=True)
            return
        # Not through a stream: what one could not write, it would try to write again at its end.
        left = memoryview(
            f"{text}\n".encode(self._stream.encoding, self._stream.errors or "strict")
        )
        while left:
            left = left[os.write(self.descriptor, left) :]

    def give_back(self) -> None:
        """Everything is as it was before."""
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.stdout = self._stream
        if self.descriptor is not None:
            if self._stream is not None:
                # What was printed through it meanwhile is no document either.
                self._stream.flush()
            os.dup2(self.descriptor, _STDOUT)
            os.close(self.descriptor)
            self.descriptor = None


_kept: list[KeptStdout] = []


def give_back_all() -> None:
    """What commands have kept is everybody's again."""
    while _kept:
        _kept.pop().give_back()


def let_go_of_terminal() -> None:
    """Has what is written to a terminal that is gone go nowhere: it would fail a stop that prints, and the command."""
    kept = (one.descriptor for one in _kept if one.descriptor is not None)
    for descriptor in (_STDOUT, _STDERR, *kept):
        try:
            # The kernel refuses even this; nothing else does.
            os.write(descriptor, b"")
        except OSError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, descriptor, inheritable=descriptor in (_STDOUT, _STDERR))
            os.close(nothing)


def _writes_to_descriptor(stream: TextIO) -> bool:
    """Whether what is written to the stream goes to descriptor 1: a test's or a notebook's does not."""
    try:
        return stream.fileno() == _STDOUT
    except (AttributeError, OSError, ValueError):
        return False


def _put_stderr_at_stdout() -> None:
    if sys.stderr is not None:
        os.dup2(_STDERR, _STDOUT)
        return
    # Descriptor 2 was closed, and may be anything by now: what is printed is nobody's.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, _STDOUT)
    os.close(nothing)
