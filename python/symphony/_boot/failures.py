"""Builds the exceptions that the core raises, from the fields that it hands over. The core is the only caller."""

from __future__ import annotations

from symphony import exceptions
from symphony.exceptions import BootError, Diagnostic, ExtensionError, SymphonyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BOOT: dict[str, type[BootError]] = {
    "start-timeout": exceptions.BootTimeoutError,
    "unhealthy": exceptions.UnhealthyError,
    "state-locked": exceptions.StateLockedError,
}
_EXTENSION: dict[str, type[ExtensionError]] = {
    "extension-crashed": exceptions.ExtensionCrashedError,
    "call-timeout": exceptions.CallTimeoutError,
    "remote-error": exceptions.RemoteError,
    "overloaded": exceptions.OverloadedError,
    "quarantined": exceptions.QuarantinedError,
    "cancelled": exceptions.CallCancelledError,
    "unknown-operation": exceptions.UnknownOperationError,
    "not-granted": exceptions.NotGrantedError,
    "protocol-violation": exceptions.ProtocolError,
    "protocol-mismatch": exceptions.ProtocolError,
}
_OTHER: dict[str, type[SymphonyError]] = {
    "invalid-value": exceptions.InvalidValueError,
    "not-found": exceptions.NotFoundError,
    "stopped": exceptions.StoppedError,
    "forked": exceptions.ForkedError,
    "late-binding": exceptions.LateBindingError,
    "wrong-thread": exceptions.WrongThreadError,
    "melody-invalid": exceptions.MelodyError,
    "component-not-found": exceptions.ComponentNotFoundError,
    "pit-library": exceptions.PitLibraryError,
    "abi-mismatch": exceptions.PitLibraryError,
}

_NO_MEMORY = "out-of-memory"


def build(fields: dict[str, Any]) -> BaseException:
    """The exception of these fields, with its cause chained."""
    code: str = fields["code"]
    diagnostics: list[Diagnostic] = []
    for entry in fields["diagnostics"]:
        fault = Diagnostic.from_dict(entry)
        if fault not in diagnostics:
            diagnostics.append(fault)
    error: BaseException
    if diagnostics:
        error = _diagnosed(code, fields, diagnostics)
    elif fields["boot"]:
        kind = _BOOT.get(code, BootError)
        bound = code == "late-binding" == fields["component"]
        if bound:
            # The core's words begin with the class of what was raised; its own are all that is wanted.
            fields["causes"] = [str(fields["payload"])]
            fields["payload"] = None
        if bound or kind is exceptions.BootTimeoutError:
            # Which step hung, where, and what had finished belongs to the message; it is no exception of its own.
            fields["message"] = "\n".join([fields["message"], *map(_indented, fields["causes"])])
            fields["causes"] = []
        error = kind(
            _message(fields),
            code=code,
            phase=fields["phase"],
            component=fields["component"],
            report=fields["report"],
            hints=fields["hints"],
            rollback_errors=[build(entry) for entry in fields["rollback"]],
        )
    elif (code in _OTHER or code == _NO_MEMORY) and fields["payload"] is None:
        # The word says more than who was called, as `stopped` and a nested call's `not-found`.
        error = _other(code, fields)
    elif code in _EXTENSION or fields["extension"] is not None:
        error = _extension(code, fields)
    elif fields["payload"] is not None:
        payload: BaseException = fields["payload"]
        return payload
    else:
        error = SymphonyError(_message(fields), code=code, hints=fields["hints"])
    told = _message(fields)
    error.__cause__ = fields["payload"] or _causes(
        [cause for cause in fields["causes"] if cause not in told], code
    )
    return error


def _diagnosed(code: str, fields: dict[str, Any], faults: list[Diagnostic]) -> BaseException:
    if code == "melody-invalid":
        return exceptions.MelodyError("", faults)
    wrong = {fault.code for fault in faults if fault.severity == "error"}
    if wrong == {"start-failed"}:
        # The supervisor's process, which comes before there is a plan.
        return BootError(
            "\n".join(fault.message for fault in faults),
            code="start-failed",
            phase=fields["phase"],
            hints=[fault.hint for fault in faults if fault.hint],
        )
    if "manifest-invalid" in wrong or wrong <= {"unknown-operation", "source-invalid"}:
        return exceptions.ManifestError("", faults, report=fields["report"], phase=fields["phase"])
    error = exceptions.plan_error("", faults)
    error.report = fields["report"]
    return error


def _other(code: str, fields: dict[str, Any]) -> BaseException:
    if code != _NO_MEMORY:
        return _OTHER[code](_message(fields), code=code, hints=fields["hints"])
    # Python's own class: whoever frees memory catches that. The code and what to do are there all the same.
    error = MemoryError(_message(fields))
    error.__dict__.update(code=code, hints=fields["hints"])
    return error


def _message(fields: dict[str, Any]) -> str:
    message: str = fields["message"]
    if fields["stack"]:
        message += "\n  it stands at:\n    " + fields["stack"].replace("\n", "\n    ")
    return message


def _indented(text: str) -> str:
    return "  " + text.replace("\n", "\n    ")


def _extension(code: str, fields: dict[str, Any]) -> BaseException:
    kind = _EXTENSION.get(code, ExtensionError)
    extra: dict[str, Any] = {}
    if kind is exceptions.RemoteError:
        extra = {
            "type_name": fields["type_name"],
            "traceback": fields["traceback"],
            "causes": fields["causes"],
        }
    elif kind is exceptions.ExtensionCrashedError:
        extra = {
            "exit_code": fields["exit_code"],
            "signal": fields["signal"],
            "stderr": fields["stderr"],
        }
    return kind(
        _message(fields),
        code=code,
        extension=fields["extension"],
        operation=fields["operation"],
        hints=fields["hints"],
        **extra,
    )


def _causes(causes: list[str], code: str) -> BaseException | None:
    """The chain of causes that have no Python exception of their own, under the word of what they led to."""
    error: BaseException | None = None
    for text in reversed(causes):
        outer = SymphonyError(text, code=code)
        outer.__cause__ = error
        error = outer
    return error
