"""A page of HTML as a test reads it, and names that try to break out of their place in one."""

from __future__ import annotations

import json
from html.parser import HTMLParser

VOID = {"meta", "link"}


class Page(HTMLParser):
    """A page, with its elements in order; a tag that is not closed where it should be is a fault."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.elements, self.open, self.data = [], [], ""
        self.words = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.data += data
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag, kind=None):
        return [
            found
            for name, found in self.elements
            if name == tag and (kind is None or kind in found.get("class", "").split())
        ]

    @property
    def document(self):
        """What the page holds for programs."""
        return json.loads(self.data)


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\" onmouseover=alert(1) x='",
    "</style><b>",
    "&lt;&#0;]]>",
    "nul\0 esc\x1b \ud800",
    "\u2028\u2029\u202e",
    "x" * 300,
]
