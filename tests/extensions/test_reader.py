"""The reader's encodings and listings, against the interpreter's own."""

from __future__ import annotations

import linecache
import tokenize
from pathlib import Path

import pytest
from reader import decode, list_files, read


def test_it_reads_a_module_as_the_interpreter_does(standard_library: Path) -> None:
    for name in ("os.py", "sre_compile.py", "heapq.py"):
        path = str(standard_library / name)
        with tokenize.open(path) as file:
            expected = file.read()
        result = read(path)
        assert result["source"] == expected
        assert result["lines"] == len(linecache.getlines(path))
        assert result["size"] == Path(path).stat().st_size
        assert result["replaced"] == 0


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"", "", "utf-8"),
        ("# größe\n".encode(), "# größe\n", "utf-8"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n", "utf-8-sig"),
        (b"# -*- coding: latin-1 -*-\n# gr\xf6\xdfe\n", "größe", "iso-8859-1"),
        (b"#!/bin/python\n# vim: set fileencoding=cp1252 :\n# \x80\n", "\u20ac", "cp1252"),
        (b"a\r\nb\rc\n", "a\nb\nc\n", "utf-8"),
        (b"# coding: no-such-thing\nx\n", "x", "utf-8 (damaged)"),
        (b"x = '\xff'\n", "\ufffd", "utf-8 (damaged)"),
        (b"# coding: rot13\nk\n", "k", "utf-8 (damaged)"),
        (b"\x00\x01\x02", "\x00", "utf-8"),
    ],
)
def test_encodings(data: bytes, text: str, encoding: str) -> None:
    decoded, name = decode(data)
    assert text in decoded
    assert name == encoding
    assert "\r" not in decoded


def test_characters_that_cannot_be_decoded_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_bytes(b"x = '\xff\xfe'\n")
    assert read(str(path))["replaced"] == 2


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "missing.py"))


def test_listing_leaves_out_caches_and_hidden_folders(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "note.txt", "sub/c.py", "__pycache__/d.py", ".git/e.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list_files(str(tmp_path)) == ["a.py", "b.py", "sub/c.py"]
    assert list_files(str(tmp_path), recursive=False) == ["a.py", "b.py"]
    assert list_files(str(tmp_path), pattern="*.txt") == ["note.txt"]
    with pytest.raises(NotADirectoryError, match="not a folder"):
        list_files(str(tmp_path / "a.py"))
