"""The control groups of this process, of both versions: where they are, and the memory and time that they allow.

Which files say it is the kernel's documentation's; where they are mounted is read from `mountinfo`.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple


class _Mount(NamedTuple):
    """Where a hierarchy is mounted, which part of it, and what it controls; version 2 controls nothing by name."""

    folder: str
    root: str
    controllers: frozenset[str]


def own_group(proc: str = "/proc/self") -> str | None:
    """The folder of this process's group of version 2; none where it is not mounted."""
    folders = _folders(proc, None)
    return folders[0] if folders else None


def memory_limit(proc: str = "/proc/self") -> int | None:
    """The least limit of memory of this process's groups, in bytes; none where there is none."""
    found = [
        limit
        for folders, name in (
            (_folders(proc, None), "memory.max"),
            (_folders(proc, "memory"), "memory.limit_in_bytes"),
        )
        for folder in folders
        if (limit := _number(os.path.join(folder, name))) is not None
    ]
    # Version 1 says "no limit" as the largest number of pages.
    return min((limit for limit in found if limit < 1 << 60), default=None)


def cpu_limit(proc: str = "/proc/self") -> float | None:
    """How many CPUs' time this process's groups allow; none where there is no limit."""
    found: list[float] = []
    for folder in _folders(proc, None):
        quota, _, period = _text(os.path.join(folder, "cpu.max")).strip().partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    for folder in _folders(proc, "cpu"):
        quota_of = _number(os.path.join(folder, "cpu.cfs_quota_us"))
        period_of = _number(os.path.join(folder, "cpu.cfs_period_us"))
        if quota_of is not None and period_of and quota_of > 0:
            found.append(quota_of / period_of)
    return min(found, default=None)


def _folders(proc: str, controller: str | None) -> list[str]:
    """The folder of this process's group and those above it, of the hierarchy that has the controller."""
    path = _path(proc, controller)
    mount = next((one for one in _mounts(proc) if _has(one, controller)), None)
    if path is None or mount is None:
        return []
    # In a container the mount begins at the container's group, and the path may be told from there.
    inside = path[len(mount.root) :] if mount.root != "/" and path.startswith(mount.root) else path
    folder = os.path.join(mount.folder, inside.strip("/"))
    if not os.path.isdir(folder):
        folder = mount.folder
    found = [folder.rstrip("/")]
    while len(found[-1]) > len(mount.folder):
        found.append(os.path.dirname(found[-1]))
    return found


def _has(mount: _Mount, controller: str | None) -> bool:
    return not mount.controllers if controller is None else controller in mount.controllers


def _path(proc: str, controller: str | None) -> str | None:
    """This process's place in a hierarchy."""
    for line in _text(os.path.join(proc, "cgroup")).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" if controller is None else controller in controllers.split(","):
            return path
    return None


def _mounts(proc: str) -> list[_Mount]:
    """The hierarchies that are mounted."""
    found: list[_Mount] = []
    for line in _text(os.path.join(proc, "mountinfo")).splitlines():
        front, _, back = line.partition(" - ")
        fields, kinds = front.split(" "), back.split(" ")
        if len(fields) < 5 or len(kinds) < 3 or not kinds[0].startswith("cgroup"):
            continue
        # Others than controllers stand there too (`rw`), and harm nothing.
        controllers = frozenset(kinds[2].split(",")) if kinds[0] == "cgroup" else frozenset[str]()
        found.append(_Mount(_plain(fields[4]), _plain(fields[3]), controllers))
    return found


def _plain(text: str) -> str:
    """A path of `mountinfo`, in which spaces are octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
