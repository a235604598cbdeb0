"""An operation that forks leaves one process that answers: the extension. The child ends where it would answer."""

from __future__ import annotations

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError
from workshop import Workshop, descendants, wait_until

pytestmark = pytest.mark.timeout(120)

SOURCE = """
import atexit, os, pathlib, sys
HERE = pathlib.Path(__file__).parent
atexit.register(lambda: (HERE / f"atexit-{os.getpid()}").touch())
@extension.on_stop
def stop():
    (HERE / f"stop-{os.getpid()}").touch()
def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
@extension.operation
def pid() -> int:
    return os.getpid()
@extension.operation
def returns() -> list:
    child = os.fork()
    return ["parent", os.getpid(), status(child)] if child else ["child", os.getpid()]
@extension.operation
def raises() -> list:
    child = os.fork()
    if child == 0:
        raise ValueError("of the child")
    return ["parent", os.getpid(), status(child)]
@extension.operation
def leaves() -> list:
    child = os.fork()
    if child == 0:
        sys.exit(7)
    return ["parent", os.getpid(), status(child)]
@extension.operation
def streams():
    child = os.fork()
    yield "parent" if child else "child"
    yield os.getpid()
    if child:
        yield status(child)
@extension.operation
async def later() -> list:
    child = os.fork()
    return ["parent", os.getpid(), status(child)] if child else ["child"]
@extension.operation
async def leaves_later() -> list:
    child = os.fork()
    if child == 0:
        sys.exit(7)
    return ["parent", os.getpid(), status(child)]
@extension.operation
def calls() -> list:
    child = os.fork()
    if child == 0:
        try:
            extension.publish("topic", 1)
        except Exception as error:
            os._exit(5 if type(error).__name__ == "ForkedError" else 6)
    return ["parent", os.getpid(), status(child)]
@extension.operation
def processes() -> list:
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return ["parent", os.getpid(), sum(pool.map(abs, [-1, -2]))]
"""

CODES = {
    "returns": 0,
    "raises": 1,
    "leaves": 7,
    "streams": 0,
    "later": 0,
    "leaves_later": 7,
    "calls": 5,
    "processes": 3,
}


@pytest.fixture(scope="module")
def workshop_of_forks(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("forks"))
    workshop.extension("forks", SOURCE, '[extension.permissions]\nrun = ["true"]\n')
    return workshop


@pytest.mark.parametrize("operation", CODES)
def test_one_process_answers_and_goes_on(workshop_of_forks, operation):
    with running(workshop_of_forks) as system:
        handle = system.kit.extension("forks").options(timeout=30)
        pid = handle.call("pid")
        for _ in range(2):
            assert handle.call(operation) == ["parent", pid, CODES[operation]]
            assert handle.call("pid") == pid
        assert wait_until(lambda: not descendants(pid))
    # The child runs no hook of its parent's.
    folder = workshop_of_forks.folder / "extensions" / "forks"
    for kind in ("stop", "atexit"):
        assert [file.name for file in folder.glob(f"{kind}-*")] == [f"{kind}-{pid}"]
        (folder / f"{kind}-{pid}").unlink()


def test_what_the_child_raised_is_on_stderr_and_no_answer(workshop_of_forks, caplog):
    caplog.set_level("INFO")
    with running(workshop_of_forks) as system:
        assert system.kit.extension("forks").call("raises")[0] == "parent"
        assert wait_until(lambda: "ValueError: of the child" in caplog.text)
        with pytest.raises(RemoteError, match="does not know"):
            system.kit.extension("forks").call("raises", x=1)
