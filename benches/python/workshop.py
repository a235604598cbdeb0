"""The systems that the benchmarks boot, written into a temporary folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ECHO = """from symphony.extension import Extension

extension = Extension("{name}")


@extension.operation
def echo(value):
    return value
"""


def write_system(folder: Path, *, extensions: int, eager: int) -> Path:
    """A system of Python extensions, some of them eager.

    Returns:
        Its manifest.
    """
    config = folder / "Symphony.toml"
    config.write_text('[system]\nname = "bench"\nextensions = ["extensions/*"]\n', encoding="utf-8")
    for number in range(extensions):
        name = f"echo{number:02}"
        home = folder / "extensions" / name
        home.mkdir(parents=True)
        activation = "eager" if number < eager else "lazy"
        (home / "Symphony.toml").write_text(
            f'[extension]\nname = "{name}"\nversion = "0.1.0"\nentry = "{name}:extension"\n'
            f'activation = "{activation}"\n',
            encoding="utf-8",
        )
        (home / f"{name}.py").write_text(ECHO.format(name=name), encoding="utf-8")
    return config


def write_melody(folder: Path) -> Path:
    """Eight nodes: four calls out of process, four of the artifact store, two chains that meet."""
    nodes = ['[melody]\nname = "eight"\ninputs = ["text"]\n']
    for side in ("left", "right"):
        number = 0 if side == "left" else 1
        nodes += [
            _node(f"{side}1", f"echo{number:02}.echo", "value", "${inputs.text}"),
            _node(f"{side}2", "artifact-store.put", "data", f"${{{side}1}}"),
            _node(f"{side}3", f"echo{number + 2:02}.echo", "value", f"${{{side}2}}"),
            _node(f"{side}4", "artifact-store.get", "id", f"${{{side}3}}"),
        ]
    melody = folder / "eight.toml"
    melody.write_text("\n".join(nodes), encoding="utf-8")
    return melody


def _node(name: str, call: str, parameter: str, value: str) -> str:
    return f'[[node]]\nid = "{name}"\ncall = "{call}"\nwith = {{ {parameter} = "{value}" }}\n'
