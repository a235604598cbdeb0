"""What `boot()` is given in forms that look like another one, and what looks at it without an end."""

from __future__ import annotations

import functools
import logging
import sys

import pytest
from conftest import run_python
from symphony import PlanError, StoppedError, boot, component

pytestmark = pytest.mark.usefixtures("nothing_left")


class Plain: ...


def test_one_name_of_a_module_is_a_module_and_one_class_is_refused_with_what_to_write(
    tmp_path, monkeypatch
):
    (tmp_path / "odd_parts.py").write_text(
        "from symphony import component\n@component\nclass Part: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with boot(components="odd_parts") as system:
        import odd_parts

        assert isinstance(system[odd_parts.Part], odd_parts.Part)
    del sys.modules["odd_parts"]
    for wrong in (Plain, 3, lambda: Plain()):
        with pytest.raises(TypeError, match=r"write `components=\["):
            boot(components=wrong)


def test_attributes_of_a_class_make_no_partial_of_it():
    class Highlighter:
        keywords = {"if": 1}
        func = len
        args = (1,)

    def made(number: int = 0, *, other: str = "a") -> Plain:
        assert (number, other) == (3, "b")
        return Plain()

    with boot(components=[Highlighter, functools.partial(made, 3, other="b")]) as system:
        assert isinstance(system[Highlighter], Highlighter)
        assert isinstance(system[Plain], Plain)


def test_a_handler_that_raises_at_a_failed_stop_keeps_nothing_from_its_end(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: told.append(found.exc_type))

    class Raises(logging.Handler):
        def emit(self, record):
            if record.exc_info:
                raise OSError("disk full")

    class Stop:
        def stop(self):
            raise KeyError("mine")

    handler = Raises()
    logger = logging.getLogger("symphony.boot")
    logger.addHandler(handler)
    try:
        system = boot(components=[Stop])
        system.shutdown()
        with pytest.raises(StoppedError):
            system.health()
    finally:
        logger.removeHandler(handler)
    assert OSError in told


@pytest.mark.timeout(60)
def test_a_name_that_stands_for_itself_is_looked_at_so_often_and_no_longer():
    done = run_python("""
    from __future__ import annotations
    from typing import Protocol
    from symphony import boot, component, SymphonyError
    Row = "Row"
    class Rows(Protocol):
        def row(self) -> Row: ...
    @component(provides=Rows)
    class Real:
        async def row(self) -> Row: ...
    def wraps() -> Real: ...
    wraps.__wrapped__ = wraps
    for given in ([Real], [wraps]):
        try:
            boot(components=given).shutdown()
        except (SymphonyError, ValueError) as error:
            print(type(error).__name__)
    print("end")
    """)
    assert done.stdout.splitlines()[-1] == "end", done.stderr


def test_an_alias_of_what_only_a_type_checker_imports_is_a_fault_of_the_plan():
    class Alias:
        @property
        def __value__(self):
            raise NameError("name 'Index' is not defined")

    @component
    class Needs:
        def __init__(self, index: Alias()): ...  # type: ignore[valid-type]

    Needs.__init__.__annotations__["index"] = Alias()
    with pytest.raises(PlanError, match="Index"):
        boot(components=[Needs])
