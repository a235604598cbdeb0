"""The whole table of faults: every component of a real system × every step × every kind, and every broken handshake."""

from __future__ import annotations

import fault_cells
import handshake_cells
import pytest
from workshop import Workshop

SLACK = 1
ATTEMPTS = 5
"""What is late because the machine is busy is in time when it is tried again."""


def _holds(run, tmp_path_factory):
    """The outcome of a cell, and what did not hold."""
    for attempt in range(1, ATTEMPTS + 1):
        stage = fault_cells.Stage(Workshop(tmp_path_factory.mktemp("cell")), SLACK)
        try:
            return run(stage), None
        except fault_cells.TooLateError as error:
            if attempt == ATTEMPTS:
                return None, str(error)
        except AssertionError as error:
            return None, str(error)
    raise AssertionError("there is an attempt")


def test_every_cell_of_the_table_holds(tmp_path_factory, capsys):
    told, broken = [], []
    for cell in fault_cells.cells():
        outcome, fault = _holds(lambda stage, cell=cell: stage.run(cell), tmp_path_factory)
        if outcome is not None:
            told.append(outcome)
        else:
            broken.append(f"{cell}: {fault}")
    with capsys.disabled():
        print(f"\n{len(told)} cells hold, {len(broken)} do not\n{fault_cells.table(told)}")
    assert broken == []


def test_every_handshake_and_every_fault_of_the_callers_own(tmp_path_factory, capsys):
    told, broken = [], []
    for cell in (*handshake_cells.HANDSHAKES, *handshake_cells.OWN):

        def run(stage, cell=cell):
            if isinstance(cell, handshake_cells.Handshake):
                return handshake_cells.run_handshake(stage, cell)
            with pytest.MonkeyPatch.context() as paths:
                return handshake_cells.run_own(stage, cell, paths)

        outcome, fault = _holds(run, tmp_path_factory)
        if outcome is not None:
            told.append(outcome)
        else:
            broken.append(f"{cell}: {fault}")
    with capsys.disabled():
        print("\n" + "\n".join(f"{one.name:30} {one.code:20} {one.seconds:.2f}" for one in told))
    assert broken == []
