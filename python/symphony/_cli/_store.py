"""`symphony store`: what a system's artifacts take, taking back what nobody needs, and reading all of them.

It boots the members that this needs on the system's state folder, and nothing else of the system: no extension, no
component, no Conductor. A system that runs has its state to itself, and is told so. The invariants kept here: `du` and
`verify` delete nothing, a state folder that is not there is not made, and with `--json` stdout is one document.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._exit import FAILED, OK, exit_code_of
from symphony._cli._system import manifest_of

if TYPE_CHECKING:
    import argparse
    from typing import Any, Optional

    from symphony import Pit

    _Limits = tuple[Optional[float], Optional[int]]
    _Settings = tuple[str, str, _Limits]

_MEMBERS = ["artifact-store", "pool-manager", "dag-tracker", "stale-manager"]
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
# What a member leaves in the state folder.
_FOLDER = "artifact-store"


def store(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code: 1 where something is damaged, or could not be done.
    """
    document: dict[str, Any] = {"ok": False, "state": None}
    error: BaseException | None = None
    lines: list[str] = []
    try:
        state, durability, limits = _settings(options)
        document["state"] = state
        if os.path.isdir(os.path.join(state, _FOLDER)):
            lines = _on((state, durability, limits), options, document)
        else:
            lines = [f"there are no artifacts in `{state}`"]
            document.update(_NOTHING[options.action], ok=True)
            if options.action == "gc":
                document["dry_run"] = options.dry_run
    except (Exception, KeyboardInterrupt, Terminated) as raised:  # noqa: BLE001 - told in the house form.
        error = raised
        print(_errors.render(raised), file=sys.stderr)
    document["error"] = None if error is None else _errors.as_document(error)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        for line in lines:
            print(line)
    if error is not None:
        return exit_code_of(error)
    return OK if document["ok"] else FAILED


def _settings(options: argparse.Namespace) -> _Settings:
    """The state folder, what an acknowledged write survives there, and what the store keeps.

    Raises:
        ManifestError: The manifest is at fault.
    """
    from symphony._core import store_settings

    state, durability, keep, cap = store_settings(os.path.abspath(manifest_of(options.config)))
    return os.path.abspath(options.state or state), durability, (keep, cap)


def _on(settings: _Settings, options: argparse.Namespace, document: dict[str, Any]) -> list[str]:
    """Does it on the members, fills the document, and gives the lines for a person."""
    from symphony import SystemConfig, boot

    state, durability, limits = settings
    # Without its limits: what goes here goes by this command, and is told. With its durability: what is acknowledged
    # survives as much as in the system.
    config = SystemConfig(state=state, members=_MEMBERS, durability=durability)
    with boot(config=config, on_hang="abort") as system:
        if options.action == "du":
            return _used(system.pit, state, document)
        if options.action == "verify":
            return _verified(system.pit, document)
        return _collected(system.pit, limits, document, dry_run=options.dry_run)


def _used(pit: Pit, state: str, document: dict[str, Any]) -> list[str]:
    stats = pit.artifacts.stats()
    figures = {
        "artifacts": stats["artifacts"],
        "bytes": stats["bytes"],
        "stored_bytes": stats["stored_bytes"],
        "dead_bytes": stats["dead_bytes"],
        "journal_bytes": stats["journal_bytes"],
    }
    on_disk = _on_disk(os.path.join(state, _FOLDER))
    document.update(figures, ok=True, disk_bytes=on_disk)
    rows = [
        ("artifacts", str(figures["artifacts"])),
        ("their bytes", _size(figures["bytes"])),
        ("stored for them", _size(figures["stored_bytes"])),
        ("not collected yet", _size(figures["dead_bytes"])),
        ("journal", _size(figures["journal_bytes"])),
        ("on the disk", _size(on_disk)),
    ]
    return [f"{name:<20}{value:>12}" for name, value in rows]


def _verified(pit: Pit, document: dict[str, Any]) -> list[str]:
    report = pit.artifacts.verify()
    journal = report.get("journal")
    bad = report["bad"]
    document.update(ok=not bad and journal is None, checked=report["checked"], bad=bad)
    document["journal"] = journal
    lines = [f"damaged: {artifact}" for artifact in bad]
    if journal is not None:
        lines.append(f"journal: {journal}")
    return [*lines, f"{report['checked']} artifacts read, {len(bad)} damaged"]


def _collected(pit: Pit, limits: _Limits, document: dict[str, Any], *, dry_run: bool) -> list[str]:
    keep, cap = limits
    report = pit.stale.enforce(keep=keep, cap=cap, dry_run=dry_run)
    freed = 0 if dry_run else pit.artifacts.collect()
    failures = [{"id": artifact, "reason": reason} for artifact, reason in report["failures"]]
    document.update(
        ok=not failures,
        dry_run=dry_run,
        archived=report["archived"],
        deleted=report["deleted"],
        deleted_bytes=report["deleted_bytes"],
        collected_bytes=freed,
        stored_bytes=report["stored_bytes"],
        is_over=report["is_over"],
        failures=failures,
    )
    would = "would be " if dry_run else ""
    lines = [f"failed: {failure['id']}: {failure['reason']}" for failure in failures]
    lines.append(
        f"{len(report['archived'])} {would}archived, {len(report['deleted'])} {would}deleted "
        f"({_size(report['deleted_bytes'])}), {_size(freed)} given back to the disk"
    )
    if report["is_over"]:
        lines.append("still beyond the cap: what is left is pinned, held by a run, or new")
    return lines


_NOTHING: dict[str, dict[str, Any]] = {
    "du": {
        "artifacts": 0,
        "bytes": 0,
        "stored_bytes": 0,
        "dead_bytes": 0,
        "journal_bytes": 0,
        "disk_bytes": 0,
    },
    "verify": {"checked": 0, "bad": [], "journal": None},
    "gc": {
        "archived": [],
        "deleted": [],
        "deleted_bytes": 0,
        "collected_bytes": 0,
        "stored_bytes": 0,
        "is_over": False,
        "failures": [],
    },
}


def _on_disk(folder: str) -> int:
    """The bytes that the files of a folder take on the disk; one with two names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for parent, _folders, files in os.walk(folder):
        for name in files:
            try:
                about = os.lstat(os.path.join(parent, name))
            except OSError:
                continue  # It went meanwhile.
            seen[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(seen.values())


def _size(count: int) -> str:
    """Bytes for a person."""
    size = float(count)
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"
