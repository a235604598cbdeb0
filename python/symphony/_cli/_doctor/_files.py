"""Symphony's own files: as they were when the wheel was made, a core that loads, a supervisor that starts."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from importlib import machinery, metadata
from typing import TYPE_CHECKING

from symphony._cli._doctor._check import Finding, degraded, failed, ok
from symphony._guest import packaged
from symphony._guest.launch import import_command

if TYPE_CHECKING:
    from symphony._cli._doctor._subject import Subject

_NAME = "symphony"
_REINSTALL = "install it again: `python -m pip install --force-reinstall symphony`"
_ENOUGH = 5
"""So many names are told of many."""


def package_folder() -> str:
    """Where the package lies."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(os.path.dirname(here))


def look_at_wheel(_subject: Subject) -> Finding:
    """Each file of the package has the hash that the wheel recorded."""
    folder = package_folder()
    distribution = _distribution(folder)
    if distribution is None:
        if packaged.program() is not None:
            return ok("a packaged program: the packager keeps no hashes")
        return ok(f"not installed but a tree, `{folder}`: there are no hashes to compare")
    if _is_editable(distribution):
        return ok(f"an editable tree, `{folder}`: there are no hashes to compare")
    return _compared(folder, distribution)


def _compared(folder: str, distribution: metadata.Distribution) -> Finding:
    """What the files are against what was recorded of them."""
    where = f"version {distribution.version}"
    recorded = _recorded(distribution)
    if not recorded:
        return degraded(
            f"{where}: no list of hashes was installed (`RECORD`), so changes cannot be seen",
            _REINSTALL,
        )
    missing = sorted(path for path in recorded if not os.path.isfile(path))
    changed = sorted(
        path for path, digest in recorded.items() if path not in missing and _hash(path) != digest
    )
    if missing or changed:
        texts = [
            (f"{_some(changed, folder)} changed", changed),
            (f"{_some(missing, folder)} missing", missing),
        ]
        told = "; ".join(text for text, some in texts if some)
        return failed(f"{where}: not as it was installed: {told}", _REINSTALL)
    strange = _strange(folder, recorded)
    if strange:
        return degraded(
            f"{where}: files that are not the wheel's lie in `{folder}`: {_some(strange, folder)}",
            f"remove them, or {_REINSTALL}",
        )
    return ok(f"{where}: {len(recorded)} files are as they were installed")


def _distribution(folder: str) -> metadata.Distribution | None:
    """The installed distribution to which the imported package belongs."""
    try:
        found = metadata.distribution(_NAME)
    except metadata.PackageNotFoundError:
        return None
    place = os.path.realpath(str(found.locate_file(_NAME)))
    # Another one may be installed beside a tree that comes first.
    return found if place == os.path.realpath(folder) or _is_editable(found) else None


def _is_editable(distribution: metadata.Distribution) -> bool:
    text = distribution.read_text("direct_url.json")
    try:
        return bool(json.loads(text or "{}").get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def _recorded(distribution: metadata.Distribution) -> dict[str, str]:
    """SHA-256 by path, of the files in the package itself."""
    found: dict[str, str] = {}
    # Not `files`, which from Python 3.12 on leaves out what is missing.
    for name, digest, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        kind, _, value = digest.partition("=")
        if kind == "sha256" and not name.endswith(".pyc"):
            found[os.path.abspath(str(distribution.locate_file(name)))] = value
    return found


def _hash(path: str) -> str:
    """As `RECORD` has it; a file that cannot be read has none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        return ""
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _strange(folder: str, recorded: dict[str, str]) -> list[str]:
    """Modules in the package's folder that the wheel did not bring: Python would import them."""
    known = {os.path.realpath(path) for path in recorded}
    suffixes = tuple(machinery.SOURCE_SUFFIXES + machinery.EXTENSION_SUFFIXES)
    found = [
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.endswith(suffixes)
    ]
    return sorted(path for path in found if os.path.realpath(path) not in known)


def _some(paths: list[str], folder: str) -> str:
    """The first of them, relative to the folder of the package."""
    names = [f"`{os.path.relpath(path, os.path.dirname(folder))}`" for path in paths[:_ENOUGH]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def look_at_core(subject: Subject) -> Finding:
    """The core loads in this interpreter."""
    folder = package_folder()
    cores = sorted(name for name in os.listdir(folder) if re.match(r"_core\..*(so|pyd)$", name))
    if not cores and packaged.program() is None:
        return failed(f"`{folder}` holds no core (`_core*.so`)", _REINSTALL)
    facts = subject.facts
    if facts:
        return ok(f"version {facts['version']}, `{facts['file']}`")
    told = subject.asked().told()
    fitting = machinery.EXTENSION_SUFFIXES
    # Exactly: `.so` alone is a suffix of every other interpreter's too.
    if cores and not any(f"_core{suffix}" in cores for suffix in fitting):
        return failed(
            f"the core was built for another interpreter: there is `{cores[0]}`, and this one loads "
            f"`_core{fitting[0]}`",
            "install the wheel with this interpreter's own pip",
        )
    return failed(f"the core does not load: {told}", _REINSTALL)


def look_at_supervisor(_subject: Subject) -> Finding:
    """The interpreter that becomes the supervisor starts, in its own environment, and finds what it needs."""
    command = import_command()
    if command is None:
        return ok("this program itself, which is packaged; the boots try it")
    try:
        asked = subprocess.run(  # noqa: S603 - this interpreter.
            command, check=False, capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=30.0,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return failed(
            f"`{command[0]}` cannot be started: {error}", "look at the limits of this account"
        )
    if asked.returncode == 0:
        return ok(f"`{sys.executable}` starts and finds what it needs")
    last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
    return failed(
        f"the supervisor's process does not come up: {last}",
        "no extension can run without it; the checks `wheel` and `core` tell what is damaged",
    )
