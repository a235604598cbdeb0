"""Credentials that do not belong into source: keys by their form, passwords by their place.

The module is not called `secrets`, which is one of the standard library.
"""

from __future__ import annotations

import math
import re

from symphony.extension import Extension

extension = Extension("secrets", "0.1.0")

FORMS = (
    ("aws-access-key", "high", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("github-token", "high", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,90})\b")),
    ("slack-token", "high", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    ("stripe-key", "high", re.compile(r"\b[rs]k_live_[0-9A-Za-z]{16,}")),
    ("google-api-key", "high", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("private-key", "high", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    ("json-web-token", "normal", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
    ("url-password", "normal", re.compile(r"\b[a-z][a-z+.-]*://[^\s/:@'\"]+:([^\s/@'\"]{3,})@")),
)
ASSIGNMENT = re.compile(
    r"""(?ix) \b \w* (?: passw(?:or)?d | secret | api_?key | auth_?token | access_?token
        | private_?key ) \w* ["']? \s* (?: = | : | := ) \s* [rbu]{0,2} (["']) ([^"'\\\n]{8,}) \1 """
)
PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|change.?me|your|xxx|placeholder|test|fake|<.*>|\{.*\}|%\(|\*{3}"
)
HINTS = ("-----BEGIN", "AKIA", "ASIA", "gh", "xox", "k_live_", "AIza", "eyJ", "://")
MINIMUM_ENTROPY = 3.0


@extension.operation
def scan(source: str) -> list[dict[str, object]]:
    """Look for credentials in a file of any language.

    Args:
        source: The file's text.

    Returns:
        In the order of lines: `rule`, `severity` (high, normal), `line`, `column` (from 1) and
        `excerpt`, in which the credential itself is masked.
    """
    found: list[tuple[int, int, dict[str, object]]] = []
    for number, line in enumerate(source.split("\n"), 1):
        taken: list[range] = []
        if any(hint in line for hint in HINTS):
            for rule, severity, form in FORMS:
                for match in form.finditer(line):
                    group = form.groups
                    if group and PLACEHOLDER.search(match[group]):
                        continue
                    taken.append(range(*match.span(group)))
                    found.append(finding(rule, severity, number, match.span(group), line))
        if "=" not in line and ":" not in line:
            continue
        for match in ASSIGNMENT.finditer(line):
            span = match.span(2)
            value = match[2]
            is_known = any(span[0] < known.stop and known.start < span[1] for known in taken)
            if not is_known and not PLACEHOLDER.search(value) and is_random(value):
                found.append(finding("hard-coded-password", "normal", number, span, line))
    found.sort(key=lambda item: item[:2])
    return [entry for _, _, entry in found]


def is_random(value: str) -> bool:
    """Tell whether a value looks chosen by chance and not like words of a sentence or a name."""
    if " " in value.strip() or value.isalpha() or value.replace("_", "").isalpha():
        return False
    return entropy(value) >= MINIMUM_ENTROPY


def entropy(value: str) -> float:
    """Compute Shannon's entropy of a text, in bits for each character."""
    size = len(value)
    counts = [value.count(character) for character in set(value)]
    return -sum(count / size * math.log2(count / size) for count in counts)


def finding(
    rule: str, severity: str, number: int, span: tuple[int, int], line: str
) -> tuple[int, int, dict[str, object]]:
    """Describe a finding, with the credential masked but for its first four characters."""
    start, end = span
    kept = min(4, (end - start) // 2)
    masked = line[:start] + line[start : start + kept] + "****" + line[end:]
    entry: dict[str, object] = {
        "rule": rule,
        "severity": severity,
        "line": number,
        "column": start + 1,
        "excerpt": masked.strip()[:120],
    }
    return number, start, entry
