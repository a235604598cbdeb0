"""What the tests of servers share."""

from __future__ import annotations

import pytest
from scripted_servers import Servers


@pytest.fixture
def servers(tmp_path):
    return Servers(tmp_path)


@pytest.fixture(scope="module")
def shared_servers(tmp_path_factory):
    return Servers(tmp_path_factory.mktemp("servers"))
