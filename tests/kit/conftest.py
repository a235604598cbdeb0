"""What the tests of real extension processes share."""

from __future__ import annotations

import pytest
from workshop import Workshop


@pytest.fixture(scope="module")
def shared_workshop(tmp_path_factory):
    """A folder for the system that the tests of one module share."""
    return Workshop(tmp_path_factory.mktemp("shared"))
