"""`symphony trust`: lets extensions that come with an opened project start, as they are now.

The core pins every file of each folder in the user's own lock file, and holds them against it before each start. The
invariant kept here: nothing of what is trusted is imported or run.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from symphony import _core
from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._exit import OK, exit_code_of
from symphony._static.operations import read_operations
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    import argparse
    from typing import Any


def trust(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    code = OK
    document: dict[str, Any] = {"ok": False, "extensions": [], "error": None}
    try:
        document["extensions"] = _listed() if options.list else _changed(options)
        document["ok"] = True
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - told in the house form.
        document["error"] = _errors.as_document(error)
        print(_errors.render(error), file=sys.stderr)
        code = exit_code_of(error)
    if options.json:
        print(json.dumps(document, indent=2))
    elif code == OK:
        _tell(document["extensions"], options)
    return code


def _listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for folder, why in _core.trusted_extensions():
        found.append({"folder": folder, "trusted": why is None, "reason": why})
    return found


def _changed(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Trusts, or trusts no more, each extension at the path.

    Raises:
        SymphonyError: There is none, or one cannot be pinned; those before it are.
        UsageError: No path is given.
    """
    if options.path is None:
        raise _errors.UsageError("`symphony trust` needs PATH, or `--list`")
    path = os.path.abspath(options.path)
    # One that is taken back may be gone; its pins are not.
    is_gone = options.remove and not os.path.exists(path)
    folders = {path: os.path.basename(path)} if is_gone else _extensions_at(path)
    changed: list[dict[str, Any]] = []
    for folder, name in sorted(folders.items()):
        one: dict[str, Any] = {"name": name, "folder": folder}
        if options.remove:
            one["trusted"] = False
            one["was_trusted"] = _core.distrust_extension(folder)
        else:
            one["files"] = _core.trust_extension(folder)
            one["trusted"] = True
        changed.append(one)
    return changed


def _extensions_at(path: str) -> dict[str, str]:
    """The folders of the extensions that lie there, with their names."""
    if not os.path.exists(path):
        raise _errors.UsageError(f"no such file or folder: `{path}`")
    found = {
        os.path.dirname(file): name
        for name, file, *_ in _core.find_extensions([path], read_operations)
    }
    if not found:
        raise SymphonyError(
            f"no extension lies at `{path}`, or none whose manifest can be read",
            hints=[f"`symphony check {path}` tells what is wrong with its manifests"],
            code="invalid-value",
        )
    return found


def _tell(extensions: list[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.list and not extensions:
        print("nothing is trusted")
    for one in extensions:
        folder = one["folder"]
        if options.list:
            print(f"`{folder}`" + (f": {one['reason']}" if one["reason"] else ""))
        elif options.remove:
            was = "is trusted no more" if one["was_trusted"] else "was not trusted"
            print(f"`{one['name']}` {was}: `{folder}`")
        else:
            files = "1 file" if one["files"] == 1 else f"{one['files']} files"
            print(f"`{one['name']}` may start as it is now: {files} in `{folder}`")
