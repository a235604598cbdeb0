"""The live view of a terminal: looked at again each second, with keys.

The invariant kept here: the terminal is as it was when the view ends, however it ends.
"""

from __future__ import annotations

import select
import sys
import termios
import tty
from typing import TYPE_CHECKING

from symphony._cli._top import _table
from symphony._cli._top._systems import ask, find

if TYPE_CHECKING:
    from typing import Any

    from rich.console import Group

_EACH = 1.0
_KEYS = "up/down: choose   r: restart   s: stop for good   q: quit"
_ORDERS = {"r": "restart", "s": "stop"}
_MOVES = {"k": -1, "j": 1, "\x1b[A": -1, "\x1b[B": 1}


class View:
    """What is shown, and which extension is chosen."""

    def __init__(self, state: str | None) -> None:
        """Looks for the first time."""
        self._state = state
        self._chosen = 0
        self._said = ""
        self._systems: list[tuple[str, dict[str, Any]]] = []
        self.look()

    def look(self) -> None:
        """Asks every system again."""
        self._systems = find(self._state)

    def _extensions(self) -> list[tuple[str, str]]:
        return [
            (path, one["name"]) for path, system in self._systems for one in system["extensions"]
        ]

    def press(self, key: str) -> bool:
        """Does what a key says; whether the view goes on."""
        known = self._extensions()
        if key in {"q", "\x03"}:
            return False
        if key in _MOVES:
            self._chosen = min(max(self._chosen + _MOVES[key], 0), max(len(known) - 1, 0))
        elif key in _ORDERS and self._chosen < len(known):
            path, name = known[self._chosen]
            answer = ask(path, {"ask": _ORDERS[key], "extension": name}) or {"error": "no answer"}
            self._said = f"{_ORDERS[key]} `{name}`: {answer.get('error', 'begun')}"
        return True

    def drawn(self) -> Group:
        """The view, for rich."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = []
        place = 0
        for _, system in self._systems:
            parts.append(Text(_table.heading(system), style="bold"))
            table = Table(*_table.HEAD, box=None, pad_edge=False)
            for row in _table.rows(system):
                table.add_row(*map(Text, row), style="reverse" if place == self._chosen else "")
                place += 1
            parts += [table, *map(Text, _table.members(system)), Text("")]
        if not self._systems:
            parts.append(Text("no system is running"))
        return Group(*parts, Text(self._said), Text(_KEYS, style="dim"))


def watch(state: str | None) -> None:
    """Shows it until `q`."""
    from rich.live import Live

    view = View(state)
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        with Live(view.drawn(), screen=True, auto_refresh=False) as live:
            going = True
            while going:
                ready, _, _ = select.select([terminal], [], [], _EACH)
                if ready:
                    going = view.press(_read_key(terminal))
                else:
                    view.look()
                live.update(view.drawn(), refresh=True)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_key(terminal: int) -> str:
    import os

    # An arrow is three bytes that come together; an end of the input is the end of the view.
    return os.read(terminal, 3).decode("ascii", "replace") or "q"
