"""Circles of files and of folders inside each crate: none but those that are named here with a reason.

The arrows are read from the sources as text: `use` declarations and paths written out in the code, resolved through the
re-exports of `lib.rs` and of each `mod.rs`. Unit tests are left out, because a test may look at everything.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CRATES = sorted(path.parent.parent.name for path in ROOT.glob("crates/*/src/lib.rs"))

Module = tuple[str, ...]
Names = dict[Module, dict[str, Module]]

# Circles that may stay, by the crate and their files, with the reason.
ONE_THING: dict[str, dict[frozenset[str], str]] = {}

# Circles that are there and are to be opened: none of them may grow, and one that is gone is struck out.
TO_BE_OPENED: dict[str, list[set[str]]] = {
    "ipc": [
        {
            "lane/book.rs",
            "lane/call.rs",
            "lane/inbound.rs",
            "lane/options.rs",
            "lane/output.rs",
            "lane/receive.rs",
            "lane/shared.rs",
            "lane/stream.rs",
            "lane/turn.rs",
            "lane/waiter.rs",
            "lane/work.rs",
            "reader.rs",
        },
        {"scan.rs", "value.rs"},
        {"error.rs", "frame.rs"},
    ],
    "orchestra_kit": [
        {
            "melody/engine/active.rs",
            "melody/engine/facade.rs",
            "melody/engine/port.rs",
            "melody/engine/run.rs",
            "melody/engine/scheduler.rs",
        },
        {
            "operations/arbitration.rs",
            "operations/artifacts.rs",
            "operations/dag.rs",
            "operations/inputs.rs",
            "operations/members.rs",
            "operations/pool.rs",
            "operations/stale.rs",
        },
        {"host/inbound.rs", "host/process.rs"},
        {"extension/life.rs", "host/guest.rs"},
        {"error.rs", "extension/ended.rs", "supervisor/protocol.rs"},
    ],
    "pit": [
        {"pool_manager/lease.rs", "pool_manager/manager.rs"},
        {"artifact_store/flusher.rs", "artifact_store/store.rs"},
        {"arbitration_engine/engine.rs", "arbitration_engine/grant.rs"},
    ],
}

# The same of folders.
FOLDERS_TO_BE_OPENED: dict[str, list[set[str]]] = {
    "orchestra_kit": [{"extension", "host"}],
}

IDENTIFIER = r"(?:r#)?[A-Za-z_][A-Za-z0-9_]*"
PATH = re.compile(rf"(?<![\w:$])(?:crate|super|self)(?:\s*::\s*{IDENTIFIER})+")
USE = re.compile(r"(?:^|[;{}\s])(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")


def plain(text: str) -> str:
    """The source without comments, texts and unit tests."""
    text = re.sub(r'r#"[\s\S]*?"#|"(?:\\[\s\S]|[^"\\])*"|//[^\n]*|/\*[\s\S]*?\*/', '""', text)
    while found := re.search(r"#\[cfg\((?:test|all\(test)[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*", text):
        at = found.end()
        depth = 0
        while at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if depth == 0 and text[at] in "};":
                break
            at += 1
        text = text[: found.start()] + text[at + 1 :]
    return text


def leaves(tree: str) -> list[tuple[list[str], str]]:
    """What a `use` tree names: each path with the name that it gets."""
    tree = tree.strip()
    opening = tree.find("{")
    if opening < 0:
        path, _, name = tree.partition(" as ")
        words = [word.strip() for word in path.split("::") if word.strip()]
        if words and words[-1] == "self":
            words.pop()
        return [(words, name.strip() or (words[-1] if words else ""))]
    before = [word.strip() for word in tree[:opening].split("::") if word.strip()]
    found, depth, start = [], 0, opening + 1
    for at in range(opening + 1, len(tree)):
        depth += {"{": 1, "}": -1}.get(tree[at], 0)
        if (tree[at] == "," and depth == 0) or depth < 0:
            for words, name in leaves(tree[start:at]) if tree[start:at].strip() else []:
                found.append((before + words, name or before[-1]))
            start = at + 1
        if depth < 0:
            break
    return found


class Crate:
    """The modules of a crate, and which looks at which."""

    def __init__(self, root: Path) -> None:
        self.sources: dict[Module, str] = {}
        self.files: dict[Module, str] = {}
        for path in sorted(root.rglob("*.rs")):
            inside = path.relative_to(root)
            if path.stem.endswith("_test") or path.stem == "tests":
                continue
            module = inside.with_suffix("").parts
            if module[-1] in {"mod", "lib", "main"}:
                module = module[:-1]
            self.sources[module] = plain(path.read_text(encoding="utf-8"))
            self.files[module] = str(inside)
        self.exported: Names = {}
        for module, text in self.sources.items():
            for public, tree in USE.findall(text):
                if public:
                    for words, name in leaves(tree):
                        target = self.absolute(module, words)
                        if target is not None:
                            self.exported.setdefault(module, {})[name] = target

    def absolute(self, module: Module, words: list[str]) -> Module | None:
        """A path from the crate's root; none for what is another crate's."""
        if not words:
            return None
        if words[0] == "crate":
            return tuple(words[1:])
        if words[0] == "self":
            return (*module, *words[1:])
        if words[0] == "super":
            up = 0
            while up < len(words) and words[up] == "super":
                up += 1
            return (*module[: max(len(module) - up, 0)], *words[up:])
        return (*module, *words) if (*module, words[0]) in self.sources else None

    def home(self, path: Module, seen: frozenset[Module] = frozenset()) -> Module | None:
        """The module in which what this path names is written."""
        for length in range(len(path), -1, -1):
            module = path[:length]
            if module not in self.sources:
                continue
            if length == len(path):
                return module
            again = self.exported.get(module, {}).get(path[length])
            if again is None or path in seen:
                return module
            return self.home((*again, *path[length + 1 :]), seen | {path})
        return None

    def arrows(self) -> dict[Module, set[Module]]:
        """For each module those at which it looks; the roots of folders, which have no logic, are none."""
        roots = {module[:-1] for module in self.sources if module}
        arrows: dict[Module, set[Module]] = {}
        for module, text in self.sources.items():
            if module in roots and self.files[module].endswith(("mod.rs", "lib.rs")):
                continue
            named = [words for _, tree in USE.findall(text) for words, _ in leaves(tree)]
            named += [re.split(r"\s*::\s*", path) for path in PATH.findall(USE.sub(";", text))]
            found = {
                self.home(path) for path in (self.absolute(module, one) for one in named) if path
            }
            arrows[module] = {one for one in found if one is not None and one != module}
        return {module: there & arrows.keys() for module, there in arrows.items()}


def circles(arrows: dict[Module, set[Module]]) -> list[set[Module]]:
    """The strongly connected components of more than one node (Kosaraju's, without recursion)."""
    order: list[Module] = []
    seen: set[Module] = set()
    for start in sorted(arrows):
        stack = [(start, iter(sorted(arrows[start])))] if start not in seen else []
        seen.add(start)
        while stack:
            node, rest = stack[-1]
            following = next((one for one in rest if one not in seen), None)
            if following is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(arrows[following]))))
    back: dict[Module, set[Module]] = {node: set() for node in arrows}
    for node, there in arrows.items():
        for one in there:
            back[one].add(node)
    found, left = [], set(arrows)
    for node in reversed(order):
        if node not in left:
            continue
        group, work = set(), [node]
        left.discard(node)
        while work:
            one = work.pop()
            group.add(one)
            work += [other for other in back[one] if other in left]
            left -= back[one]
        if len(group) > 1:
            found.append(group)
    return found


def folders(arrows: dict[Module, set[Module]]) -> dict[Module, set[Module]]:
    """The arrows between the folders directly below `src`; files that stand there by themselves are left out."""
    found: dict[Module, set[Module]] = {}
    tops = {module[:1] for module in arrows if len(module) > 1}
    for module, there in arrows.items():
        if module[:1] in tops:
            to = {one[:1] for one in there if one[:1] in tops and one[:1] != module[:1]}
            found.setdefault(module[:1], set()).update(to)
    return found


def told(groups: list[set[str]]) -> str:
    return "\n".join(", ".join(sorted(group)) for group in groups)


@pytest.mark.parametrize("crate", CRATES)
def test_there_is_no_circle_of_files_but_those_that_are_named(crate: str) -> None:
    read = Crate(ROOT / "crates" / crate / "src")
    found = [{read.files[module] for module in group} for group in circles(read.arrows())]
    allowed = [set(group) for group in ONE_THING.get(crate, {})] + TO_BE_OPENED.get(crate, [])
    new = [group for group in found if not any(group <= one for one in allowed)]
    assert not new, f"a circle of files in `{crate}`:\n{told(new)}"


@pytest.mark.parametrize("crate", CRATES)
def test_there_is_no_circle_of_folders(crate: str) -> None:
    read = Crate(ROOT / "crates" / crate / "src")
    found = [{module[0] for module in group} for group in circles(folders(read.arrows()))]
    allowed = FOLDERS_TO_BE_OPENED.get(crate, [])
    new = [group for group in found if not any(group <= one for one in allowed)]
    assert not new, f"a circle of folders in `{crate}`:\n{told(new)}"


def test_a_circle_is_found_through_a_re_export(tmp_path: Path) -> None:
    """What the two tests above stand on."""
    sources = {
        "lib.rs": "mod one; mod two; mod three; pub use two::{Two, deep::{Three as Third}};",
        "one.rs": "use crate::{Two}; fn f() { let _ = Two; }",
        "two/mod.rs": "mod inner; pub(crate) mod deep; pub use inner::Two;",
        "two/inner.rs": "// crate::three\nfn g() { super::super::one::f() }",
        "two/deep.rs": "pub struct Three;",
        "three.rs": "#[cfg(test)]\nmod tests { use crate::one::f; }\nuse crate::Third;",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    read = Crate(tmp_path)
    assert read.arrows()[("three",)] == {("two", "deep")}
    assert circles(read.arrows()) == [{("one",), ("two", "inner")}]
