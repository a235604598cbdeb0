"""`symphony run`: boots, runs a Melody, shows how it goes, shuts down.

It uses the public API and nothing else. The invariant kept here: whatever happens after `boot()`,
the system is shut down, and with `--json` there is one document on stdout.
"""

from __future__ import annotations

import glob
import json
import os
import sys
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._boots import figures_of, measure
from symphony._cli._degraded import is_degraded
from symphony._cli._exit import FAILED, OK, USAGE, exit_code_of
from symphony._cli._results import Results
from symphony._cli._stdout import KeptStdout
from symphony._cli._system import config_of, refuse_unwritable, served, start
from symphony._core import budget_text
from symphony.batch import Job, Tally, run_batch
from symphony.exceptions import BootError, SymphonyError
from symphony.progress import RunsBar

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from symphony import Melody, System
    from symphony._cli._baseline import Baseline, BaselineResult


_BOOTS = 5
"""So many are compared with a baseline where nothing else is asked for."""


class _Session:
    """What one call of `symphony run` came to."""

    def __init__(self, baseline: Baseline | None, *, as_json: bool) -> None:
        self.stdout = KeptStdout() if as_json else None
        self.report: dict[str, Any] = _errors.empty_report()
        self.tally = Tally()
        self.results = Results(keeps_all=as_json)
        self.error: BaseException | None = None
        self.baseline = baseline
        self.compared: BaselineResult | None = None
        self.boots: list[dict[str, Any]] = []
        self.has_told_runs = self.has_told_evidence = False


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    fault = _usage_fault(options)
    if fault is not None:
        _errors.refuse("run", _errors.UsageError(fault), as_json=options.json)
        return USAGE
    baseline: Baseline | None = None
    try:
        refuse_unwritable(options.trace)
        if options.baseline is not None:
            from symphony._cli._baseline import Baseline

            baseline = Baseline(options.baseline)
    except _errors.UsageError as bad:
        _errors.refuse("run", bad, as_json=options.json)
        return USAGE
    session = _Session(baseline, as_json=options.json)
    jobs = _jobs(options)
    if jobs is None:
        name, pattern = options.each
        error = SymphonyError(f"`--each {name}={pattern}` matches no file", code="invalid-value")
        session.error = error
    else:
        _work(options, jobs, session)
    return _conclude(options, session)


def _usage_fault(options: argparse.Namespace) -> str | None:
    """What is wrong with the combination of arguments."""
    if options.melody is None and (options.input or options.each or options.runs != 1):
        return "`--input`, `--each` and `--runs` need `--melody`"
    names = [name for name, _ in options.input]
    if options.each:
        names.append(options.each[0])
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"input `{twice[0]}` is given twice" if twice else None


def _jobs(options: argparse.Namespace) -> list[Job] | None:
    """The runs that are wanted; `None` where the glob matches nothing."""
    if options.melody is None:
        return []
    inputs: dict[str, str] = dict(options.input)
    if options.each is None:
        return [Job(f"run {number}", inputs) for number in range(1, options.runs + 1)]
    name, pattern = options.each
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not found:
        return None
    return [
        Job(path, {**inputs, name: os.path.abspath(path)})
        for _ in range(options.runs)
        for path in found
    ]


def _work(options: argparse.Namespace, jobs: list[Job], session: _Session) -> None:
    """Boots, works, shuts down; what goes wrong is kept in the session."""
    from symphony import Melody

    # What is measured, and compared, is the whole system.
    measured = options.boots is not None or session.baseline is not None
    config = config_of(options, safe_mode="off" if measured else None)
    try:
        # Read before the boot: a Melody at fault starts nothing.
        melody = None if options.melody is None else Melody(options.melody)
        if melody is not None:
            _check_inputs(melody, jobs[0])
        boots = options.boots or (_BOOTS if session.baseline is not None else 1)
        session.boots = measure(options, config, boots - 1) if boots > 1 else []
        with start(options, config) as system, served(system, config):
            session.report = json.loads(system.report.to_json())
            session.boots.append(figures_of(session.report))
            if session.baseline is not None:
                session.compared = session.baseline.compare(session.boots, options.threshold)
            if not options.json:
                print(str(system.report).rstrip(), flush=True)
            _tell_evidence(options, session)
            _play(options, system, melody, jobs, session)
    except BootError as error:
        session.error = error
        if error.report is not None:
            session.report = json.loads(error.report.to_json())
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - a Conductor's own.
        session.error = error


def _check_inputs(melody: Melody, job: Job) -> None:
    """Refuses inputs that the Melody lacks or does not have, before anything is started.

    Raises:
        UsageError: It names one of them.
    """
    for name in melody.inputs:
        if name not in job.inputs:
            raise _errors.UsageError(
                f"the Melody `{melody.name}` lacks the input `{name}`",
                hints=[f"add `--input {name}=…`, or `--each {name}=GLOB`"],
            )
    for name in job.inputs:
        if name not in melody.inputs:
            known = ", ".join(f"`{known}`" for known in melody.inputs)
            raise _errors.UsageError(
                f"the Melody `{melody.name}` has no input `{name}`",
                hints=[f"its inputs: {known}" if known else "it takes no inputs"],
            )


def _play(
    options: argparse.Namespace,
    system: System[Any],
    melody: Melody | None,
    jobs: list[Job],
    session: _Session,
) -> None:
    """Runs the Melody as often as was asked for; without one, or for ever, the Conductor's own `run()`."""
    if melody is not None:
        with RunsBar(len(jobs), melody.name) as bar:
            run_batch(
                system,
                melody,
                jobs,
                progress=bar,
                record=session.results.add,
                tally=session.tally,
            )
        if options.forever:
            # What there is to tell is told before it lasts.
            _tell_runs(options, session)
    if melody is None or options.forever:
        # A Conductor of one's own may return something else than a `RunSummary`, and know no argument.
        summary: object = system.run(forever=True) if options.forever else system.run()
        if melody is not None:
            return
        session.tally.ok = getattr(summary, "ok", 0)
        session.tally.failed = getattr(summary, "failed", 0)
        session.tally.seconds = getattr(summary, "seconds", 0.0)


def _conclude(options: argparse.Namespace, session: _Session) -> int:
    """Prints what it came to, and chooses the exit code."""
    tally, report = session.tally, session.report
    violations = report["budget_violations"]
    unwritten = _write_trace(options, session)
    if session.error is not None:
        print(_errors.render(session.error), file=sys.stderr)
    _tell_evidence(options, session)
    _tell_runs(options, session)
    slower = session.compared.slower if session.compared is not None else []
    failed = session.error is not None or tally.failed > 0 or unwritten
    failed = failed or bool(options.strict and (violations or slower or is_degraded(report)))
    if session.stdout is not None:
        boots = options.boots is not None
        session.stdout.write_document(_document(session, ok=not failed, boots=boots))
    if session.error is not None:
        return exit_code_of(session.error)
    return FAILED if failed else OK


def _write_trace(options: argparse.Namespace, session: _Session) -> bool:
    """Writes the trace that was asked for, also of a boot that failed; true where it could not be."""
    if not options.trace or isinstance(session.error, _errors.UsageError):
        return False
    from symphony._cli._trace import Background, write_trace

    error, report = session.error, session.report
    if error is not None and report["error"] is None:
        report = {**report, "ok": False, "error": _errors.as_document(error)}
    about = Background(session.results.documents, options.melody, error)
    try:
        write_trace(options.trace, report, session.tally, about)
    except OSError as failure:
        print(f"error: `{options.trace}` cannot be written: {failure.strerror}", file=sys.stderr)
        return True
    return False


def _tell_runs(options: argparse.Namespace, session: _Session) -> None:
    """Tells once what became of the runs that have ended: failures on stderr, results where text is asked for."""
    if session.has_told_runs:
        return
    session.has_told_runs = True
    tally = session.tally
    if tally.failures:
        print(_errors.render_failures(tally), file=sys.stderr)
    if options.json or options.melody is None or (session.error is not None and not tally.count):
        return
    for line in session.results.lines():
        print(line)
    # At once: whoever reads it through a pipe has it although the command goes on.
    print(tally.line(), flush=True)


def _tell_evidence(options: argparse.Namespace, session: _Session) -> None:
    """Tells once, on stderr, which budgets were exceeded and what became slower, and by how much."""
    if session.has_told_evidence:
        return
    session.has_told_evidence = True
    word = "error" if options.strict else "warning"
    for entry in session.report["budget_violations"]:
        name, actual, limit = entry["name"], entry["actual"], entry["limit"]
        print(
            f"{word}: budget `{name}` exceeded: {budget_text(name, actual)} instead of "
            f"{budget_text(name, limit)}, {budget_text(name, actual - limit)} too much",
            file=sys.stderr,
        )
    if session.compared is not None:
        for line in session.compared.lines(word):
            print(line, file=sys.stderr)
        if not options.json:
            print(session.compared.summary(), flush=True)


def _document(session: _Session, *, ok: bool, boots: bool) -> dict[str, Any]:
    """The document of `--json`: the boot's report with the runs."""
    document = {**session.report, "ok": ok, "runs": session.tally.to_dict()}
    document["results"] = session.results.documents
    if boots:
        document["boots"] = session.boots
    if session.baseline is not None:
        # Nothing where the boot failed: there is nothing to compare.
        compared = session.compared
        document["baseline"] = None if compared is None else compared.document()
    if session.error is not None:
        document["error"] = _errors.as_document(session.error)
    elif document["error"] is None and session.tally.failures:
        document["error"] = _errors.as_document(session.tally.failures[0][1])
    return document
