"""Who was refused something by the sandbox is told which key of which manifest would grant it."""

from __future__ import annotations

import subprocess

import pytest
from kit_processes import running
from symphony.exceptions import ExtensionCrashedError, ExtensionError, RemoteError
from workshop import Workshop, write

OPERATIONS = """
import os, signal, socket, subprocess

@extension.operation
def read(path: str):
    return open(path).read()

@extension.operation
def append(path: str):
    open(path, "a").close()

@extension.operation
def run(command: list):
    subprocess.run(command)

@extension.operation
def fork():
    os.fork()

@extension.operation
def connect():
    socket.create_connection(("127.0.0.1", 1))

@extension.operation
def resolve():
    socket.getaddrinfo("symphony.invalid", 80)

@extension.operation
def signal_another():
    os.kill(os.getppid(), 0)

@extension.operation
def own_trouble():
    raise PermissionError("not on a Monday")

@extension.operation
def wrapped(path: str):
    try:
        open(path)
    except OSError as error:
        raise ValueError("no settings") from error

@extension.operation
def ask(operation: str, inputs: dict):
    return extension.call(operation, **inputs)
"""

NATIVE = r"""
#include <stdio.h>
int main(void) {
    FILE *file = fopen("/etc/passwd", "r");
    if (!file) perror("native: /etc/passwd");
    return file ? 0 : 1;
}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    write(folder / "note", "x\n")
    return folder


@pytest.fixture(scope="module")
def workshop(tmp_path_factory, workspace):
    workshop = Workshop(tmp_path_factory.mktemp("refusals"), signs=False)
    workshop.system(f'workspace = "{workspace}"')
    workshop.extension(
        "bare", OPERATIONS, '[extension.permissions]\ncalls = ["granted.*", "bare.*"]'
    )
    workshop.extension(
        "granted",
        OPERATIONS,
        '[extension.permissions]\nnetwork = true\nread = ["${workspace}"]\nrun = ["true"]\n',
    )
    workshop.extension("breaks", "open('/etc/shadow')\n")
    folder = workshop.folder / "extensions" / "native"
    write(folder / "native.c", NATIVE)
    subprocess.run(["cc", "-o", "native", "native.c"], cwd=folder, check=True)
    write(
        folder / "Symphony.toml",
        '[extension]\nname = "native"\ncommand = ["./native"]\noperations = ["any"]\n',
    )
    return workshop


@pytest.fixture(scope="module")
def system(workshop):
    with running(workshop) as system:
        yield system


@pytest.fixture
def refused(system):
    def of(name: str, operation: str, **inputs: object) -> list[str]:
        with pytest.raises(ExtensionError) as caught:
            system.kit.extension(name).options(timeout=30).call(operation, **inputs)
        return list(caught.value.hints)

    return of


def manifest(workshop: Workshop, name: str, line: int) -> str:
    return f"{workshop.folder}/extensions/{name}/Symphony.toml:{line}"


def test_a_file_names_read_and_where_it_is_written(refused, workshop, workspace):
    [hint] = refused("bare", "read", path=f"{workspace}/note")
    assert 'write `read = ["${workspace}/note"]` under `[extension.permissions]`' in hint
    assert manifest(workshop, "bare", 5) in hint
    [hint] = refused("bare", "append", path=f"{workspace}/not-there-yet")
    assert "(`write`, to change it; its folder, to make it)" in hint
    [hint] = refused("granted", "read", path="/etc/shadow")
    assert 'add `"/etc/shadow"` to `read` of `[extension.permissions]`' in hint
    assert manifest(workshop, "granted", 7) in hint


def test_what_may_be_read_and_not_written_names_write(refused, workspace):
    [hint] = refused("granted", "append", path=f"{workspace}/note")
    assert 'write `write = ["${workspace}/note"]`' in hint


def test_its_own_folder_is_no_place_to_write_to(refused):
    [hint] = refused("granted", "append", path="granted.py")
    assert "`$TMPDIR`" in hint
    assert "/.symphony/extensions/granted/data`" in hint


def test_a_program_names_run(refused):
    [hint] = refused("bare", "run", command=["true"])
    assert "write `run = " in hint
    [hint] = refused("granted", "run", command=["ls"])
    assert 'add `"ls"` to `run`' in hint
    [hint] = refused("bare", "fork")
    assert "write `run = " in hint


@pytest.mark.parametrize("operation", ["connect", "resolve"])
def test_a_socket_names_network(refused, workshop, operation):
    [hint] = refused("bare", operation)
    assert "`network = true`" in hint
    assert 'write `network = ["host:port"]`' in hint
    assert manifest(workshop, "bare", 5) in hint


def test_a_signal_names_no_key(refused):
    [hint] = refused("bare", "signal_another")
    assert "no permission changes that" in hint


def test_another_process_names_no_key(refused):
    [hint] = refused("bare", "read", path="/proc/1/environ")
    assert "`/proc`" in hint
    assert "write `" not in hint


def test_a_refusal_that_was_wrapped_is_told(refused):
    [hint] = refused("bare", "wrapped", path="/etc/passwd")
    assert 'read = ["/etc/passwd"]' in hint


def test_nothing_is_said_where_something_else_may_have_refused(refused):
    assert refused("bare", "own_trouble") == []
    # Granted: nobody listens, or no server of names answers.
    assert refused("granted", "connect") == []
    assert refused("granted", "resolve") == []


def test_over_a_call_of_another_it_names_the_others_manifest(system, workshop):
    with pytest.raises(RemoteError) as caught:
        system.kit.extension("bare").call(
            "ask", operation="granted.read", inputs={"path": "/etc/shadow"}
        )
    assert manifest(workshop, "granted", 7) in str(caught.value)
    assert list(caught.value.hints) == []


def test_a_start_and_an_end_are_explained_too(system, workshop):
    with pytest.raises(ExtensionError) as caught:
        system.kit.extension("breaks").activate()
    assert 'read = ["/etc/shadow"]' in caught.value.hints[-1]
    with pytest.raises(ExtensionError) as caught:
        system.kit.extension("native").options(timeout=30).call("any")
    assert not isinstance(caught.value, ExtensionCrashedError)
    assert 'read = ["/etc/passwd"]' in caught.value.hints[-1]
    assert manifest(workshop, "native", 1) in caught.value.hints[-1]
