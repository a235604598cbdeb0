"""The pitfalls, case by case."""

from __future__ import annotations

import pytest
from pitfalls import pitfalls


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("def f(a=[], *, b={}): pass", ["mutable-default", "mutable-default"]),
        ("lambda a=set(): a", ["mutable-default"]),
        ("def f(a=(), b=None, c=frozenset()): pass", []),
        ("try: a\nexcept: pass", ["bare-except"]),
        ("try: a\nexcept:\n  b\n  raise", []),
        ("try: a\nexcept Exception: pass", ["swallowed-exception"]),
        ("try: a\nexcept Exception: b", []),
        ("try: a\nexcept OSError: pass", []),
        ("a == None\nb != None\nc is None", ["equals-none", "equals-none"]),
        ("a is 1\nb is not 'x'\nc is True", ["is-literal", "is-literal"]),
        ("assert (a, 'text')", ["assert-tuple"]),
        ("raise NotImplemented", ["raise-not-implemented"]),
        ("raise NotImplemented('x')", ["raise-not-implemented"]),
        ("raise NotImplementedError", []),
        ("def f():\n  try: a\n  finally: return 1", ["return-in-finally"]),
        ("try: a\nfinally:\n  def f(): return 1", []),
        ("{'a': 1, 'b': 2, 'a': 3}", ["repeated-key"]),
        ("{1, True, 1.0}", []),
        ("{**a, **b}", []),
    ],
)
def test_rules(source: str, rules: list[str]) -> None:
    assert [entry["rule"] for entry in pitfalls(source)] == rules


def test_known_places_of_the_standard_library(standard_sources: dict[str, str]) -> None:
    path = next(path for path in standard_sources if path.endswith("/code.py"))
    lines = standard_sources[path].split("\n")
    bare = [entry for entry in pitfalls(standard_sources[path]) if entry["rule"] == "bare-except"]
    assert bare
    assert all(lines[int(str(entry["line"])) - 1].strip() == "except:" for entry in bare)
