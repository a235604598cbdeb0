"""The example system as a whole: manifests, Melodies and extensions name the same things.

The Melodies are walked here node by node with the plain functions, so that a wrong wire shows
without a running system.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from symphony.extension import Extension

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLE = Path(__file__).parents[2] / "examples" / "ide"
REFERENCE = re.compile(r"\$\{([^}]+)\}")
NATIVE = {"lines": {"count": {"source"}}, "words": {"words": {"source", "top"}}}


def read_toml(path: Path) -> Any:
    return tomllib.loads(path.read_text("utf-8"))


MANIFESTS = {
    path.parent.name: read_toml(path)["extension"]
    for path in sorted(EXAMPLE.glob("extensions/*/Symphony.toml"))
}


def extension_of(name: str) -> Extension:
    module, _, attribute = MANIFESTS[name]["entry"].partition(":")
    found: Extension = getattr(importlib.import_module(module), attribute)
    return found


def test_there_are_enough_and_of_each_kind() -> None:
    assert len(MANIFESTS) >= 14
    assert [name for name in MANIFESTS if "command" in MANIFESTS[name]] == ["lines"]
    in_process = [name for name, manifest in MANIFESTS.items() if manifest["execution"] == "pit"]
    assert in_process == ["words"]
    eager = {name for name, manifest in MANIFESTS.items() if manifest["activation"] == "eager"}
    assert eager == {"reader", "outline", "complexity", "rank"}


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_says_what_its_extension_is(name: str) -> None:
    manifest = MANIFESTS[name]
    assert manifest["name"] == name
    if "entry" in manifest:
        extension = extension_of(name)
        assert (extension.name, extension.version) == (name, manifest["version"])
        assert set(manifest.get("operations", extension.operations)) == set(extension.operations)
        assert all(found.summary for found in extension.descriptions.values())
    else:
        assert set(manifest["operations"]) == set(NATIVE[name])


def test_grants_are_exactly_those_needed() -> None:
    grants = {
        name: manifest["permissions"]
        for name, manifest in MANIFESTS.items()
        if "permissions" in manifest
    }
    assert grants == {
        "lint": {"run": ["ruff"]},
        "project": {"read": ["${workspace}"]},
        "reader": {"read": ["${workspace}"]},
    }
    # Whoever opens files or starts programs does so by grant.
    for path in EXAMPLE.glob("extensions/*/*.py"):
        touches = re.search(r"\b(open\(|read_bytes|read_text|subprocess|socket)", path.read_text())
        assert (touches is None) or path.parent.name in grants, path


def inputs_of(call: str) -> tuple[set[str], set[str]]:
    """Return the required and all inputs of an operation."""
    name, _, operation = call.partition(".")
    if name == "artifact-store":
        return {"data"}, {"data", "name", "tags", "parents"}
    if name in NATIVE:
        return {"source"}, NATIVE[name][operation]
    description = extension_of(name).descriptions[operation]
    return set(description.required), {*description.required, *description.optional}


@pytest.mark.parametrize("name", ["review-file", "review-project"])
def test_a_melodys_wires_end_somewhere(name: str) -> None:
    melody = read_toml(EXAMPLE / "melodies" / f"{name}.toml")
    known = {f"inputs.{given}" for given in melody["melody"]["inputs"]}
    assert melody["melody"]["name"] == name
    for node in melody["node"]:
        required, accepted = inputs_of(node["call"])
        assert required <= set(node["with"]) <= accepted, node["id"]
        for reference in REFERENCE.findall(json.dumps(node["with"])):
            assert reference in known or reference.partition(".")[0] in known, reference
        known.add(node["id"])


def resolve(value: Any, results: dict[str, Any]) -> Any:
    """Put results in the place of references, as the engine does."""
    if isinstance(value, list):
        return [resolve(inner, results) for inner in value]
    if not isinstance(value, str):
        return value

    def find(reference: str) -> Any:
        found: Any = results
        for part in reference.split("."):
            found = found[part]
        return found

    whole = REFERENCE.fullmatch(value)
    if whole is not None:
        return find(whole[1])
    return REFERENCE.sub(lambda match: str(find(match[1])), value)


def walk(name: str, **inputs: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a Melody without Symphony; returns the results and what was to be stored."""
    results: dict[str, Any] = {"inputs": inputs}
    stored: dict[str, Any] = {}
    for node in read_toml(EXAMPLE / "melodies" / f"{name}.toml")["node"]:
        extension, _, operation = node["call"].partition(".")
        given = {key: resolve(value, results) for key, value in node["with"].items()}
        if extension == "artifact-store":
            stored = given
        elif extension in NATIVE:
            results[node["id"]] = None
        else:
            results[node["id"]] = extension_of(extension).operations[operation](**given)
    return results, stored


def test_review_file_on_a_real_module(standard_library: Path) -> None:
    path = str(standard_library / "argparse.py")
    results, stored = walk("review-file", path=path)
    review = results["rank"]
    assert review["absent"] == ["lines", "words"]
    assert review["most_complex"][0]["place"].startswith(f"{path}:")
    assert review["functions"] == len(results["complexity"]) > 100
    assert stored["name"] == f"review:{path}"
    assert json.loads(stored["data"])["grade"] == review["grade"]


def test_review_project_on_a_real_package(standard_library: Path) -> None:
    root = str(standard_library / "asyncio")
    results, stored = walk("review-project", root=root)
    assert results["rank"]["totals"]["files"] == len(
        list((standard_library / "asyncio").glob("*.py"))
    )
    assert results["rank"]["most_complex"][0]["complexity"] > 10
    assert results["modules"]["most_imported"]
    assert json.loads(stored["data"])["root"] == root
