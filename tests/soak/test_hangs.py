"""Every hang case one by one, held to what is promised without slack; on 3.12 and 3.13 too, by `make soak`."""

from __future__ import annotations

import sys

import pytest
from hang_cases import CASES, EXIT, GRACE, Seen


@pytest.fixture(scope="module")
def table():
    lines: list[str] = []
    yield lines
    version = ".".join(map(str, sys.version_info[:3]))
    # Past the output that is captured: the table is what one runs this for.
    print(f"\nhang cases on {version}: past the deadline, to the end", file=sys.__stderr__)
    print("\n".join(lines), file=sys.__stderr__)


@pytest.mark.parametrize("case", CASES)
def test_a_step_that_hangs(case, tmp_path, table):
    # A machine that is busy with something else may make one late: then the next one tells.
    for attempt in range(3):
        seen = Seen(case, tmp_path / str(attempt))
        seen.check(slack=4.0)
        late, end = float(seen.words["late"]), seen.over - float(seen.words["end"])
        table.append(f"  {case:18} {late * 1e3:6.0f} ms {end * 1e3:6.0f} ms")
        if late < GRACE and end < EXIT:
            return
    seen.check(slack=1.0)
