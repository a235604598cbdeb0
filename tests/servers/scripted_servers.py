"""A system of scripted servers, by manifests alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from workshop import Workshop, write

SCRIPTED = Path(__file__).parent / "scripted"


class Servers(Workshop):
    """A system of servers."""

    def server(
        self,
        name: str,
        protocol: str,
        *modes: str,
        command: list[str] | None = None,
        more: str = "",
    ) -> Path:
        """Writes the manifest of a scripted server, or of another command."""
        script = SCRIPTED / f"{protocol}_server.py"
        words = command or [sys.executable, str(script), *modes]
        return write(
            self.folder / "extensions" / name / "Symphony.toml",
            f'[extension]\nname = "{name}"\nprotocol = "{protocol}"\ncommand = {json.dumps(words)}\n'
            f"{more or self.grants()}",
        )

    @staticmethod
    def grants(run: str = "[]") -> str:
        """What a scripted server needs."""
        return f'[extension.permissions]\nread = ["${{workspace}}", {json.dumps(str(SCRIPTED))}]\nrun = {run}\n'
