"""The figures of running systems as people read them: rows of text, for a terminal and for a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

HEAD = (
    *("extension", "state", "pid", "restarts", "calls", "errors", "queue"),
    *("p50", "p99", "memory", "cpu", "grants", "last error"),
)


def heading(system: dict[str, Any]) -> str:
    """One line about a system."""
    runs = system["runs"]
    return (
        f"{system['system']}  pid {system['pid']}  up {system['uptime_seconds']:.0f} s  "
        f"memory {_memory(system['memory_mb'])}  cpu {_span(system['cpu_seconds'])}  "
        f"runs {runs.get('submitted', 0)}: {runs.get('done', 0)} ok, {runs.get('failed', 0)} failed"
    )


def rows(system: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row for each extension."""
    return [
        (
            one["name"],
            one["state"],
            "" if one["pid"] is None else str(one["pid"]),
            str(one["restarts"]),
            str(one["calls"]),
            str(one["errors"]),
            str(one["queue"]),
            _span(one["p50_seconds"]),
            _span(one["p99_seconds"]),
            _memory(one["memory_mb"]),
            _span(one["cpu_seconds"]),
            _held(one.get("grants", [])),
            (one["last_error"] or "").partition("\n")[0],
        )
        for one in system["extensions"]
    ]


def members(system: dict[str, Any]) -> list[str]:
    """One line for each member that has figures."""
    return [
        f"{one['name']}: " + ", ".join(f"{name} {value}" for name, value in one["figures"].items())
        for one in system["members"]
        if one["figures"]
    ]


def text(systems: list[dict[str, Any]]) -> str:
    """All of it, in columns."""
    lines: list[str] = []
    for system in systems:
        table = [HEAD, *rows(system)]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
        lines.append(heading(system))
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths))
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  {line}" for line in members(system)]
        lines.append("")
    return "\n".join(lines).rstrip("\n")


def _held(grants: list[dict[str, str]]) -> str:
    """The word of the worst, with the grants that it is said of."""
    for word in ("not enforced", "degraded"):
        names = [grant["name"] for grant in grants if grant["status"] == word]
        if names:
            return word if len(names) == len(grants) else f"{word}: {', '.join(names)}"
    return "enforced" if grants else ""


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _memory(mebibytes: float | None) -> str:
    return "" if mebibytes is None else f"{mebibytes:.1f} MiB"
