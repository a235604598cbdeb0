"""`symphony check` and `boot()` on thousands of random projects; `make test` looks at 150."""

from __future__ import annotations

import os

import agreement
import faulty_projects
from hypothesis import HealthCheck, given, settings

SCALE = float(os.environ.get("SYMPHONY_SOAK", "1"))


@settings(
    max_examples=max(200, int(10_000 * SCALE)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(faulty_projects.projects())
def test_check_and_boot_agree_on_thousands_of_random_projects(project):
    agreement.compare(project)
