"""The other side of `_process`: calls what was asked for, and writes what it returned where the doctor reads it."""

from __future__ import annotations

import importlib
import json
import os


def report(module: str, given: str, path: str) -> None:
    """Calls `module.main` and writes its result, whole or not at all.

    Args:
        module: Where `main` is.
        given: What it is called with, as JSON.
        path: The file for the result.
    """
    arguments = json.loads(given)
    write(path, importlib.import_module(module).main(arguments))


def write(path: str, result: object) -> None:
    """Writes a result, whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(f"{path}.new", path)
