"""Every exception that Symphony raises, and the diagnostic that several of them carry.

The core raises these classes, built from fields; nothing else in the package raises a bare
`Exception`. The invariant kept here: an exception's text, its hints and its fields are the same on
every Python, only the place of the hints differs (notes from 3.11 on, the end of `str(error)`
before).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from symphony._core import BootReport


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
        for hint in self.hints:
            self._note(f"hint: {hint}")

    def __str__(self) -> str:
        """The message; before Python 3.11 the notes end it."""
        return "\n".join([self.message, "", *self._notes]) if self._notes else self.message

    def _note(self, text: str) -> None:
        if sys.version_info >= (3, 11):
            self.add_note(text)
        else:
            self._notes = (*self._notes, text)


class Diagnostic:
    """One fault that a person can act on: the same for `boot()`, `check` and the manifest reader.

    Attributes:
        code: Its stable word.
        severity: `error`, `warning` or `note`; only an error makes a check fail.
        message: What is wrong: a lowercase fragment, names in backticks, no full stop.
        file: The absolute path of the file in which a person wrote it.
        line: The line, from 1.
        column: The column in characters, from 1.
        path: The ring or chain of names, each once.
        hint: What to do.
        related: The places of the edges, as (file, line, column, text).
    """

    __slots__ = (
        "code",
        "column",
        "file",
        "hint",
        "line",
        "message",
        "path",
        "related",
        "severity",
    )

    def __init__(
        self,
        code: str,
        message: str,
        *,
        severity: str = "error",
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        path: Iterable[str] = (),
        hint: str | None = None,
        related: Iterable[tuple[str | None, int | None, int | None, str]] = (),
    ) -> None:
        """Keeps the fields; a line or column of 0 is not known, and `None` here."""
        self.code = code
        self.severity = severity
        self.message = message
        self.file = file
        self.line = line or None
        self.column = column or None
        self.path: list[str] = list(path)
        self.hint = hint
        self.related: list[tuple[str | None, int | None, int | None, str]] = list(related)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Diagnostic:
        """The diagnostic that the core hands over as a dictionary of its fields."""
        return cls(
            fields["code"],
            fields["message"],
            severity=fields.get("severity", "error"),
            file=fields.get("file"),
            line=fields.get("line"),
            column=fields.get("column"),
            path=fields.get("path") or (),
            hint=fields.get("hint"),
            related=[(edge[0], edge[1], edge[2], edge[3]) for edge in fields.get("related") or ()],
        )

    def to_dict(self) -> dict[str, Any]:
        """The keys that `symphony check --json` promises."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": list(self.path),
            "hint": self.hint,
        }

    def text(self, directory: str | None = None, *, hint: bool = True, prefix: bool = True) -> str:
        """The whole text, as `Diagnostic::text` of the core prints it.

        Args:
            directory: Places inside it are printed relative to it.
            hint: Whether the hint ends the text.
            prefix: Whether the severity begins it.
        """
        lines = [f"{self.severity}: {self.message}" if prefix else self.message]
        if self.related:
            places = [(_place(file, line, directory), note) for file, line, _, note in self.related]
        else:
            places = [(_place(self.file, self.line, directory), "")] if self.file else []
        width = max((len(place) for place, _ in places), default=0)
        lines.extend(f"  {place:<{width}}  {note}".rstrip() for place, note in places)
        if hint and self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def __str__(self) -> str:
        """The text with places relative to the working directory."""
        return self.text(_working_directory())

    def __repr__(self) -> str:
        """Enough to find it in a list of many."""
        place = f" at {_place(self.file, self.line, None)}" if self.file else ""
        return f"<Diagnostic {self.severity} {self.code}: {self.message}{place}>"

    def __eq__(self, other: object) -> bool:
        """Diagnostics are equal when all of their fields are."""
        if not isinstance(other, Diagnostic):
            return NotImplemented
        return self.to_dict() == other.to_dict() and self.related == other.related

    __hash__ = None  # type: ignore[assignment]


def _working_directory() -> str | None:
    """The working directory, or `None` where it was removed under us."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _place(file: str | None, line: int | None, directory: str | None) -> str:
    """`file:line`, relative to the directory where the file lies in it."""
    if file is None:
        return ""
    if directory and file.startswith(directory.rstrip("/") + "/"):
        file = file[len(directory.rstrip("/")) + 1 :]
    return f"{file}:{line}" if line else file


def _plan_text(diagnostics: list[Diagnostic]) -> str:
    """The text of one fault, or of all, without the hints (those are notes)."""
    directory = _working_directory()
    if len(diagnostics) == 1:
        return diagnostics[0].text(directory, hint=False, prefix=False)
    faults = [fault.text(directory, hint=False) for fault in diagnostics]
    return "\n".join([f"{len(faults)} faults in the plan", *faults])


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
    """An error that is made of diagnostics: text, hints and mostly the code are theirs where none are given."""

    diagnostics: list[Diagnostic]
    _coded_by_faults = True

    def __init__(
        self, message: str = "", diagnostics: Iterable[Diagnostic] = (), **fields: Any
    ) -> None:
        """Keeps the fields and the diagnostics."""
        faults = list(diagnostics)
        hints = list(fields.pop("hints", ()))
        if self._coded_by_faults and fields.get("code") is None:
            wrong = (fault.code for fault in faults if fault.severity == "error")
            fields["code"] = next(wrong, None)
        super().__init__(
            message or (_plan_text(faults) if faults else ""),
            hints=hints or list(dict.fromkeys(fault.hint for fault in faults if fault.hint)),
            **fields,
        )
        self.diagnostics = faults


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
    """A component that started says that it is not well."""

    code = "unhealthy"


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
    _coded_by_faults = False


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


_PLAN_ERRORS: dict[str, type[PlanError]] = {
    "dependency-cycle": CycleError,
    "missing-dependency": MissingDependencyError,
    "duplicate-component": DuplicateComponentError,
    "phase-order": PhaseOrderError,
}

_BOOT_ERRORS: dict[str, type[BootError]] = {
    "start-timeout": BootTimeoutError,
    "unhealthy": UnhealthyError,
    "state-locked": StateLockedError,
    "manifest-invalid": ManifestError,
    **_PLAN_ERRORS,
}


def plan_error(
    message: str, diagnostics: Iterable[Diagnostic], **fields: Any
) -> PlanError | ManifestError:
    """The error for these faults: the class of their one code, `PlanError` for a mix.

    Args:
        message: The whole text; empty: made from the diagnostics.
        diagnostics: All faults; only errors choose the class.
        **fields: Further fields of `BootError`.
    """
    faults = list(diagnostics)
    codes = {fault.code for fault in faults if fault.severity == "error"}
    if codes == {"manifest-invalid"}:
        return ManifestError(message, faults, **fields)
    kind = _PLAN_ERRORS.get(next(iter(codes)), PlanError) if len(codes) == 1 else PlanError
    return kind(message, faults, **fields)


def boot_error(message: str, *, code: str, **fields: Any) -> BootError:
    """The boot error of that code: its own class where there is one, else `BootError`."""
    return _BOOT_ERRORS.get(code, BootError)(message, code=code, **fields)
