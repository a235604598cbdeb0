"""Figures as people read them: the same words as the core's."""

from __future__ import annotations


def seconds_text(seconds: float) -> str:
    """`850 µs`, `12 ms`, `1.5 s`."""
    if seconds < 0.0009995:
        value, unit = seconds * 1e6, "µs"
    elif seconds < 0.9995:
        value, unit = seconds * 1e3, "ms"
    else:
        value, unit = seconds, "s"
    digits = (value < 9.95) + (0 < value < 0.995)
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {unit}"


def budget_text(name: str, value: float) -> str:
    """A figure in its budget's unit."""
    return f"{value:.1f} MiB" if name == "memory" else seconds_text(value)
