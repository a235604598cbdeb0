"""Puts the example extensions on the import path and offers real sources to try them on."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[2] / "examples" / "ide" / "extensions"

sys.path[:0] = [str(folder) for folder in sorted(EXTENSIONS.iterdir()) if folder.is_dir()]

STANDARD_LIBRARY = Path(sysconfig.get_paths()["stdlib"])

# What an editor holds at some time: nothing, half a line, an old file, a hostile one.
EDGE_SOURCES = {
    "empty": "",
    "blank": "\n\n   \n",
    "comment-only": "# TODO: begin\n",
    "python-2": "print 'hello'\nexec code in space\nclass Old: pass\n",
    "half-typed": "def f(a,\n    x = [1, 2\nclass",
    "open-string": 'x = """never closed\nTODO',
    "bad-indent": "def f():\n        a\n    b\n",
    "tabs-and-spaces": "if x:\n\ta\n        b\n",
    "null-byte": "x = 1\0\n",
    "form-feed": "x = 1\n\x0c\ny = 2\n",
    "no-line-end": "x = 1",
    "surrogate-free-unicode": "größe = 'ß'\nclass Übung: pass\n",
    "deep": "(" * 500 + ")" * 500,
    "deep-attributes": "x" + ".a" * 3000,
    "long-line": "x = [" + "1, " * 20000 + "]",
    "bad-escape": "x = '\\d'\nassert (1, 'x')\n",
    "backslash-end": "x = 1 + \\",
    "lone-operator": "a $ b ? c\n",
    "unicode-line-separators": "x = 'a\u2028b'  # TODO: c\x85d\n",
}


@pytest.fixture(params=sorted(EDGE_SOURCES))
def edge_source(request: pytest.FixtureRequest) -> str:
    """Return each of the sources at the edge of what an extension may be given."""
    return EDGE_SOURCES[str(request.param)]


@pytest.fixture(scope="session")
def standard_sources() -> dict[str, str]:
    """Return the text of every top-level module file of the standard library, by path."""
    import reader

    files = sorted(STANDARD_LIBRARY.glob("*.py"))
    assert len(files) > 100, f"no standard library in `{STANDARD_LIBRARY}`"
    return {os.fspath(file): str(reader.read(os.fspath(file))["source"]) for file in files}


@pytest.fixture(scope="session")
def standard_library() -> Path:
    """Return the folder of the standard library."""
    return STANDARD_LIBRARY
