"""A part of the table of faults: every component once, and every step with every kind; `make soak` runs all of it."""

from __future__ import annotations

import fault_cells
import handshake_cells
import pytest
from fault_cells import PHASES, Cell, Stage

SLACK = 4


def part() -> list[Cell]:
    """One cell of each component, so that each sort of cell is among them; then those that once did not hold."""
    rows = {
        name: [cell for cell in fault_cells.cells() if cell.component == name] for name in PHASES
    }
    chosen = [row[number % len(row)] for number, row in enumerate(rows.values())]
    once = [
        # The folder stayed locked for as long as anybody held the error or the system.
        Cell("state", "stop", "hang", "rollback"),
        Cell("state", "stop", "fail", "shutdown"),
        # Its parked thread stayed for ever.
        Cell("Plain", "stop", "panic", "shutdown"),
    ]
    return list(dict.fromkeys(chosen + once))


def test_the_part_has_every_component_and_every_sort_of_cell():
    found = part()
    assert {cell.component for cell in found} == set(PHASES)
    sorts = {(cell.step, cell.kind, cell.moment) for cell in fault_cells.cells()}
    assert {(cell.step, cell.kind, cell.moment) for cell in found} == sorts


@pytest.mark.parametrize("cell", part(), ids=str)
def test_a_cell_holds(cell, workshop):
    Stage(workshop, SLACK).run(cell)


HANDSHAKES = ("never-ready", "sigsegv", "protocol-of-another-version", "garbage", "no-interpreter")


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_breaks(name, workshop):
    cell = next(cell for cell in handshake_cells.HANDSHAKES if cell.name == name)
    handshake_cells.run_handshake(Stage(workshop, SLACK), cell)


@pytest.mark.parametrize("name", ["prepare-exit", "import-raise", "import-hang", "factory-exit"])
def test_a_fault_of_the_callers_own(name, workshop, monkeypatch):
    cell = next(cell for cell in handshake_cells.OWN if str(cell) == name)
    handshake_cells.run_own(Stage(workshop, SLACK), cell, monkeypatch)
