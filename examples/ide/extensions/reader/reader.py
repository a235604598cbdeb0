"""Reads Python source files as the interpreter does: PEP 263 encodings, universal newlines."""

from __future__ import annotations

import os
import tokenize
from fnmatch import fnmatchcase
from pathlib import Path

from symphony.extension import Extension

extension = Extension("reader", "0.1.0")

SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


@extension.operation
def read(path: str) -> dict[str, object]:
    """Read a source file as text, in the encoding that it declares.

    Args:
        path: The file.

    Returns:
        `path`, `source`, `encoding`, `size` in bytes, `lines`, and `replaced`: how many
        characters could not be decoded and stand as U+FFFD.
    """
    data = Path(path).read_bytes()
    source, encoding = decode(data)
    return {
        "path": path,
        "source": source,
        "encoding": encoding,
        "size": len(data),
        "lines": source.count("\n") + bool(source and not source.endswith("\n")),
        "replaced": source.count("\ufffd") if encoding == "utf-8 (damaged)" else 0,
    }


@extension.operation
def list_files(root: str, pattern: str = "*.py", recursive: bool = True) -> list[str]:
    """List the files of a project, without caches, environments and hidden folders.

    Args:
        root: The folder.
        pattern: What a file's name must match.
        recursive: Whether folders inside are searched too.

    Returns:
        Paths relative to `root`, with slashes, sorted.
    """
    if not Path(root).is_dir():
        raise NotADirectoryError(f"`{root}` is not a folder")
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        relative = os.path.relpath(folder, root)
        prefix = "" if relative == os.curdir else relative.replace(os.sep, "/") + "/"
        found += [prefix + name for name in files if fnmatchcase(name, pattern)]
        folders[:] = sorted(name for name in folders if recursive and not is_skipped(name))
    return sorted(found)


def is_skipped(folder: str) -> bool:
    """Tell whether a folder holds no source of the project's own."""
    return folder.startswith(".") or folder in SKIPPED_FOLDERS


def decode(data: bytes) -> tuple[str, str]:
    """Decode source bytes.

    Args:
        data: A file's content.

    Returns:
        The text with lines that end as Unix has it, and the encoding's name. Bytes that their
        declared encoding cannot read are read as UTF-8 with replacements: `utf-8 (damaged)`.
    """
    lines = iter(data.splitlines(keepends=True)[:2])
    try:
        encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
        text = data.decode(encoding)
    except (SyntaxError, LookupError, UnicodeError):
        encoding = "utf-8 (damaged)"
        text = data.decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding
