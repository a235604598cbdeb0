"""Every way to make a class or a callable, and every form of annotation, with what becomes of it.

The table in `docs/components.md` is made of these; `test_ways.py` boots and checks each of them, and holds the page to
it.
"""

from __future__ import annotations

import dataclasses
import textwrap

INJECTED, LEFT_OUT, REFUSED = "is injected", "is left out", "is refused"
HEAD = "from symphony import boot, component\nclass Clock: ...\n"
PAGE_BEGIN, PAGE_END = "<!-- ways: begin -->\n", "<!-- ways: end -->\n"


@dataclasses.dataclass
class Way:
    """One way.

    Attributes:
        group: What it is a way to make.
        text: What people read for it.
        source: The module's text after the clock; it defines `made(system)`, which gives the clock that was injected.
        components: What is registered beside the clock.
        comes_to: What becomes of it.
        python: The first version that knows it.
        needs: A package that it needs.
        is_noted: Only the import of the module tells, and `check` says so.
        code: The fault that it is refused with.
    """

    group: str
    text: str
    source: str
    components: str
    comes_to: str = INJECTED
    python: tuple[int, int] = (3, 9)
    needs: str = ""
    is_noted: bool = False
    code: str = ""

    def module(self) -> str:
        """The text of the module."""
        future = "from __future__ import annotations\n" if "FUTURE" in self.source else ""
        body = textwrap.dedent(self.source).replace("FUTURE", "")
        return f"{future}{HEAD}{body}\ndef run():\n    return boot(components=[Clock, {self.components}])\n"


WAYS: list[Way] = []


def way(group: str, text: str, source: str, components: str = "X", **more) -> None:
    WAYS.append(Way(group, text, source, components, **more))


def refused(group: str, text: str, code: str, source: str, components: str = "X", **more) -> None:
    way(group, text, source, components, comes_to=REFUSED, code=code, **more)


MADE = "def made(s): return s[X].clock\n"
CLASS, CALLABLE, ANNOTATION = "class", "callable", "annotation"
TAKES = "class X:\n    def __init__(self, clock: Clock): self.clock = clock\n"


def table() -> str:
    """The table of the page."""
    lines = []
    for group, title in (
        (CLASS, "A class that is made by"),
        (CALLABLE, "A callable"),
        (ANNOTATION, "A parameter annotated with"),
    ):
        lines += [f"| {title} | |", "|---|---|"]
        for one in WAYS:
            if one.group == group:
                since = f" (Python {one.python[0]}.{one.python[1]})" if one.python > (3, 9) else ""
                code = f": [`{one.code}`](errors.md#{one.code})" if one.code else ""
                text = one.text.replace("|", "\\|")
                lines.append(f"| {text}{since} | {one.comes_to}{code} |")
        lines.append("")
    return "\n".join(lines)
