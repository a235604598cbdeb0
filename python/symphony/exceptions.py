"""Every exception that Symphony raises, and the diagnostic that several of them carry.

The core raises these classes, and says which one a word has; nothing else in the package raises a
bare `Exception`. The invariant kept here: an exception's text, its hints and its fields are the same
on every Python, only the place of the hints differs (notes from 3.11 on, the end of `str(error)`
before).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphony._core import BootReport
    from symphony._core import Diagnostic as Diagnostic  # noqa: PLC0414 - users import it from here.
else:

    def __getattr__(name: str) -> object:
        """The diagnostic is the core's, which who only marks components does not load."""
        if name != "Diagnostic":
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        from symphony._core import Diagnostic

        globals()[name] = Diagnostic
        return Diagnostic


class SymphonyError(Exception):
    """The root of every error of Symphony.

    Each class names the further fields that its constructor takes, by keyword; without one it is `None`, or empty.

    Attributes:
        code: The stable kebab-case word of the fault; `docs/errors.md` has a section for each.
        message: What is wrong, with its places, ring or stack, without the hints.
        hints: What to do, most useful first.
    """

    code: str = "internal"
    _fields: tuple[str, ...] = ()
    _several: tuple[str, ...] = ()
    _notes: tuple[str, ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hints: Iterable[str] = (),
        **fields: Any,
    ) -> None:
        """Keeps the fields; hints become notes where Python has notes."""
        super().__init__(message)
        self.message = message
        self.hints: tuple[str, ...] = tuple(hints)
        if code is not None:
            self.code = code
        for name in self._fields:
            setattr(self, name, fields.pop(name, None))
        for name in self._several:
            setattr(self, name, tuple(fields.pop(name, ())))
        for name in fields:
            raise TypeError(f"`{type(self).__name__}` has no field `{name}`")
        self._note_hints()

    def _note_hints(self) -> None:
        for hint in self.hints:
            self._note(f"hint: {hint}")

    def __str__(self) -> str:
        """The message; before Python 3.11 the notes end it."""
        said = self._said()
        return "\n".join([said, "", *self._notes]) if self._notes else said

    def _said(self) -> str:
        """The message, with what belongs to it."""
        return self.message

    def _note(self, text: str) -> None:
        if sys.version_info >= (3, 11):
            self.add_note(text)
        else:
            self._notes = (*self._notes, text)


class BootError(SymphonyError):
    """The boot failed, and everything that had started was stopped again.

    Attributes:
        phase: The phase in which it failed, where one was running.
        component: The component that failed, where it was one.
        report: The report of the boot so far, where it began.
        rollback_errors: What failed while the rest was stopped; the first failure is this one.
    """

    code = "start-failed"
    phase: str | None
    component: str | None
    report: BootReport | None
    rollback_errors: tuple[BaseException, ...]
    _fields = ("phase", "component", "report")
    _several = ("rollback_errors",)

    def __init__(self, message: str = "", **fields: Any) -> None:
        """Keeps the fields; each rollback error is a note as well."""
        super().__init__(message, **fields)
        self._note_rollback()

    def _note_rollback(self) -> None:
        for error in self.rollback_errors:
            self._note(f"while rolling back: {error}")

    def _rolled_back(
        self, report: BootReport | None, rollback_errors: Iterable[BaseException]
    ) -> None:
        """Says what became of the boot that this error, raised beside it, has failed."""
        self.report = report
        self.rollback_errors = tuple(rollback_errors)
        self._note_rollback()


class _DiagnosedError(SymphonyError):
    """An error that is made of diagnostics, from which the core takes text, hints and code."""

    diagnostics: list[Diagnostic]

    def __init__(
        self, message: str = "", diagnostics: Iterable[Diagnostic] = (), **fields: Any
    ) -> None:
        """Keeps the fields and the diagnostics."""
        self.diagnostics = list(diagnostics)
        super().__init__(message, **fields)

    def _note_hints(self) -> None:
        # Of several faults each has its hint in the text, under it.
        if len(self.diagnostics) <= 1:
            super()._note_hints()
        for code in dict.fromkeys(fault.code for fault in self.diagnostics):
            self._note(f"= {code}: docs/errors.md#{code}")


class PlanError(_DiagnosedError, BootError):
    """The components cannot be planned; all faults at once.

    Attributes:
        diagnostics: Each fault, in a stable order.
    """

    code = "missing-dependency"


class CycleError(PlanError):
    """Components need each other in a ring without a `Late` edge."""

    code = "dependency-cycle"


class MissingDependencyError(PlanError):
    """Nobody provides what a component needs."""

    code = "missing-dependency"


class DuplicateComponentError(PlanError):
    """One name, or one class, was registered twice."""

    code = "duplicate-component"


class PhaseOrderError(PlanError):
    """A component needs one of a later phase, or may not stand in its phase."""

    code = "phase-order"


class TransientError(SymphonyError):
    """A start failed in a way that may pass: raise it, or derive from it, and the start is tried again.

    The component is built anew for each attempt. Four attempts are made, with pauses of 50, 100 and 200 ms between
    them, as far as the component's deadline leaves room; the last failure is the one that counts. Any other exception
    whose attribute `transient` is true is treated alike, so that a library's own error need not be wrapped.

    Attributes:
        transient: True.
    """

    code = "start-failed"
    transient: bool = True


class BootTimeoutError(BootError, TimeoutError):
    """A component, a phase or the boot was not done by its deadline."""

    code = "start-timeout"


class UnhealthyError(BootError):
    """A component that started says that it is not well; the text has its reason."""

    code = "unhealthy"

    def _said(self) -> str:
        """The message, and why: what is read first is often all that is read."""
        cause = self.__cause__
        if cause is None:
            return self.message
        kind = "" if isinstance(cause, SymphonyError) else f"{type(cause).__name__}: "
        try:
            return f"{self.message}: {kind}{cause}"
        except Exception:  # noqa: BLE001 - an exception of a user's may not be able to say itself.
            return f"{self.message}: {type(cause).__name__}"


class StateLockedError(BootError):
    """The state folder belongs to another running system."""

    code = "state-locked"


class ManifestError(_DiagnosedError, BootError):
    """A `Symphony.toml` cannot be read or says something that it may not.

    Attributes:
        diagnostics: Each fault, in a stable order.
    """

    code = "manifest-invalid"


class ExtensionError(SymphonyError):
    """A call of an extension did not come to its result.

    Attributes:
        extension: The extension's name.
        operation: The operation that was called, where it was a call.
    """

    code = "remote-error"
    extension: str | None
    operation: str | None
    _fields: tuple[str, ...] = ("extension", "operation")


class ExtensionCrashedError(ExtensionError):
    """An extension's process ended by itself.

    Attributes:
        exit_code: Its exit code, where it exited.
        signal: The signal that ended it, where one did.
        stderr: The last lines of its stderr.
    """

    code = "extension-crashed"
    exit_code: int | None
    signal: int | None
    stderr: tuple[str, ...]
    _fields = (*ExtensionError._fields, "exit_code", "signal")
    _several = ("stderr",)


class CallTimeoutError(ExtensionError, TimeoutError):
    """A call was not answered by its deadline."""

    code = "call-timeout"


class CallCancelledError(ExtensionError):
    """A call, or the run that it belonged to, was cancelled."""

    code = "cancelled"


class RemoteError(ExtensionError):
    """The extension raised in an operation.

    Attributes:
        type_name: The name of the exception's class over there.
        traceback: Its traceback over there, as text.
        causes: Its causes over there, outermost first.
    """

    code = "remote-error"
    type_name: str | None
    traceback: str | None
    causes: tuple[str, ...]
    _fields = (*ExtensionError._fields, "type_name", "traceback")
    _several = ("causes",)

    def __init__(self, message: str = "", **fields: Any) -> None:
        """Keeps the fields; the far traceback is a note."""
        super().__init__(message, **fields)
        if self.traceback:
            place = f" of extension `{self.extension}`" if self.extension else ""
            self._note(f"traceback{place}:\n{self.traceback.rstrip()}")


class OverloadedError(ExtensionError):
    """The extension's queue is full."""

    code = "overloaded"


class QuarantinedError(ExtensionError):
    """The extension crashed too often and is not restarted any more."""

    code = "quarantined"


class UnknownOperationError(ExtensionError, LookupError):
    """The extension, or the Pit, has no operation of that name."""

    code = "unknown-operation"


class NotGrantedError(ExtensionError):
    """A call that the manifest of the caller does not grant."""

    code = "not-granted"


class ProtocolError(ExtensionError):
    """An extension speaks another protocol, or sent what is no lawful frame."""

    code = "protocol-violation"


class MelodyError(_DiagnosedError):
    """A Melody cannot be read or its graph is wrong.

    Attributes:
        diagnostics: Each fault.
    """

    code = "melody-invalid"


class PitError(SymphonyError):
    """A Pit member refused or failed."""

    code = "invalid-value"


class NotFoundError(PitError, LookupError):
    """An artifact, run, pool, resource or rule of that id does not exist."""

    code = "not-found"


class PitLibraryError(PitError):
    """A Pit library cannot be loaded, was built for another interface, or failed."""

    code = "pit-library"


class InvalidValueError(SymphonyError, ValueError):
    """A value or an argument that is not allowed there."""

    code = "invalid-value"


class ComponentNotFoundError(SymphonyError, KeyError):
    """A component or extension of that type or name is not in the system."""

    code = "component-not-found"


class StoppedError(SymphonyError):
    """The system was shut down."""

    code = "stopped"


class ForkedError(SymphonyError):
    """A handle was used in a forked child of the process that it belongs to."""

    code = "forked"


class WrongThreadError(SymphonyError):
    """A step was asked for on another thread than its own."""

    code = "wrong-thread"


class LateBindingError(SymphonyError):
    """A late edge was read before it was bound."""

    code = "late-binding"
