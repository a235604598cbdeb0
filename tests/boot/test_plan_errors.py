"""Faults of a plan: all at once, each at its exact place."""

from __future__ import annotations

import os
import sys
import traceback

import boot_scripts
import pytest
import symphony
from symphony import Late, PlanError, boot

pytestmark = pytest.mark.usefixtures("nothing_left")

CYCLE = """\
from symphony import boot, CycleError
class Planner:
    def __init__(
        self,
        index: "Index",
    ) -> None: ...
class Index:
    def __init__(self, number: int = 3, *, store: "Store") -> None: ...
class Store:
    def __init__(self, planner: Planner) -> None: ...
"""


def test_a_cycle_of_three_in_the_designs_form(tmp_path):
    (tmp_path / "ring.py").write_text(CYCLE)
    ended = boot_scripts.run(
        """
        sys.path.insert(0, os.getcwd())
        import ring
        try: boot(components=[ring.Planner, ring.Index, ring.Store])
        except symphony.CycleError as error:
            print(error.message, *error.hints, sep="\\n")
            (fault,) = error.diagnostics
            print(fault.path, fault.file == os.path.abspath("ring.py"), fault.line, fault.column)
            # Notes, before Python 3.11 the end of the text.
            ended = str(error).partition("\\n\\n")[2].splitlines()
            notes = getattr(error, "__notes__", ended)
            print([edge[1:3] for edge in fault.related], notes)
        """,
        tmp_path,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "dependency cycle: `Planner` -> `Index` -> `Store` -> `Planner`",
        "  ring.py:5   `Planner` needs `Index`",
        "  ring.py:8   `Index` needs `Store`",
        "  ring.py:10  `Store` needs `Planner`",
        "declare `planner: Late[Planner]` at ring.py:10",
        "['Planner', 'Index', 'Store'] True 5 9",
        (
            "[(5, 9), (8, 44), (10, 24)] ['hint: declare `planner: Late[Planner]` at ring.py:10', "
            "'= dependency-cycle: docs/errors.md#dependency-cycle']"
        ),
    ]


class Gone:
    pass


class Shared:
    pass


def one() -> Shared: ...  # type: ignore[empty-body]
def two() -> Shared: ...  # type: ignore[empty-body]


class Wants:
    def __init__(self, gone: Gone, shared: Shared, never: NoSuch) -> None: ...  # noqa: F821


class Ring:
    def __init__(self, ring: Ring) -> None: ...


@symphony.component(phase="pit")
class Early:
    def __init__(self, ring: Ring) -> None: ...


def test_all_faults_at_once():
    components = [one, two, Wants, Ring, Early, Shared, Shared]
    with pytest.raises(PlanError) as caught:
        boot(components=components)
    error = caught.value
    assert type(error) is PlanError
    assert sorted({fault.code for fault in error.diagnostics}) == [
        "ambiguous-dependency",
        "dependency-cycle",
        "duplicate-component",
        "missing-dependency",
        "phase-order",
        "unresolved-annotation",
    ]
    here = {fault.code: fault for fault in error.diagnostics}
    line = Wants.__init__.__code__.co_firstlineno
    for code, parameter in (
        ("missing-dependency", "gone:"),
        ("ambiguous-dependency", "shared:"),
        ("unresolved-annotation", "never:"),
    ):
        fault = here[code]
        with open(__file__, encoding="utf-8") as source:
            text = source.read().splitlines()[line - 1]
        assert (fault.file, fault.line, fault.column) == (__file__, line, text.index(parameter) + 1)
    assert here["missing-dependency"].hint == "add `Gone` to `components`"
    assert f"{len(error.diagnostics)} faults in the plan" in str(error)
    for fault in error.diagnostics:
        assert fault.message in str(error)
        assert os.path.isabs(fault.file)


@pytest.mark.parametrize(
    ("components", "kind"),
    [
        ([Ring], symphony.CycleError),
        ([Shared, Shared], symphony.DuplicateComponentError),
    ],
)
def test_a_single_kind_of_fault_has_its_own_class(components, kind):
    with pytest.raises(kind):
        boot(components=components)


def test_late_edges_that_nobody_meets_are_missing():
    class Lonely:
        def __init__(self, gone: Late[Gone]) -> None: ...

    with pytest.raises(symphony.MissingDependencyError, match="`Lonely` needs `Gone`"):
        boot(components=[Lonely])


def test_a_good_plan_never_reads_sources(tmp_path):
    ended = boot_scripts.run(
        "class A: pass\nwith boot(components=[A]): print('symphony._components.places' in sys.modules)",
        tmp_path,
    )
    assert ended.stdout == "False\n"


def test_each_hint_stands_under_its_fault_and_codes_come_last():
    class Absent: ...

    class First:
        def __init__(self, absent: Absent): ...

    class Second:
        def __init__(self, bare): ...

    with pytest.raises(PlanError) as several:
        boot(components=[First, Second])
    text = "".join(traceback.format_exception_only(PlanError, several.value))
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    assert lines[1:] == [
        "error: parameter `bare` of `Second` has no annotation",
        "hint: annotate `bare` with the type to inject, or give it a default",
        "error: `First` needs `Absent`, and nobody provides it",
        "hint: add `Absent` to `components`",
        *(
            f"= {code}: docs/errors.md#{code}"
            for code in ("unresolved-annotation", "missing-dependency")
        ),
    ] or sys.version_info < (3, 11)
    with pytest.raises(PlanError) as one:
        boot(components=[First])
    text = "".join(traceback.format_exception_only(PlanError, one.value))
    assert text.count("hint: add `Absent` to `components`") == 1
    assert text.rstrip().endswith("= missing-dependency: docs/errors.md#missing-dependency")
