"""The tree of exceptions: classes, fields, text and hints."""

from __future__ import annotations

import pickle
import re
import sys

import pytest
from symphony import exceptions
from symphony._core import boot_error, plan_error
from symphony.exceptions import (
    BootError,
    BootTimeoutError,
    CallTimeoutError,
    ComponentNotFoundError,
    CycleError,
    Diagnostic,
    ExtensionError,
    ManifestError,
    MissingDependencyError,
    PlanError,
    RemoteError,
    SymphonyError,
)


def hints_of(error):
    """What a person reads below the message: notes, before 3.11 the end of `str(error)`."""
    if sys.version_info >= (3, 11):
        assert str(error) == error.message
        return error.__notes__
    message, _, notes = str(error).partition("\n\n")
    assert message == error.message
    return re.split(r"\n(?=hint: |while )", notes)


def every_class():
    return [
        value
        for value in vars(exceptions).values()
        if isinstance(value, type) and issubclass(value, SymphonyError)
    ]


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_and_survives_pickling(kind):
    error = kind("it broke", hints=["mend it"])
    assert str(error).startswith("it broke")
    assert error.code
    assert error.code == error.code.lower()
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.message, copy.hints) == (kind, "it broke", ("mend it",))


def test_errors_are_also_the_builtins_that_a_caller_expects():
    assert issubclass(BootTimeoutError, TimeoutError)
    assert issubclass(CallTimeoutError, TimeoutError)
    assert issubclass(CallTimeoutError, ExtensionError)
    assert issubclass(ComponentNotFoundError, KeyError)
    assert str(ComponentNotFoundError("no `Index`")) == "no `Index`"
    assert not issubclass(ManifestError, PlanError)


def test_a_boot_error_carries_its_fields_and_its_hints_as_notes():
    first = SymphonyError("`b` did not stop")
    error = BootError(
        "`a` failed to start",
        code="start-failed",
        phase="pit",
        component="a",
        hints=["look"],
        rollback_errors=[first],
    )
    assert (error.code, error.phase, error.component) == ("start-failed", "pit", "a")
    assert error.rollback_errors == (first,)
    assert hints_of(error) == ["hint: look", "while rolling back: `b` did not stop"]


def test_a_ring_prints_the_place_of_every_edge(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fault = Diagnostic(
        "dependency-cycle",
        "dependency cycle: `Planner` -> `Index` -> `Planner`",
        path=["Planner", "Index"],
        related=[
            (f"{tmp_path}/app/planner.py", 12, 5, "`Planner` needs `Index`"),
            (f"{tmp_path}/app/index.py", 7, 5, "`Index` needs `Planner`"),
        ],
        hint="declare `planner: Late[Planner]` at app/index.py:7",
    )
    error = plan_error([fault])
    assert type(error) is CycleError
    assert error.message == (
        "dependency cycle: `Planner` -> `Index` -> `Planner`\n"
        "  app/planner.py:12  `Planner` needs `Index`\n"
        "  app/index.py:7     `Index` needs `Planner`"
    )
    assert error.diagnostics == [fault]
    assert "declare `planner: Late[Planner]`" in hints_of(error)[0]


def test_one_code_chooses_the_class_and_a_mix_is_the_plan_error_itself():
    missing = Diagnostic("missing-dependency", "`A` needs `B`")
    double = Diagnostic("duplicate-component", "`A` twice")
    note = Diagnostic("unverified", "`C`", severity="note")
    assert type(plan_error([missing, missing, note])) is MissingDependencyError
    assert type(plan_error([missing, double])) is PlanError
    assert type(plan_error([Diagnostic("manifest-invalid", "x")])) is ManifestError
    assert "2 faults" in str(plan_error([missing, double]))


def test_codes_of_boot_errors_choose_their_class():
    error = boot_error("late", code="start-timeout", phase="pit")
    assert type(error) is BootTimeoutError
    assert type(boot_error("x", code="interrupted")) is BootError


def test_a_remote_error_shows_the_far_traceback():
    error = RemoteError("no", extension="outline", type_name="ValueError", traceback="File x")
    assert error.type_name == "ValueError"
    assert hints_of(error) == ["traceback of extension `outline`:\nFile x"]


def test_a_diagnostic_keeps_the_keys_of_check_json_and_reads_its_own_dictionary():
    fields = {
        "code": "phase-order",
        "severity": "error",
        "message": "m",
        "file": "/a.py",
        "line": 3,
        "column": None,
        "path": ["A"],
        "hint": None,
    }
    assert Diagnostic.from_dict(fields).to_dict() == fields
