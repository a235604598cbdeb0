"""What is depended on: used where it is named, and of a licence, a source and a version that `deny.toml` allows.

`cargo machete` and `cargo deny` look at the same; a machine that builds Symphony has neither. Caller: `make lint` and
`make test`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]

# What is depended on for something else than a name in the code, and for what.
USED_OTHERWISE = {
    "numpy": "`torch` warns where it is missing",
    "pytest-timeout": "the setting `timeout` of pytest",
    "pytest-xdist": "the option `-n` of pytest, in `make test`",
    "mypy": "called by `make lint`",
    "pyright": "called by `make lint`",
    "ruff": "called by `make lint`, and by an extension of the example",
}


def toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def metadata(*arguments: str) -> dict[str, Any]:
    """The packages, as cargo reads them."""
    command = ["cargo", "metadata", "--format-version", "1", *arguments]
    read = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(read.stdout)
    return found


# What is not code in a Rust file: comments, raw strings, strings, characters.
NOT_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\.|[^\\'])'""", re.DOTALL
)


def code_of(path: Path) -> str:
    return NOT_CODE.sub(" ", path.read_text(encoding="utf-8"))


def rust(folder: Path) -> str:
    """The code of all Rust files below a folder."""
    return "\n".join(code_of(path) for path in sorted(folder.rglob("*.rs")))


def names(code: str, crate: str) -> bool:
    """Whether the code names a crate: a path that begins with it, or a `use` of it."""
    word = crate.replace("-", "_")
    return (
        re.search(rf"\b{word}\s*::|\buse\s+{word}\b|\bextern\s+crate\s+{word}\b", code) is not None
    )


def shipped(folder: Path) -> str:
    """The code of a package without its tests."""
    codes = []
    for path in sorted((folder / "src").rglob("*.rs")):
        if path.stem.endswith("_test") or "tests" in {path.stem, *path.relative_to(folder).parts}:
            continue
        codes.append(code_of(path).split("\n#[cfg(test)]\nmod tests {")[0])
    return "\n".join(codes)


@pytest.fixture(scope="module")
def ours() -> list[dict[str, Any]]:
    """The packages of the workspace."""
    packages: list[dict[str, Any]] = metadata("--no-deps")["packages"]
    return packages


def test_every_dependency_is_used_by_the_crate_that_names_it(ours: list[dict[str, Any]]) -> None:
    unused = []
    for package in ours:
        folder = Path(package["manifest_path"]).parent
        of_kind = {
            # What only tests and benchmarks use is theirs to ask for; the crate of the benchmarks is nothing else.
            None: rust(folder) if package["name"] == "benches" else shipped(folder),
            "dev": rust(folder),
            "build": rust(folder),
        }
        for dependency in package["dependencies"]:
            name = dependency["rename"] or dependency["name"]
            if not names(of_kind[dependency["kind"]], name):
                unused.append(f"{package['name']}: {name}")
    assert unused == [], "take these out of their Cargo.toml, or make them dev-dependencies"


def test_every_dependency_of_the_workspace_is_used_by_a_crate(ours: list[dict[str, Any]]) -> None:
    declared = set(toml("Cargo.toml")["workspace"]["dependencies"])
    used = {dependency["name"] for package in ours for dependency in package["dependencies"]}
    assert declared - used == set()


def test_every_version_is_written_once(ours: list[dict[str, Any]]) -> None:
    """Crates take versions from the workspace; a path of the same folder is no version."""
    for package in ours:
        manifest = tomllib.loads(Path(package["manifest_path"]).read_text(encoding="utf-8"))
        for table in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, asked in manifest.get(table, {}).items():
                written = isinstance(asked, str) or "version" in asked
                assert not written, (
                    f"{package['name']}: write the version of `{name}` in the workspace's Cargo.toml"
                )


def imported(*folders: str) -> set[str]:
    """The first parts of the modules that the Python files below these folders import."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"^\s*(?:import|from)\s+(\w+)", text, re.MULTILINE))
            found |= set(re.findall(r"""(?:import_module|__import__)\(["'](\w+)""", text))
    return found


def test_every_python_dependency_is_imported() -> None:
    project = toml("pyproject.toml")["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    # What users install is imported by the package; what tests and the example install may be theirs.
    package, all_of_it = imported("python"), imported("python", "tests", "examples")
    unused = []
    for extra, requirements in asked.items():
        used = all_of_it if extra in {"test", "examples"} else package
        for requirement in requirements:
            name = re.match(r"[\w-]+", requirement)[0]
            if name not in USED_OTHERWISE and name.replace("-", "_") not in used:
                unused.append(requirement)
    assert unused == []


# -- deny.toml ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> list[dict[str, Any]]:
    """What is in `Cargo.lock`."""
    packages: list[dict[str, Any]] = toml("Cargo.lock")["package"]
    return packages


def lawful(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be fulfilled with these licences; `/` is how `OR` was once written."""
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either() -> bool:
        holds = both()
        while words and words[0] == "OR":
            words.pop(0)
            holds = both() or holds
        return holds

    def both() -> bool:
        holds = one()
        while words and words[0] == "AND":
            words.pop(0)
            holds = one() and holds
        return holds

    def one() -> bool:
        word = words.pop(0)
        if word == "(":
            holds = either()
            assert words.pop(0) == ")", expression
            return holds
        if words and words[0] == "WITH":
            word = f"{word} {words.pop(0)} {words.pop(0)}"
        return word in allowed

    holds = either()
    assert words == [], expression
    return holds


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("MIT", True),
        ("GPL-3.0", False),
        ("MIT/GPL-3.0", True),
        ("GPL-3.0 OR MIT", True),
        ("(GPL-3.0 OR MIT) AND Zlib", False),
        ("MIT AND (GPL-3.0 OR Apache-2.0 WITH LLVM-exception)", True),
        ("Apache-2.0", False),
    ],
)
def test_a_licence_is_read_as_it_is_written(expression: str, holds: bool) -> None:
    assert lawful(expression, {"MIT", "Apache-2.0 WITH LLVM-exception"}) is holds


def test_every_licence_is_allowed() -> None:
    deny = toml("deny.toml")
    allowed = set(deny["licenses"]["allow"])
    targets = [f"--filter-platform={target}" for target in deny["graph"]["targets"]]
    packages = metadata("--locked", "--all-features", *targets)
    built = {node["id"] for node in packages["resolve"]["nodes"]}
    refused = [
        f"{package['name']} {package['version']}: {package['license']}"
        for package in packages["packages"]
        if package["id"] in built and not lawful(package["license"] or "none", allowed)
    ]
    assert refused == []


def test_every_allowed_licence_is_some_crates() -> None:
    """A list of licences that nothing has would let in what nobody has looked at."""
    deny = toml("deny.toml")
    targets = [f"--filter-platform={target}" for target in deny["graph"]["targets"]]
    packages = metadata("--locked", "--all-features", *targets)["packages"]
    written = " | ".join(package["license"] or "" for package in packages)
    assert [licence for licence in deny["licenses"]["allow"] if licence not in written] == []


def test_every_source_is_allowed(locked: list[dict[str, Any]]) -> None:
    sources = toml("deny.toml")["sources"]
    assert sources["unknown-registry"] == sources["unknown-git"] == "deny"
    allowed = {f"registry+{address}" for address in sources["allow-registry"]}
    allowed |= {f"git+{address}" for address in sources["allow-git"]}
    # What has no source is a crate of the workspace.
    assert {package["source"] for package in locked if "source" in package} <= allowed


def test_nothing_banned_is_locked_and_nothing_twice(locked: list[dict[str, Any]]) -> None:
    bans = toml("deny.toml")["bans"]
    names_of = Counter(package["name"] for package in locked)
    assert {ban["crate"] for ban in bans["deny"]} & set(names_of) == set()
    twice = {name for name, count in names_of.items() if count > 1}
    assert twice == {skipped["crate"] for skipped in bans["skip"]}, "see `skip` in deny.toml"


def test_every_ban_and_every_exception_has_a_reason() -> None:
    bans = toml("deny.toml")["bans"]
    assert all(entry["reason"] for entry in [*bans["deny"], *bans["skip"]])


def test_the_toolchain_is_new_enough_for_the_workspace() -> None:
    def number(text: str) -> list[int]:
        return [int(part) for part in text.split(".")]

    channel = toml("rust-toolchain.toml")["toolchain"]["channel"]
    oldest = toml("Cargo.toml")["workspace"]["package"]["rust-version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", channel), (
        "a version, so that lints do not change by themselves"
    )
    assert number(channel) >= number(oldest)


def test_hooks_before_a_commit_fetch_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"repo: *(\S+)", text)) == {"local"}
