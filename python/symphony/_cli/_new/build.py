"""Builds the program of a new extension, where it has one.

Used by `command`. The invariant kept here: a build that fails, or has no tool, is told with the command that does it,
and takes nothing back of what was written.
"""

from __future__ import annotations

import shutil
import subprocess

_COMMANDS = {
    # Not where `CARGO_TARGET_DIR` points: the manifest names the place.
    "rust": ["cargo", "build", "--offline", "--quiet", "--target-dir", "target"],
    "c": ["make", "--silent"],
}
_PLAIN = {"rust": "cargo build --target-dir target", "c": "make"}
_LONGEST = 300


class Build:
    """What became of it.

    Attributes:
        command: What builds it, for people; `None` where nothing is to be built.
        done: Whether it was built.
        fault: Why it was not.
    """

    def __init__(self, command: str | None, *, done: bool, fault: str | None = None) -> None:
        """Keeps what came of it."""
        self.command, self.done, self.fault = command, done, fault


def build(language: str | None, folder: str, *, wanted: bool) -> Build:
    """Builds what a folder holds.

    Args:
        language: Of the extension.
        folder: Of the extension.
        wanted: Whether to build at all.
    """
    command = _COMMANDS.get(language or "")
    if command is None:
        return Build(None, done=True)
    plain = _PLAIN[language or ""]
    if not wanted:
        return Build(plain, done=False)
    if shutil.which(command[0]) is None:
        return Build(plain, done=False, fault=f"`{command[0]}` is not installed")
    try:
        ended = subprocess.run(  # noqa: S603 - the words are ours.
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Build(plain, done=False, fault=f"`{plain}`: {error}")
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).decode(errors="replace").strip()
        return Build(plain, done=False, fault=f"`{plain}` ended with {ended.returncode}\n{said}")
    return Build(plain, done=True)
