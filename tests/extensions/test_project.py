"""A project at once: totals, import graph, worst functions and clones."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from complexity import complexity
from graph import rings
from project import clones, hotspots, modules, totals
from reader import list_files

FILES = {
    "__init__.py": "",
    "a.py": "from . import b\nimport sample.c\n",
    "b.py": "from sample.c import thing\n",
    "c.py": "def f():\n    import sample.a\n",
    "sub/__init__.py": "from .. import a\nfrom .inner import x\n",
    "sub/inner.py": "from . import other\n",
    "sub/other.py": "import sample.sub.inner\n",
    "broken.py": "def f(:\n",
}


@pytest.fixture
def sample(tmp_path: Path) -> str:
    root = tmp_path / "sample"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(root)


def test_the_graph_of_a_package(sample: str) -> None:
    report: Any = modules(sample, list_files(sample))
    assert report["modules"] == len(FILES)
    # What a function imports makes no cycle; what two modules import at their top does.
    assert report["cycles"] == [
        ["sample.sub", "sample.sub.inner", "sample.sub.other"],
    ] or report["cycles"] == [["sample.sub.inner", "sample.sub.other"]]
    assert {"module": "sample.c", "count": 2} in report["most_imported"]


def test_totals_name_what_does_not_parse(sample: str) -> None:
    report: Any = totals(sample, [*list_files(sample), "vanished.py"])
    assert report["files"] == len(FILES)
    assert report["broken"] == ["broken.py"]
    assert report["functions"] == 1


def test_totals_of_real_source(standard_library: Path) -> None:
    root = str(standard_library / "json")
    files = list_files(root)
    report: Any = totals(root, files)
    trees = [ast.parse(Path(root, file).read_bytes()) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    assert report["classes"] == sum(isinstance(node, ast.ClassDef) for node in nodes)
    assert report["functions"] == sum(isinstance(node, ast.FunctionDef) for node in nodes)
    assert report["size"] == sum(Path(root, file).stat().st_size for file in files)


def test_a_changed_file_is_read_again(sample: str) -> None:
    before: Any = totals(sample, ["a.py"])
    Path(sample, "a.py").write_text("class New: pass\n", encoding="utf-8")
    after: Any = totals(sample, ["a.py"])
    assert (before["classes"], after["classes"]) == (0, 1)


def test_hotspots_agree_with_the_extension_complexity(standard_library: Path) -> None:
    root = str(standard_library / "email")
    files = list_files(root, recursive=False)
    expected = sorted(
        (
            (-int(str(entry["complexity"])), file, entry["line"], entry["name"])
            for file in files
            for entry in complexity(Path(root, file).read_text("utf-8"))
        ),
        key=str,
    )
    expected.sort(key=lambda item: (*item[:2], int(str(item[2]))))
    found = hotspots(root, files, limit=5)
    assert [entry["complexity"] for entry in found] == [-item[0] for item in expected[:5]]
    assert found[0]["place"] == f"{expected[0][1]}:{expected[0][2]}"


def test_clones_between_files(tmp_path: Path) -> None:
    block = "".join(f"value_{number} = compute({number})\n" for number in range(12))
    (tmp_path / "a.py").write_text("import a\n" + block, encoding="utf-8")
    (tmp_path / "b.py").write_text("import b\nimport c\n\n" + block, encoding="utf-8")
    assert clones(str(tmp_path), ["a.py", "b.py"]) == [
        {"first": "a.py:2", "second": "b.py:4", "lines": 12}
    ]
    assert clones(str(tmp_path), ["a.py"]) == []


def test_rings() -> None:
    edges = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a", "e"], "e": ["d"], "f": ["a", "d"]}
    assert rings(edges) == [["a", "b", "c"], ["d", "e"]]
    assert rings({"a": [], "b": ["a"]}) == []
    long = {str(number): [str((number + 1) % 5000)] for number in range(5000)}
    assert len(rings(long)[0]) == 5000
