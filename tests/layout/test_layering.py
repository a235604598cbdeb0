"""The shape of the repository: who may know whom, where `unsafe` stands, how long a file may be.

These are the invariants of `ARCHITECTURE.md` that no single crate can hold for itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import tokenize
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each crate may depend on, of ours. An arrow that is not here points the wrong way.
ALLOWED = {
    "component": set(),
    "pit": {"component"},
    "ipc": {"component"},
    "symphony_guest": {"component", "ipc"},
    "bridge": {"component", "ipc"},
    "orchestra_kit": {"component", "pit", "ipc"},
    "boot_orchestrator": {"component", "pit", "ipc", "orchestra_kit"},
    "symphony_py": {
        "component",
        "pit",
        "ipc",
        "symphony_guest",
        "bridge",
        "orchestra_kit",
        "boot_orchestrator",
    },
}


def tracked(*patterns: str) -> list[Path]:
    """The repository's files of these patterns, without what is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).is_file()]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def packages() -> dict[str, dict[str, Any]]:
    """The workspace's packages, as cargo reads them."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    read = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {package["name"]: package for package in json.loads(read.stdout)["packages"]}


def dependencies(package: dict[str, Any], *, tests: bool = False) -> set[str]:
    """The names that a package depends on; those of its tests only on demand."""
    return {
        dependency["name"]
        for dependency in package["dependencies"]
        if tests or dependency["kind"] != "dev"
    }


def test_dependencies_point_one_way(packages: dict[str, dict[str, Any]]) -> None:
    for name, allowed in ALLOWED.items():
        ours = dependencies(packages[name]) & set(packages)
        assert ours <= allowed, f"`{name}` may not know {sorted(ours - allowed)}"


def test_every_crate_of_the_workspace_has_its_place(packages: dict[str, dict[str, Any]]) -> None:
    crates = {
        folder.name for folder in (ROOT / "crates").iterdir() if (folder / "Cargo.toml").is_file()
    }
    assert crates == set(ALLOWED)
    for name in crates:
        manifest = Path(packages[name]["manifest_path"])
        assert manifest.parent.name == name, "a crate is its folder"


def test_the_pit_and_the_bus_do_not_know_each_other(packages: dict[str, dict[str, Any]]) -> None:
    assert "ipc" not in dependencies(packages["pit"], tests=True)
    assert "pit" not in dependencies(packages["ipc"], tests=True)


def test_only_symphony_py_knows_python(packages: dict[str, dict[str, Any]]) -> None:
    knowing = {
        name for name, package in packages.items() if "pyo3" in dependencies(package, tests=True)
    }
    assert knowing == {"symphony_py"}
    for path in tracked("crates/*.rs"):
        if "symphony_py" not in path.parts:
            assert "pyo3" not in code_of(path), shown(path)


def test_tests_and_benchmarks_are_leaves(packages: dict[str, dict[str, Any]]) -> None:
    for name, package in packages.items():
        assert "benches" not in dependencies(package, tests=True), name


def test_a_plan_cannot_be_changed() -> None:
    source = code_of(ROOT / "crates" / "boot_orchestrator" / "src" / "graph" / "plan.rs")
    body = source.split("impl Plan {", 1)[1].split("\n}\n", 1)[0]
    assert "pub fn components" in body, "the methods of `Plan` were not found"
    assert "&mut self" not in body
    declared = re.search(r"pub struct Plan\b(.*?)(?:;|\n\}\n)", source, re.DOTALL)
    assert declared is not None
    assert not re.search(r"\bpub\b|Mutex|Cell|Atomic", declared[1]), (
        "a field of `Plan` can be changed"
    )


def code_of(path: Path) -> str:
    """A Rust file without its comments and the text of its strings."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text)


def test_every_file_with_unsafe_is_named() -> None:
    # The workspace denies it, so a file has some exactly when it expects some.
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    assert 'unsafe_code = "deny"' in manifest
    with_unsafe = {
        shown(path)
        for path in tracked("*.rs")
        if re.search(r"expect\(\s*unsafe_code", code_of(path))
    }
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.split("\n## Files with `unsafe`\n", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"^\| `([^`]+\.rs)`", section, re.MULTILINE))
    assert named == with_unsafe


# Calls that change files, and the opening of one. They stand in the file layer alone, where faults are injected.
DISK_CALLS = re.compile(
    r"\b(?:File::(?:open|create|create_new|options)|OpenOptions\b"
    r"|fs::(?:rename|remove_file|remove_dir|remove_dir_all|create_dir|create_dir_all|write|copy|hard_link))"
    r"|\.(?:sync_data|sync_all|set_len|write_all_at|write_at|read_exact_at)\("
)


def test_the_pits_members_touch_the_disk_through_the_file_layer() -> None:
    """Without its tests; the libraries' loader is no member, and is killed in ways of its own."""
    for path in tracked("crates/pit/src/*.rs"):
        place = shown(path)
        inside = place.startswith(("crates/pit/src/disk/", "crates/pit/src/library/"))
        if inside or path.stem.endswith("_tests") or path.stem == "tests":
            continue
        code = re.split(r"#\[cfg\(test\)\]\s*(?:#\[[^\n]*\]\s*)?mod tests", code_of(path))[0]
        code = re.sub(r"\bdisk::\w+\(", "", code)
        found = [match.group() for match in DISK_CALLS.finditer(code)]
        assert not found, f"{place}: {found} go around `crate::disk`"


def test_no_lint_is_allowed_without_a_reason() -> None:
    for path in tracked("*.rs"):
        code = code_of(path)
        # What several test programs share is not used whole by each, so nothing can be expected.
        if "tests" not in path.parts:
            assert not re.search(r"#!?\[allow\(", code), (
                f"{shown(path)}: write `#[expect(…, reason = …)]`"
            )
        for expected in re.findall(r"#!?\[(?:expect|allow)\((.*?)\)\]", code, re.DOTALL):
            assert "reason" in expected, f"{shown(path)}: a lint is silenced without a reason"


# A reference that is looked into at one heading, with a program in each of its sections.
LONG = {"docs/errors.md": 1300}


def test_files_stay_short() -> None:
    for path in tracked("*.rs", "*.py", "*.md", "*.toml", "*.h"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines < LONG.get(shown(path), 600), f"{shown(path)} has {lines} lines"


def test_a_module_file_declares_and_does_nothing() -> None:
    """`lib.rs` and `mod.rs` hold modules, re-exports and traits: no function has its body there."""
    doing = set()
    for path in tracked("crates/*/src/lib.rs", "crates/**/src/**/mod.rs", "crates/*/src/*/mod.rs"):
        # The list of exports that PyO3 asks for is a module with functions in it.
        if path.parent.parent.name == "symphony_py" and path.name == "lib.rs":
            continue
        code = code_of(path).split("#[cfg(test)]")[0]
        bodies = re.findall(r"\bfn\s+(\w+)[^;{]*\{", code)
        if bodies:
            doing.add(shown(path))
    assert doing == set()


def test_every_folder_has_its_line() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.split("\n## Folders\n", 1)[1].split("\n## ", 1)[0]
    for parent in (ROOT / "python" / "symphony", *sorted((ROOT / "crates").glob("*/src"))):
        files = [path.relative_to(parent) for path in tracked(shown(parent))]
        folders = {path.parts[0] for path in files if len(path.parts) > 1}
        for folder in sorted(folders):
            # Members of the Pit share a line.
            written = f"`{shown(parent / folder)}`" in section or (
                parent.parent.name == "pit" and f"`{folder}`" in section
            )
            assert written, f"`{shown(parent / folder)}` has no line"
    for name in re.findall(r"^\| `([^`]+)`", section, re.MULTILINE):
        assert (ROOT / name).is_dir(), f"`{name}` is not a folder any more"


def test_no_tool_left_a_file() -> None:
    left = tracked("*.orig", "*.rej", "*.bak", "*.swp", "*~")
    assert left == []


def test_nothing_is_called_utils() -> None:
    for path in tracked("*.rs", "*.py"):
        parts = {
            part.removesuffix(".rs").removesuffix(".py").strip("_")
            for part in path.relative_to(ROOT).parts
        }
        assert not parts & {"utils", "util", "helpers", "helper", "common", "misc"}, shown(path)


def test_every_rust_module_says_what_it_is() -> None:
    for path in tracked("crates/*/src/*.rs", "crates/**/src/**/*.rs"):
        first = path.read_text(encoding="utf-8").lstrip()
        assert first.startswith("//!"), f"{shown(path)} begins without `//!`"


def test_every_python_module_says_what_it_is() -> None:
    for path in tracked("python/*.py", "tests/*.py", "examples/*.py", "benches/*.py"):
        text = path.read_text(encoding="utf-8")
        if text.strip():
            assert text.lstrip().startswith('"""'), f"{shown(path)} begins without a docstring"


def test_no_test_is_left_out() -> None:
    for path in tracked("*.rs"):
        assert not re.search(r"#\[ignore", code_of(path)), f"{shown(path)} ignores a test"
    marks = [f"pytest.{word}" for word in ("skip", "xfail", "importorskip")]
    marks += [f"mark.{word}" for word in ("skip", "skipif", "xfail")]
    for path in tracked("tests/*.py"):
        names = spoken(path)
        assert not [mark for mark in marks if mark in names], f"{shown(path)} leaves a test out"


def spoken(path: Path) -> str:
    """The names and dots of a Python file, without strings and comments."""
    tokens = tokenize.generate_tokens(StringIO(path.read_text(encoding="utf-8")).readline)
    kept = (token.string for token in tokens if token.type in (tokenize.NAME, tokenize.OP))
    return re.sub(r" \. ", ".", " ".join(kept))


def test_nothing_is_left_to_do_later() -> None:
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX"))
    words = re.compile(rf"\b(?:{marks})\b|\b(?:todo|unimplemented)!\(")
    for path in tracked("crates/*.rs", "python/*.py"):
        found = words.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{shown(path)}: {found[0] if found else ''}"


def test_the_invariants_name_tests_that_exist() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.split("\n## Invariants\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (\d+) \| .*? \| (.*) \|$", section, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 10
    for number, holders in rows:
        named = re.findall(r"\[`(\w+)`\]\(([^)]+)\)", holders)
        assert named, f"invariant {number} is held by nothing"
        for test, path in named:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"\b(?:fn|def) {test}\b", text), (
                f"invariant {number}: {path} has no `{test}`"
            )
