"""What tests build systems with, and a look at what the kernel knows of this process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IDE = ROOT / "examples" / "ide"


def write(path: Path, text: str) -> Path:
    """Writes a dedented text, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


class Workshop:
    """A folder in which a test builds a system.

    Its extensions may leave signs for the test: they read and write beside the folder, unless `signs` is false.
    """

    def __init__(self, folder: Path, *, signs: bool = True) -> None:
        self.folder = folder
        self.signs = signs
        self.config = folder / "Symphony.toml"
        self.system("")

    def system(self, text: str, extensions: str = '["extensions/*"]') -> Path:
        """Writes the system's manifest."""
        return write(
            self.config,
            f'[system]\nname = "test"\nextensions = {extensions}\n{textwrap.dedent(text)}',
        )

    def extension(
        self, name: str, source: str, manifest: str = "", *, entry: str | None = None
    ) -> Path:
        """Writes a Python extension; returns its folder."""
        module = name.replace("-", "_")
        folder = self.folder / "extensions" / name
        entry = entry or f"{module}:extension"
        manifest = self._granted(textwrap.dedent(manifest))
        write(
            folder / "Symphony.toml",
            f'[extension]\nname = "{name}"\nversion = "0.1.0"\nentry = "{entry}"\n{manifest}',
        )
        write(
            folder / f"{module}.py",
            f'from symphony.extension import Extension\nextension = Extension("{name}")\n{textwrap.dedent(source)}',
        )
        return folder

    def _granted(self, manifest: str) -> str:
        """The manifest with a grant for the signs that tests look for."""
        header = "[extension.permissions]"
        head, written, rest = manifest.partition(header)
        given = rest.partition("\n[")[0]
        grants = [
            f"{grant} = [{str(self.folder.parent)!r}]"
            for grant in ("read", "write")
            if self.signs and f"{grant} =" not in given
        ]
        if not grants:
            return manifest
        return "\n".join([head.rstrip("\n"), header, *grants]) + (rest if written else "\n")

    def melody(self, text: str, name: str = "melody.toml") -> Path:
        """Writes a Melody."""
        return write(self.folder / name, text)


ECHO = """
@extension.operation
def echo(value):
    return value
"""


def descendants(pid: int | None = None) -> list[int]:
    """Every process below this one, by the kernel's own lists."""
    found: list[int] = []
    waiting = [pid or os.getpid()]
    while waiting:
        parent = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                children = Path(f"/proc/{parent}/task/{task}/children").read_text().split()
                found += map(int, children)
                waiting += map(int, children)
        except OSError:
            continue
    return found


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def wait_until(condition, seconds: float = 5.0) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def run_python(source: str, *arguments: str, cwd: Path | None = None, timeout: float = 60, **more):
    """Runs a script in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        **more,
    )


def symphony(*arguments: str, cwd: Path | None = None, timeout: float = 60, **more):
    """Runs the command line."""
    return subprocess.run(
        [sys.executable, "-m", "symphony", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        **more,
    )
