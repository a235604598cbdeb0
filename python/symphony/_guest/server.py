"""The loop of an extension's process: take a request, run the operation, answer.

Called by the supervisor in a freshly forked child through `symphony.extension.serve`. Keeps two
promises: whatever an author's code raises is answered on the lane and never ends the loop, and
nothing but what an operation needs is imported (asyncio with the first `async def` operation,
traceback with the first exception).
"""

from __future__ import annotations

import _thread
import sys
import time

from symphony._guest.contract import Contract, RefusedInputError
from symphony._guest.ending import Ending, exit_code, is_forked, leave_fork, watch_forks
from symphony._guest.folder_modules import comes_first, give_way, library
from symphony.extension import Extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
    from types import TracebackType
    from typing import Any

    from symphony._core import GuestLane
    from symphony._guest.async_runner import AsyncRunner
    from symphony._guest.ending import ThreadEnding
    from symphony._guest.streams import Streams
    from symphony.extension import OperationDescription


_CAUSES = 16

_VALUES = frozenset({type(None), bool, int, float, str, bytes, list, dict})
"""What is sent as it is. Others are asked for attributes first, and one that is absent costs half a microsecond."""

_prepared = False

SCHEMAS = "symphony.schemas"
"""The operation that is answered beside the extension's own: `ipc::SCHEMAS`."""

START = 0
"""The correlation of a failure that belongs to no request but to the extension's start."""


def serve(entry: str, folder: str, lane_descriptor: int, begun: float | None = None) -> int:
    """Serve an extension until it is stopped.

    Args:
        entry: `module:attribute` of an `Extension`.
        folder: The extension's folder, put in front of `sys.path`.
        lane_descriptor: The descriptor of its lane.
        begun: When the process began, in seconds of `time.monotonic()`; now when it is not known.

    Returns:
        The exit code for the process: 0 after an orderly stop, 1 after a fault, and what the
        author's code gave to `sys.exit`.
    """
    begun = time.monotonic() if begun is None else begun
    from symphony._core import GuestLane as OpenLane

    prepare_standard_streams()
    watch_forks()
    lane: Any = OpenLane(lane_descriptor)
    return serve_lane(entry, folder, lane, begun)


def serve_lane(entry: str, folder: str, lane: GuestLane, begun: float | None = None) -> int:
    """Serve an extension on an open lane; see `serve`."""
    try:
        set_up = time.monotonic()
        try:
            extension = load(entry, folder)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as fault:  # noqa: BLE001  # Whatever an author's module raises.
            report = describe_fault(fault)
            sys.stderr.write(report[2])
            lane.error(START, "start-failed", *report, *causes_of(fault))
            return 1
        descriptions = extension.descriptions.values()
        messages: Any = [description.as_message() for description in descriptions]
        if begun is None:
            lane.hello(extension.name, extension.version, messages)
        else:
            # For the root's timeline: the clock is the same in every process of a machine.
            spans = [("set-up", begun, set_up), ("import", set_up, time.monotonic())]
            lane.hello(extension.name, extension.version, messages, spans)
        return Server(extension, lane).run()
    except SystemExit as leaving:
        return exit_code(leaving)
    except KeyboardInterrupt:
        return 130
    except BaseException as fault:  # noqa: BLE001  # Told on stderr; the process ends.
        sys.stderr.write(describe_fault(fault)[2])
        return 1
    finally:
        _flush_standard_streams()


def load(entry: str, folder: str) -> Extension:
    """Import an extension.

    Args:
        entry: `module:attribute`; the attribute may have dots.
        folder: The extension's folder, put in front of `sys.path`.

    Returns:
        The extension.

    Raises:
        ValueError: The entry is not of that form.
        AttributeError: The module has no such attribute.
        ImportError: The module cannot be found, or one of the interpreter's own comes before it.
        TypeError: The attribute is no `Extension`, or it has no operations.
    """
    module_name, colon, attribute = entry.partition(":")
    if not colon or not module_name or not attribute:
        raise ValueError(f"entry `{entry}` is not of the form `module:attribute`")
    if folder not in sys.path[:1]:
        sys.path.insert(0, folder)
    if comes_first(module_name, folder):
        raise ImportError(
            f"`{module_name}` is a module that Python itself holds before it looks at `{folder}`; "
            "give the extension's module another name"
        )
    give_way(folder)
    __import__(module_name)
    found: Any = sys.modules[module_name]
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise AttributeError(
                f"module `{module_name}` in `{_file_of(module_name, folder)}` has no `{attribute}`"
                + _meant(module_name, vars(sys.modules[module_name]))
            )
        found = getattr(found, part)
    if not isinstance(found, Extension):
        raise TypeError(f"`{entry}` is a `{type(found).__name__}`, not an `Extension`")
    if not found.operations:
        raise TypeError(f"extension `{found.name}` has no operations")
    return found


def _file_of(module: str, folder: str) -> str:
    """Where a module lies; its folder where it does not say."""
    return getattr(sys.modules[module], "__file__", None) or folder


def _meant(module: str, names: dict[str, Any]) -> str:
    """The entries that the module does have."""
    known = [f"`{module}:{name}`" for name, value in names.items() if isinstance(value, Extension)]
    return f"; did you mean {' or '.join(known)}?" if known else ""


class Server:
    """Answers the requests of one lane with the operations of one extension.

    Attributes:
        stop_failed: Whether a hook of its stop raised.
    """

    def __init__(
        self, extension: Extension, lane: GuestLane, ending: ThreadEnding | None = None
    ) -> None:
        """Attach the extension to the lane.

        Args:
            extension: Whose operations are served.
            lane: Where requests come from.
            ending: How a thread of another process than an extension's own comes to its end.
        """
        self._extension = extension
        self._lane = lane
        self._serving: int | None = None
        self._runner: AsyncRunner | None = None
        self._streams: Streams | None = None
        self._contracts: dict[str, Contract] = {}
        self._thread = 0
        self._ending = Ending(lane.stop_requested, lane.stopping_for) if ending is None else ending
        self.stop_failed = False
        extension.attach(lane, self._current, self._calling)

    def run(self) -> int:
        """Run the hooks of the start, answer requests until the lane says stop, and run those of the stop.

        Returns:
            The exit code for the process.
        """
        self._thread = _thread.get_ident()
        started = False
        try:
            try:
                for hook in self._extension.start_hooks:
                    self._run_hook(hook)
            except Exception as fault:  # noqa: BLE001  # Whatever an author's hook raises.
                self._tell_start(fault)
                return 1
            started = True
            self._lane.ready()
            while self._serve_next():
                pass
        except SystemExit as leaving:
            if is_forked():
                leave_fork(leaving)
            # The root waits for the end of one that leaves by itself for as long as for one that it stops.
            self._lane.stopped()
            raise
        finally:
            self._end(started)
        return int(self.stop_failed)

    def _end(self, started: bool) -> None:
        """Bring what runs to its end; whatever fails, the rest follows."""
        self._ending.begin()
        try:
            if self._streams is not None:
                self._streams.close()
        finally:
            try:
                if self._runner is not None:
                    self._runner.settle(self._ending.left())
                if started:
                    left = [
                        self._run_stop_hook(hook) for hook in reversed(self._extension.stop_hooks)
                    ]
                    for leaving in filter(None, left):
                        raise leaving
            finally:
                if self._runner is not None:
                    self._runner.close(self._ending.left())

    def _run_hook(self, hook: Callable[[], Any]) -> None:
        given = hook()
        if hasattr(type(given), "__await__"):
            self._event_loop().wait(given, self._ending.left_for_hooks)

    def _run_stop_hook(self, hook: Callable[[], Any]) -> SystemExit | None:
        """Run one; one that calls `sys.exit` says by which code the process ends after the others."""
        try:
            self._run_hook(hook)
        except SystemExit as leaving:
            return leaving
        except BaseException as fault:  # noqa: BLE001  # Whatever an author's hook raises; the others have their turn.
            self.stop_failed = True
            sys.stderr.write(describe_fault(fault)[2])
        return None

    def _tell_start(self, fault: BaseException) -> None:
        report = describe_fault(fault)
        sys.stderr.write(report[2])
        self._lane.error(START, "start-failed", *report, *causes_of(fault))

    def enter(self, correlation: int | None) -> None:
        """What runs on the serving thread from now on belongs to that request."""
        self._serving = correlation

    def _serve_next(self) -> bool:
        """Take the next request, or send the next value of a stream; False when the lane says stop."""
        streams = self._streams
        if streams is not None and streams.waiting():
            streams.step()
            # Values and requests have their turns: neither a stream without an end nor many calls stop the other.
            if streams.waiting() and not self._lane.has_request():
                return True
        request = self._lane.next_request()
        if request is None:
            return False
        if not isinstance(request, int):
            self._answer(*request)
        elif streams is not None:
            streams.resume(request)
        return True

    def _current(self) -> int | None:
        """Return the correlation of the request that the asking code belongs to."""
        if self._runner is not None:
            correlation = self._runner.current()
            if correlation is not None:
                return correlation
        return self._serving

    def _calling(self) -> int | None:
        """Return the same for a thread that answers it: what other threads ask may outlive the request."""
        if self._runner is not None:
            correlation = self._runner.current()
            if correlation is not None:
                return correlation
        return self._serving if _thread.get_ident() == self._thread else None

    def _answer(
        self, correlation: int, operation: str, inputs: dict[str, Any], stream: bool = True
    ) -> None:
        """Run an operation; a caller that takes no stream gets all values of one as a list."""
        description = self._extension.descriptions.get(operation)
        if description is None and operation == SCHEMAS:
            self._tell_schemas(correlation)
            return
        if description is None:
            known = ", ".join(f"`{name}`" for name in self._extension.operations)
            message = (
                f"extension `{self._extension.name}` has no operation `{operation}`; it has {known}"
            )
            self._lane.error(correlation, "unknown-operation", message, "LookupError", "")
            return
        fault = description.fault_of(inputs)
        if fault is not None:
            self._lane.error(correlation, "remote-error", fault, "TypeError", "")
            return
        self._serving = correlation
        try:
            # Constructors and validators of the author's run in it.
            contract = self._contracts.get(operation) or self._contract(description)
            inputs = contract.converted(inputs)
            self._send(correlation, self._extension.operations[operation](**inputs), stream)
        except SystemExit:
            # It ends the extension, as it ends a program.
            raise
        except RefusedInputError as refused:
            self._lane.error(correlation, "invalid-value", str(refused), "TypeError", "")
        except BaseException as raised:  # noqa: BLE001  # Whatever an operation raises.
            self.send_fault(correlation, raised)
        finally:
            self._serving = None

    def _tell_schemas(self, correlation: int) -> None:
        """Answer with the JSON Schemas of the operations."""
        try:
            from symphony._guest.operation_schemas import schemas_of

            self._lane.reply(correlation, schemas_of(self._extension.descriptions.values()))
        except Exception as fault:  # noqa: BLE001  # Whatever an author's classes raise when they are looked at.
            self.send_fault(correlation, fault)

    def _contract(self, description: OperationDescription) -> Contract:
        """Read it, with the operation's first call."""
        contract = self._contracts[description.name] = Contract(description)
        return contract

    def _send(self, correlation: int, given: Any, stream: bool) -> None:
        """Answer with what an operation gave: what that is says whether it is awaited, and whether it is a stream."""
        # As the language looks for them: in the class. An object may have any attribute that it is asked for.
        kind = type(given)
        if kind in _VALUES:
            self._lane.reply(correlation, given)
        elif hasattr(kind, "__await__"):
            self._start_async(correlation, given, self._run_async(correlation, given))
        elif hasattr(kind, "__anext__"):
            work = self._run_async_stream(correlation, given, stream)
            self._start_async(correlation, given, work)
        elif hasattr(kind, "__next__") and hasattr(kind, "throw"):
            if stream:
                self._start_stream(correlation, given)
            else:
                self._send_list(correlation, given)
        else:
            self._lane.reply(correlation, given)

    def _start_stream(self, correlation: int, values: Iterable[Any]) -> None:
        if self._streams is None:
            from symphony._guest.streams import Streams

            self._streams = Streams(self._lane, self)
        self._streams.start(correlation, iter(values))

    def _send_list(self, correlation: int, values: Iterator[Any]) -> None:
        gathered = []
        try:
            for value in values:
                if self._lane.cancelled(correlation):
                    self.send_cancelled(correlation)
                    return
                gathered.append(value)
        finally:
            close = getattr(values, "close", None)
            if close is not None:
                close()
        self._lane.reply(correlation, gathered)

    def _start_async(self, correlation: int, given: Any, work: Coroutine[Any, Any, None]) -> None:
        def unanswered(correlation: int, raised: BaseException) -> None:
            close = getattr(given, "close", None)
            if close is not None:
                close()  # It was never awaited.
            self._send_raised(correlation, raised)

        self._event_loop().start(correlation, work, unanswered)

    def _event_loop(self) -> AsyncRunner:
        if self._runner is None:
            from symphony._guest.async_runner import AsyncRunner

            # A stand-in for a lane may have nobody to tell.
            begins = getattr(self._lane, "runs_loop", lambda: None)
            self._runner = AsyncRunner(self._lane.cancelled, self._ending.leave, begins)
        return self._runner

    async def _run_async(self, correlation: int, given: Awaitable[Any]) -> None:
        try:
            self._lane.reply(correlation, await given)
        except SystemExit:
            raise
        except BaseException as raised:  # noqa: BLE001  # Whatever an operation raises.
            self._send_raised(correlation, raised)

    async def _run_async_stream(
        self, correlation: int, values: AsyncIterator[Any], as_stream: bool
    ) -> None:
        gathered: list[Any] = []
        wanted = True
        try:
            try:
                if as_stream:
                    from symphony._guest.async_runner import send_values

                    wanted = await send_values(self._lane, correlation, values)
                else:
                    gathered = [value async for value in values]
            finally:
                close = getattr(values, "aclose", None)
                if close is not None:
                    await close()
            if not wanted:
                self.send_cancelled(correlation)
            elif as_stream:
                self._lane.end(correlation)
            else:
                self._lane.reply(correlation, gathered)
        except SystemExit:
            raise
        except BaseException as raised:  # noqa: BLE001  # Whatever an operation raises.
            self._send_raised(correlation, raised)

    def _send_raised(self, correlation: int, raised: BaseException) -> None:
        """Answer for an asynchronous operation that raised.

        A `CancelledError` is the word for a caller that gave the call up only where one did: an operation may raise
        its own.
        """
        given_up = self._runner is not None and self._runner.was_given_up(correlation)
        if given_up and type(raised).__name__ == "CancelledError":
            self.send_cancelled(correlation)
        else:
            self.send_fault(correlation, raised)

    def send_fault(self, correlation: int, raised: BaseException) -> None:
        """Answer a request with what its operation raised."""
        if is_forked():
            leave_fork(raised)
        try:
            described = describe_fault(raised)
            causes = causes_of(raised)
        except BaseException as fault:  # noqa: BLE001  # No memory, or no stack left, to tell it with.
            described = ("", type(raised).__name__, f"(not described: {type(fault).__name__})\n")
            causes = ()
        self._lane.error(correlation, "remote-error", *described, *causes)

    def send_cancelled(self, correlation: int) -> None:
        """Answer a request that its caller gave up."""
        message = "the operation was cancelled by its caller"
        self._lane.error(correlation, "cancelled", message, "CancelledError", "")


def describe_fault(fault: BaseException) -> tuple[str, str, str]:
    """Describe an exception for the other side.

    Args:
        fault: What an author's code raised.

    Returns:
        Its message, the name of its type and its traceback without this module's own frames.
    """
    kind = type(fault)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    message = _text_of(fault)
    if not isinstance(fault, Exception):
        # What no `except Exception` would have seen, as a Rust panic, is named in any case.
        message = f"{name}: {message}" if message else name
    try:
        text = _formatted(fault)
    except BaseException as unprintable:  # noqa: BLE001  # An author's `__str__`.
        text = f"{name}: {message}\n(no traceback: {type(unprintable).__name__})\n"
    return _as_utf8(message), _as_utf8(name), _as_utf8(text)


def _formatted(fault: BaseException) -> str:
    traceback: Any = library("traceback")
    frames = _own_frames_removed(fault.__traceback__)
    try:
        return "".join(traceback.format_exception(type(fault), fault, frames))
    except Exception:
        if sys.version_info < (3, 13):
            raise
    # The marks below its lines are found with what `ast` is now, which may be a module of the extension's.
    told = traceback.TracebackException(type(fault), fault, frames)
    left = [told]
    while left:
        one = left.pop()
        for frame in one.stack:
            frame.colno = None
        more = (one.__cause__, one.__context__, *(one.exceptions or ()))
        left += [other for other in more if other is not None]
    return "".join(told.format())


def _as_utf8(text: str) -> str:
    """Return a text that can be sent: what is no character, as the bytes of a file name, is escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def causes_of(fault: BaseException) -> tuple[list[str], ...]:
    """Describe what an exception was raised from, outermost first.

    Args:
        fault: What an author's code raised.

    Returns:
        One list of `type: message`, as the last argument of a lane's `error`; nothing where there is no cause.
    """
    causes: list[str] = []
    seen = {id(fault)}
    cause = fault
    while len(causes) < _CAUSES:
        inner = cause.__cause__
        if inner is None and not cause.__suppress_context__:
            inner = cause.__context__
        if inner is None or id(inner) in seen:
            break
        seen.add(id(inner))
        cause = inner
        name, message = type(cause).__qualname__, _text_of(cause)
        causes.append(_as_utf8(f"{name}: {message}" if message else name))
    return (causes,) if causes else ()


def _text_of(fault: BaseException) -> str:
    try:
        return str(fault)
    except BaseException as unprintable:  # noqa: BLE001  # An author's `__str__`.
        kind = type(fault).__qualname__
        return f"<unprintable `{kind}`: its str() raised `{type(unprintable).__name__}`>"


def _own_frames_removed(frames: TracebackType | None) -> TracebackType | None:
    """Drop the leading frames that are Symphony's and the import system's, not the author's."""
    first = frames
    while first is not None:
        file = first.tb_frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen importlib"):
            return first
        first = first.tb_next
    return None


def prepare_standard_streams() -> None:
    """Make prints arrive line by line, and a fatal signal leave a Python traceback on stderr.

    Done once: a forked guest has it from the supervisor, with all pages that it wrote to.
    """
    global _prepared  # noqa: PLW0603 - a property of the process.
    if _prepared:
        return
    _prepared = True
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, errors="backslashreplace")
    if sys.stderr is not None:
        import faulthandler

        faulthandler.enable(sys.stderr)


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # The reader of the pipe is gone; there is nobody left to tell.
            continue
