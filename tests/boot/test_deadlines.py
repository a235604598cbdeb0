"""A step that hangs: the error names it with its stack, and the process ends by itself."""

from __future__ import annotations

import boot_scripts
import pytest
from hang_cases import CASES, Side


@pytest.fixture(scope="module")
def seen(request, tmp_path_factory):
    """The cases that this run asks for; most of their time they wait."""
    asked = [item.callspec.params["case"] for item in request.session.items if is_case(item)]
    side = Side(asked, tmp_path_factory.mktemp("hangs"), width=4)
    yield side
    side.close()


def is_case(item):
    return getattr(item, "originalname", "") == "test_a_step_that_hangs"


@pytest.mark.parametrize("case", CASES)
def test_a_step_that_hangs(case, seen):
    seen[case].check(slack=4.0)


def test_a_main_thread_stop_that_hangs_does_not_keep_the_shutdown(tmp_path):
    ended = boot_scripts.run(
        """
        @component(main_thread=True)
        class Main:
            def stop(self):
                say("stopping"); time.sleep(60)
        system = boot(components=[Main])
        began = time.monotonic()
        system.shutdown(timeout=0.9)
        say("down", time.monotonic() - began < 4 * 0.9)
        sys.exit(4)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout) == (4, "stopping\ndown True\n")
    told, *where = ended.stderr.splitlines()
    assert told.startswith("symphony: `Main` did not stop: it did not end within 300 ms: ")
    assert told.endswith("in stop"), "where it hangs"
    assert any("time.sleep(60)" in line for line in where), "the traceback of the step that hung"


def test_the_hint_says_which_deadline_to_lengthen(tmp_path):
    ended = boot_scripts.run(
        """
        @component(timeout=0.3)
        class Slow:
            def __init__(self): time.sleep(60)
        try: boot(components=[Slow])
        except BootTimeoutError as error: say(*error.hints)
        """,
        tmp_path,
    )
    hint = "give `Slow` a longer `timeout` if it needs more than 300 ms\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, hint, "")
