"""`symphony graph`: what a boot would start and what stands by, the same in each format and in the boot's report."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from symphony._pictures.graph_svg import draw

SVG = "{http://www.w3.org/2000/svg}"
ECHO = """
@extension.operation
def echo(value):
    return value
"""
PARTS = """
from typing import Optional, Sequence
from symphony import ArtifactStore, Late, OrchestraKit, component

class Nobody: ...

@component
class Index:
    def __init__(self, store: ArtifactStore): ...

@component
class Planner:
    def __init__(self, index: Index, painter: "Late[Painter]", nobody: Optional[Nobody] = None): ...

@component(required=False)
class Painter:
    def __init__(self, planner: Planner, every: Sequence[Index]): ...

@component(phase="orchestra_kit")
class Early:
    def __init__(self, kit: OrchestraKit): ...
"""
BRAIN = """
from symphony import Conductor, OrchestraKit
from parts import Planner

def make(kit: OrchestraKit, planner: Planner) -> Conductor:
    return Conductor(kit)
"""
MELODY = """
[melody]
name = "review"
inputs = ["x"]
[[node]]
id = "read"
call = "eager-one.echo"
with = { value = "${inputs.x}" }
[[node]]
id = "judge"
call = "lazy-one.echo"
with = { value = ["${read}", "$${read}"] }
on_error = "fallback"
fallback = "spare"
[[node]]
id = "spare"
call = "eager-two.echo"
with = { value = "1" }
"""


@pytest.fixture
def system(workshop):
    """A system with everything in it that a graph shows."""
    workshop.system('components = ["parts"]\nconductor = "brain:make"\n')
    workshop.extension("eager-one", ECHO, 'activation = "eager"\n')
    workshop.extension(
        "eager-two",
        ECHO,
        'activation = "eager"\nrequires = ["eager-one", "lazy-one", "artifact-store"]\n',
    )
    workshop.extension("lazy-one", ECHO, 'requires = ["eager-one", "stale-manager"]\n')
    (workshop.folder / "parts.py").write_text(PARTS)
    (workshop.folder / "brain.py").write_text(BRAIN)
    workshop.melody(MELODY)
    return workshop


def graph_of(cli, *arguments):
    ended = cli("graph", *arguments, "--format", "json")
    assert (ended.code, ended.err) == (0, ""), ended
    return ended.document


def edges_of(document, *, without=()):
    return sorted(
        (entry["name"], need["name"], need["kind"])
        for entry in document["components"]
        for need in entry["needs"]
        if need["kind"] not in without
    )


def test_it_is_what_the_boot_plans(system, cli):
    document = graph_of(cli)
    ended = cli("run", "--json")
    assert ended.code == 0, ended
    report = ended.document["components"]
    # What runs beside the engine is no component.
    outside = {"manifests", "supervisor process", "import brain", "conductor import"}
    booted = {
        entry["name"]: (entry["phase"], set(entry["requires"]) - outside)
        for entry in report
        if entry["name"] not in outside and not entry["name"].startswith("import ")
    }
    planned = {
        entry["name"]: (
            entry["phase"],
            {need["name"] for need in entry["needs"] if need["kind"] not in ("late", "requires")},
        )
        for entry in document["components"]
        if entry["activation"] != "lazy"
    }
    assert planned == booted


def test_it_has_lazy_extensions_requires_melodies_and_the_conductor(system, cli):
    document = graph_of(cli)
    entries = {entry["name"]: entry for entry in document["components"]}
    assert document["system"] == "test"
    assert entries["lazy-one"]["activation"] == "lazy"
    assert entries["eager-one"]["activation"] == "eager"
    assert (entries["make"]["kind"], entries["Planner"]["kind"]) == ("conductor", "component")
    assert entries["artifact-store"]["kind"] == "member"
    assert not entries["Painter"]["required"]
    assert entries["Planner"]["file"] == str(system.folder / "parts.py")
    edges = edges_of(document)
    for edge in (
        ("lazy-one", "eager-one", "requires"),
        ("lazy-one", "stale-manager", "requires"),
        ("eager-two", "eager-one", "one"),
        ("eager-two", "lazy-one", "requires"),
        ("Planner", "Painter", "late"),
        ("Painter", "Index", "every"),
        ("make", "Planner", "one"),
    ):
        assert edge in edges
    (melody,) = document["melodies"]
    assert (melody["name"], melody["inputs"]) == ("review", ["x"])
    nodes = {
        node["id"]: (node["call"], node["needs"], node["fallback"]) for node in melody["nodes"]
    }
    assert nodes == {
        "read": ("eager-one.echo", [], None),
        "judge": ("lazy-one.echo", ["read"], "spare"),
        "spare": ("eager-two.echo", [], None),
    }


def read_mermaid(text):
    """Names and edges, of components and of Melodies, as Mermaid's own rules read them."""
    assert text.startswith("flowchart ")
    names = dict(re.findall(r'^    (\w+)\["(.*)"\]', text, re.MULTILINE))
    arrows = re.findall(r"^  (\w+) (?:-->|-- (\w+) -->|-\. (\w+) \.->) (\w+)$", text, re.MULTILINE)
    return names, sorted((names[a], names[b], one or other or "one") for a, one, other, b in arrows)


def read_dot(text):
    assert text.startswith("digraph symphony {")
    names = dict(re.findall(r'^    (\w+) \[label = "((?:\\.|[^"\\])*)"', text, re.MULTILINE))
    arrows = re.findall(r"^  (\w+) -> (\w+)(.*);$", text, re.MULTILINE)
    kinds = [(a, b, re.search(r'label = "(\w+)"', style)) for a, b, style in arrows]
    return names, sorted((names[a], names[b], kind[1] if kind else "one") for a, b, kind in kinds)


def read_text(text):
    names, edges, phase = [], [], ""
    for line in text.splitlines():
        if not line.startswith(" "):
            phase = line
        elif phase != "melodies":
            name = line.split()[0]
            names.append(name)
            for need in (line.partition(" needs ")[2] or "").split(", "):
                if need:
                    word, _, kind = need.partition(" (")
                    edges.append((name, word, kind.rstrip(")") or "one"))
    return names, sorted(edges)


def test_all_formats_say_the_same(system, cli):
    document = graph_of(cli)
    names = [entry["name"] for entry in document["components"]]
    nodes = [node["id"] for melody in document["melodies"] for node in melody["nodes"]]
    edges = edges_of(document)
    assert read_text(cli("graph").out) == (names, edges)
    for form, read, line in (("mermaid", read_mermaid, "<br>"), ("dot", read_dot, "\\n")):
        found, arrows = read(cli("graph", "--format", form).out)
        words = [word.partition(line)[0] for word in found.values()]
        assert sorted(words) == sorted(names + nodes), form
        assert [arrow for arrow in arrows if line not in arrow[0]] == edges, form
        inside = [(a.partition(line)[0], b.partition(line)[0], kind) for a, b, kind in arrows
                  if line in a]  # fmt: skip
        assert inside == [("judge", "read", "one"), ("judge", "spare", "fallback")]
    picture = ET.fromstring(cli("graph", "--format", "svg").out)
    titles = [title.text for title in picture.iter(f"{SVG}title")]
    assert set(names) <= set(titles)
    assert len(titles) == len(names) + len(nodes)
    paths = list(picture.iter(f"{SVG}path"))
    assert len(paths) == len(edges) + 2
    tips = {marker.get("id") for marker in picture.iter(f"{SVG}marker")}
    for path in paths:
        assert re.fullmatch(r"url\(#(.+)\)", path.get("marker-end"))[1] in tips


def test_what_the_arguments_name_is_in_it(system, cli):
    system.system("")
    assert "Planner" not in cli("graph").out
    text = cli("graph", "--components", "parts", "--conductor", "brain:make").out
    assert "Planner" in text
    assert "make" in text
    assert "Conductor" not in text
    # A folder is a CONFIG too.
    assert cli("graph", ".").out == cli("graph").out


def test_a_ring_is_drawn_and_told_with_exit_code_1(workshop, cli, form):
    workshop.system('components = ["parts"]\n')
    (workshop.folder / "parts.py").write_text(
        "from symphony import component\n"
        '@component\nclass A:\n    def __init__(self, b: "B"): ...\n'
        "@component\nclass B:\n    def __init__(self, a: A): ...\n"
        "@component\nclass Beside: ...\n"
    )
    ended = cli("graph")
    assert ended.code == 1
    form(ended.err)
    assert ended.err.startswith("error: dependency cycle: `A` -> `B` -> `A`\n  parts.py:4")
    assert {("A", "B", "one"), ("B", "A", "one")} <= set(read_text(ended.out)[1])
    ended = cli("graph", "--format", "json")
    assert ended.code == 1
    assert [fault["code"] for fault in ended.document["diagnostics"]] == ["dependency-cycle"]
    marked = {entry["name"] for entry in ended.document["components"] if entry["in_cycle"]}
    assert marked == {"A", "B"}
    picture = ET.fromstring(cli("graph", "--format", "svg").out)
    rings = [path for path in picture.iter(f"{SVG}path") if "ring" in path.get("class")]
    assert len(rings) == 2
    assert cli("graph", "--format", "mermaid").out.count(":::cycle") == 2
    assert cli("graph", "--format", "dot").out.count("color = red") == 2


def test_a_manifest_at_fault_is_one_document_too(workshop, cli, form):
    workshop.system("memmbers = []\n")
    for arguments in (("--format", "json"), ("--json",)):
        ended = cli("graph", *arguments)
        assert ended.code == 1
        form(ended.err)
        assert ended.document["components"] == []
        assert "members" in ended.document["diagnostics"][0]["hint"]


def test_a_melody_at_fault_is_told_and_the_rest_is_drawn(system, cli):
    system.melody(MELODY.replace('"${inputs.x}"', '"${judge}"'))
    ended = cli("graph")
    assert ended.code == 1
    assert "melody.toml" in ended.err
    assert "lazy-one" in ended.out


HOSTILE = [
    "</title></svg><script>alert(1)</script>",
    'a"]b\\"; x -> y',
    "<b>&amp;",
    "line\nbreak\r\ttab",
    "nul\0esc\x1b[31m",
    "\ud800 lone",
    "right\u202eto left",
    "長い名前" * 20,
    "",
]


def hostile_document():
    components = [
        {
            "name": name,
            "phase": "conductor",
            "wave": 0,
            "required": True,
            "activation": None,
            "needs": [{"name": other, "kind": "one"} for other in HOSTILE[:at]],
        }
        for at, name in enumerate(HOSTILE)
    ]
    nodes = [
        {"id": name, "call": name, "needs": [], "on_error": name, "fallback": None}
        for name in HOSTILE
    ]
    melody = {"name": HOSTILE[0], "file": HOSTILE[1], "nodes": nodes}
    return {"phases": ["pit", "conductor"], "components": components, "melodies": [melody]}


def test_no_name_breaks_out_of_a_picture():
    from symphony._cli._graph.formats import FORMS

    text = draw(hostile_document())
    text.encode()
    picture = ET.fromstring(text)
    allowed = {"svg", "style", "defs", "marker", "polygon", "g", "title", "rect", "text", "path"}
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= allowed
    assert len(list(picture.iter(f"{SVG}title"))) == 2 * len(HOSTILE)
    _, arrows = read_dot(FORMS["dot"](hostile_document()))
    assert len(arrows) == 36
    names, arrows = read_mermaid(FORMS["mermaid"](hostile_document()))
    assert (len(names), len(arrows)) == (2 * len(HOSTILE), 36)
    assert not any(set('"<>\n\x1b') & set(name.replace("<br>", "")) for name in names.values())
    told = FORMS["text"](hostile_document())
    assert told.replace("\n", "").isprintable()
    assert len(told.splitlines()) == 3 + 2 * len(HOSTILE)


def numbers_of(element, *names):
    return [float(element.get(name)) for name in names]


def pieces_of(path):
    """The points of a path, between which it is straight or bent."""
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d", path)]
    return list(zip(numbers[::2], numbers[1::2]))


@pytest.mark.parametrize("count", [1, 12, 50, 120])
def test_no_box_covers_another_and_no_edge_runs_behind_one(count):
    import random

    choice = random.Random(count)
    phases = ["foundation", "pit", "orchestra_kit", "conductor"]
    components = []
    for at in range(count):
        phase = phases[at * len(phases) // count]
        before = [entry["name"] for entry in components]
        needs = choice.sample(before, min(len(before), choice.randrange(4)))
        kinds = [{"name": name, "kind": choice.choice(("one", "requires"))} for name in needs]
        components.append({"name": f"component-{at}", "phase": phase, "needs": kinds})
    document = {"phases": phases, "components": components, "melodies": []}
    text = draw(document)
    assert draw(document) == text
    picture = ET.fromstring(text)
    boxes = [
        numbers_of(rect, "x", "y", "width", "height")
        for rect in picture.iter(f"{SVG}rect")
        if "box" in rect.get("class")
    ]
    assert len(boxes) == count
    for at, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[:at]:
            apart = x >= left + wide or left >= x + width or y >= top + high or top >= y + height
            assert apart
    for path in picture.iter(f"{SVG}path"):
        points = pieces_of(path.get("d"))
        for (x, y), (next_x, next_y) in zip(points, points[1:]):
            for left, top, wide, high in boxes:
                between = max(min(y, next_y), top) < min(max(y, next_y), top + high) - 0.2
                beside = max(x, next_x) <= left or min(x, next_x) >= left + wide
                assert beside or not between, (path.get("d"), left, top)
    assert count > 50 or float(picture.get("width")) < 1700


def test_the_graph_of_fifty_extensions_is_read_at_once(workshop, cli):
    for number in range(50):
        workshop.extension(f"extension-{number:02}", ECHO)
    document = graph_of(cli)
    lazy = [entry["name"] for entry in document["components"] if entry["activation"] == "lazy"]
    assert lazy == [f"extension-{number:02}" for number in range(50)]
    assert json.dumps(document)
