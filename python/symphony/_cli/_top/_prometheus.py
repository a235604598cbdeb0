"""The figures of running systems in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_OF_SYSTEMS = (
    ("uptime_seconds", "gauge", "Seconds since the system is served.", "uptime_seconds", 1.0),
    ("ready_seconds", "gauge", "What its boot took.", "ready_seconds", 1.0),
    ("memory_bytes", "gauge", "Memory of the root that is its own.", "memory_mb", float(1 << 20)),
    ("cpu_seconds_total", "counter", "Processor time of the root.", "cpu_seconds", 1.0),
)
_OF_EXTENSIONS = (
    ("restarts_total", "counter", "How often it was started again.", "restarts", 1.0),
    ("calls_total", "counter", "Calls that have ended.", "calls", 1.0),
    ("errors_total", "counter", "Calls that failed.", "errors", 1.0),
    ("queue", "gauge", "Calls that have no outcome yet.", "queue", 1.0),
    ("call_p50_seconds", "gauge", "What half of its calls took at most.", "p50_seconds", 1.0),
    ("call_p99_seconds", "gauge", "What 99 of 100 calls took at most.", "p99_seconds", 1.0),
    ("memory_bytes", "gauge", "Memory that is its own.", "memory_mb", float(1 << 20)),
    ("cpu_seconds_total", "counter", "Processor time.", "cpu_seconds", 1.0),
)


def text(systems: list[dict[str, Any]]) -> str:
    """All systems as one page, each metric once with its kind."""
    lines: list[str] = []
    for name, kind, what, key, factor in _OF_SYSTEMS:
        samples = [(_labels(one), one.get(key)) for one in systems]
        lines += _metric(f"symphony_{name}", kind, what, samples, factor)
    each = [(one, extension) for one in systems for extension in one["extensions"]]
    states = [
        (_labels(one, extension=extension["name"], state=extension["state"]), 1)
        for one, extension in each
    ]
    lines += _metric("symphony_extension_state", "gauge", "1 for the state it is in.", states, 1.0)
    for name, kind, what, key, factor in _OF_EXTENSIONS:
        samples = [
            (_labels(one, extension=extension["name"]), extension.get(key))
            for one, extension in each
        ]
        lines += _metric(f"symphony_extension_{name}", kind, what, samples, factor)
    grants = [
        (_labels(one, extension=extension["name"], grant=grant["name"], status=grant["status"]), 1)
        for one, extension in each
        for grant in extension.get("grants", [])
    ]
    what = "1 for how far the sandbox holds it."
    lines += _metric("symphony_extension_grant", "gauge", what, grants, 1.0)
    runs = [
        (_labels(one, outcome=outcome), count)
        for one in systems
        for outcome, count in one["runs"].items()
    ]
    lines += _metric(
        "symphony_runs_total", "counter", "Totals of the engine of Melodies.", runs, 1.0
    )
    members = [
        (_labels(one, member=member["name"], figure=figure), value)
        for one in systems
        for member in one["members"]
        for figure, value in member["figures"].items()
    ]
    lines += _metric("symphony_member", "gauge", "Figures of the Pit's members.", members, 1.0)
    return "".join(f"{line}\n" for line in lines)


def _metric(
    name: str, kind: str, what: str, samples: list[tuple[str, Any]], factor: float
) -> list[str]:
    numbers = [
        f"{name}{labels} {value * factor!r}"
        for labels, value in samples
        if isinstance(value, (int, float))
    ]
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}", *numbers] if numbers else []


def _labels(system: dict[str, Any], **more: str) -> str:
    """The labels of a sample; a value may hold anything."""
    labels = {"system": system["system"], "pid": str(system["pid"]), **more}
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
