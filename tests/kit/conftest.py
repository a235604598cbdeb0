"""What the tests of real extension processes share."""

from __future__ import annotations

import pytest
from workshop import Workshop


@pytest.fixture(scope="module")
def shared_workshop(tmp_path_factory):
    """A folder for the system that the tests of one module share."""
    return Workshop(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """A system whose extensions list hosts, and the servers that they list or do not."""
    from listed_hosts import listed_hosts

    with listed_hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture
def servers(hosts):
    return hosts.servers


@pytest.fixture
def ask(hosts):
    """Runs code in one of these extensions."""
    return hosts.ask
