"""What notebooks show of a boot, of a system's health, of a swap and of an experiment.

Called by `_repr_html_` of the core's classes, which import this only then. The invariant kept here: a fragment needs no
network and runs no script, changes nothing of the notebook around it, and no name or reason can break out of its place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from symphony._pictures.markup import escaped, seconds_text
from symphony._pictures.page import body
from symphony._pictures.page_style import SCOPE, fragment_style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symphony._core import BootReport, ExperimentReport, Health, SwapReport, SystemHealth

_KINDS = {"healthy": "good", "degraded": "soft", "unhealthy": "bad"}


def boot_fragment(report: BootReport) -> str:
    """The page of a boot, without its frame."""
    return _fragment(body(json.loads(report.to_json())))


def component_health_fragment(health: Health) -> str:
    """One state with its reason."""
    return _fragment(f"<p>{_state(health.state)}</p>{_reason(health.reason)}")


def health_fragment(health: SystemHealth) -> str:
    """The state of a system and of each component, what is not healthy first."""
    order = list(_KINDS)[::-1]
    found = sorted(health.components.items(), key=lambda one: order.index(one[1].state))
    rows = [[escaped(name), _state(one.state), _reason(one.reason)] for name, one in found]
    head = f"<h1>{_state(health.state)}</h1>{_reason(health.reason)}"
    return _fragment(head + _table(["component", "state", "reason"], rows))


def swap_fragment(report: SwapReport) -> str:
    """What was swapped, who was reached, and who still holds the old one with the edit that would free it."""
    drained = (
        '<span class="good">drained: nobody holds the old one</span>'
        if report.drained
        else '<span class="bad">not drained: the old one is left running</span>'
    )
    told = f"{escaped(report.old)} → {escaped(report.new)} in {escaped(seconds_text(report.seconds))}"
    parts = [f"<h1>{escaped(report.component)}</h1><p>{told}, {drained}</p>"]
    if report.stop_error is not None:
        text = f"{type(report.stop_error).__name__}: {report.stop_error}"
        parts.append(
            f'<div class="fault" role="alert"><p><b class="bad">its stop failed</b></p><pre>{escaped(text)}</pre></div>'
        )
    parts += [f"<p>{escaped(note)}</p>" for note in report.notes]
    sites = [[escaped(consumer), escaped(attribute)] for consumer, attribute in report.rewritten]
    if report.handles:
        sites.append(["handles", str(report.handles)])
    parts.append(_part("Rewritten", ["consumer", "attribute"], sites))
    holders = [
        [
            f"<code>{escaped(one.place)}</code>",
            escaped(one.what),
            f"<code>{escaped(one.edit)}</code>",
        ]
        for one in report.holders
    ]
    parts.append(_part("Who still holds the old one", ["place", "what", "edit"], holders))
    return _fragment("".join(parts))


def experiment_fragment(report: ExperimentReport) -> str:
    """The figures of each variant."""
    rows = [
        [
            escaped(name),
            f"{100 * one.share:g} %",
            str(one.calls),
            str(one.errors),
            *(
                "-" if figure is None else escaped(seconds_text(figure))
                for figure in (one.p50, one.p90, one.p95, one.p99)
            ),
        ]
        for name, one in report.variants.items()
    ]
    head = ["variant", "share", "calls", "errors", "p50", "p90", "p95", "p99"]
    return _fragment(f"<h1>{escaped(report.component)}</h1>{_table(head, rows)}")


def _fragment(inner: str) -> str:
    """It brings its style along: whoever clears another cell's output takes nothing from this one."""
    return f'<div class="{SCOPE[1:]}"><style>{fragment_style()}</style>{inner}</div>'


def _state(word: str) -> str:
    return f'<span class="{_KINDS[word]}">{escaped(word)}</span>'


def _reason(reason: str | None) -> str:
    if reason is None:
        return ""
    # A stack keeps its lines.
    return f"<pre>{escaped(reason)}</pre>" if "\n" in reason else f"<p>{escaped(reason)}</p>"


def _part(title: str, head: list[str], rows: list[list[str]]) -> str:
    return f"<h2>{title}</h2>{_table(head, rows)}" if rows else ""


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    cells = "".join(f'<th scope="col">{word}</th>' for word in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"
