"""The report inside a file that `symphony run` wrote: its `--json`, or a trace, for Perfetto or as a page.

Called by `_baseline`. The invariant kept here: of a file that is none of these the text is handed back as it is, so
that whoever reads it says what is wrong, and where.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_DATA = "symphony-data"
"""The id of the element in which a page has its figures."""


def report_text(text: str) -> str:
    """The report as JSON, out of the text of a file.

    Raises:
        ValueError: A trace that holds no report, as those of earlier versions.
    """
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        parser = _Page()
        parser.feed(text)
        return _inside("".join(parser.found), "report")
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(document, dict) and "traceEvents" in document:
        return _inside(json.dumps(document.get("symphony")), "report")
    return text


def _inside(text: str, key: str) -> str:
    """What an object of JSON has under a key, as JSON."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get(key), dict):
        raise ValueError(  # noqa: TRY004 - it is the file that is wrong, and no type of ours.
            "it holds no report of a boot: it is a page or a trace that this Symphony did not write"
        )
    return json.dumps(document[key])


class _Page(HTMLParser):
    """Finds the data of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The element begins."""
        self._is_inside = tag == "script" and ("id", _DATA) in attrs

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - nothing lies inside of it.
        """The element ends."""
        self._is_inside = False

    def handle_data(self, data: str) -> None:
        """Its text may come in pieces."""
        if self._is_inside:
            self.found.append(data)
