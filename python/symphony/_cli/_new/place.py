"""Where a new extension goes: so that the system that is found here has it at once.

Used by `command`. The invariant kept here: nothing that exists is ever written to.
"""

from __future__ import annotations

import fnmatch
import os
from typing import TYPE_CHECKING

from symphony._cli._system import MANIFEST

if TYPE_CHECKING:
    from typing import Any


class Place:
    """Where it goes, and who will have it there.

    Attributes:
        folder: The extension's folder, absolute.
        system: The system's manifest that will find it there, absolute; `None` where nobody does.
        is_new: Whether that manifest has to be written.
        unlisted: A system's manifest that has to be told of it by hand.
    """

    def __init__(
        self, folder: str, system: str | None, *, is_new: bool = False, unlisted: str | None = None
    ) -> None:
        """Keeps what was decided."""
        self.folder, self.system, self.is_new, self.unlisted = folder, system, is_new, unlisted


def place_of(name: str) -> Place:
    """Decides it: the first folder that the `extensions` of the system here match, else the working directory.

    A system that stands above, and finds what is put here, is good too. Where there is none, one is written beside the
    extension, so that it can be called at once.
    """
    here = os.getcwd()
    manifest = os.path.join(here, MANIFEST)
    patterns = _patterns(manifest)
    if patterns is not None:
        for pattern in patterns:
            folder = _matched(pattern, name)
            if folder is not None:
                return Place(os.path.normpath(os.path.join(here, folder)), manifest)
        return Place(os.path.join(here, name), None, unlisted=manifest)
    above = os.path.dirname(here)
    below = name
    inner = here
    while above != inner:
        below = os.path.join(os.path.basename(inner), below)
        manifest = os.path.join(above, MANIFEST)
        if any(_fits(pattern, below) for pattern in _patterns(manifest) or ()):
            return Place(os.path.join(here, name), manifest)
        inner, above = above, os.path.dirname(above)
    manifest = os.path.join(here, MANIFEST)
    if os.path.lexists(manifest):
        # It is an extension's, or cannot be read: it stays as it is.
        return Place(os.path.join(here, name), None)
    return Place(os.path.join(here, name), manifest, is_new=True)


def _matched(pattern: str, name: str) -> str | None:
    """The folder for an extension of that name that the pattern matches, where one can be told."""
    parts = pattern.rstrip("/").split("/")
    if any(_is_glob(part) for part in parts[:-1]) or not fnmatch.fnmatchcase(name, parts[-1]):
        return None
    return "/".join([*parts[:-1], name])


def _fits(pattern: str, folder: str) -> bool:
    wanted = os.path.normpath(pattern).split(os.sep)
    parts = folder.split(os.sep)
    return len(wanted) == len(parts) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _is_glob(part: str) -> bool:
    return any(letter in part for letter in "*?[{")


def _patterns(manifest: str) -> list[str] | None:
    """The `extensions` of a system's manifest; `None` where it is none, or cannot be read."""
    try:
        with open(manifest, "rb") as file:
            text = file.read().decode()
    except (OSError, ValueError):
        return None
    table = _system_table(text)
    if table is None:
        return None
    found = table.get("extensions", [])
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _system_table(text: str) -> dict[str, Any] | None:
    try:
        import tomllib
    except ImportError:
        # Before Python 3.11: one list of plain texts is what nearly all manifests hold.
        import re

        if re.search(r"^\s*\[system\]", text, re.MULTILINE) is None:
            return None
        listed = re.search(r"^\s*extensions\s*=\s*\[([^\]]*)\]", text, re.MULTILINE)
        return {"extensions": re.findall(r'"([^"\\]*)"', listed[1]) if listed else []}
    try:
        system = tomllib.loads(text).get("system")
    except tomllib.TOMLDecodeError:
        return None
    return system if isinstance(system, dict) else None
