"""The graph as text, as a Mermaid flowchart, and for Graphviz.

Used by `_graph.command`. An edge goes from who needs to what is needed; late ones and those that order nothing at
the boot are dashed. The invariant kept here: no name breaks out of its quotes or its line.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Document = dict[str, Any]


def _text(document: Document) -> str:
    lines: list[str] = []
    entries: list[Document] = document["components"]
    width = max((len(printable(entry["name"])) for entry in entries), default=0)
    for phase, inside in _by_phase(document):
        lines.append(phase)
        for entry in inside:
            marks = [f"({entry['activation']})"] if entry["activation"] == "lazy" else []
            if not entry["required"]:
                marks.append("(optional)")
            if entry["needs"]:
                marks.append("needs " + ", ".join(_need_text(need) for need in entry["needs"]))
            name = printable(entry["name"])
            lines.append(f"  {name:{width}}  {' '.join(marks)}" if marks else f"  {name}")
    if document["melodies"]:
        lines.append("melodies")
    for melody in document["melodies"]:
        lines.append(f"  {printable(melody['name'])}  {_place(melody['file'])}")
        ids = [printable(node["id"]) for node in melody["nodes"]]
        calls = [printable(node["call"]) for node in melody["nodes"]]
        wide, far = max(map(len, ids), default=0), max(map(len, calls), default=0)
        for node, name, call in zip(melody["nodes"], ids, calls):
            rest = [f"after {', '.join(map(printable, node['needs']))}"] if node["needs"] else []
            if node["fallback"] is not None:
                rest.append(f"fallback {printable(node['fallback'])}")
            elif node["on_error"] != "fail":
                rest.append(f"on error {printable(node['on_error'])}")
            lines.append(f"    {name:{wide}}  {call:{far}}  {'; '.join(rest)}".rstrip())
    return "\n".join(lines) + "\n"


def _mermaid(document: Document) -> str:
    lines = ["flowchart BT"]
    number = _numbers(document)
    for phase, inside in _by_phase(document):
        lines.append(f"  subgraph {phase}")
        for entry in inside:
            style = _mermaid_class(entry)
            lines.append(f'    {number[entry["name"]]}["{_mermaid_word(entry["name"])}"]{style}')
        lines.append("  end")
    for entry in document["components"]:
        for need in entry["needs"]:
            arrow = {"one": "-->", "late": "-. late .->"}.get(
                need["kind"], f"-- {need['kind']} -->"
            )
            lines.append(f"  {number[entry['name']]} {arrow} {number[need['name']]}")
    for place, melody in enumerate(document["melodies"]):
        nodes = {node["id"]: f"m{place}n{at}" for at, node in enumerate(melody["nodes"])}
        lines.append(f'  subgraph m{place}["Melody {_mermaid_word(melody["name"])}"]')
        for node in melody["nodes"]:
            label = f"{_mermaid_word(node['id'])}<br>{_mermaid_word(node['call'])}"
            lines.append(f'    {nodes[node["id"]]}["{label}"]')
        lines.append("  end")
        for node in melody["nodes"]:
            lines += [f"  {nodes[node['id']]} --> {nodes[need]}" for need in node["needs"]]
            if node["fallback"] in nodes:
                lines.append(f"  {nodes[node['id']]} -. fallback .-> {nodes[node['fallback']]}")
    lines.append("  classDef lazy stroke-dasharray: 4 3")
    lines.append("  classDef cycle stroke: #b3261e, stroke-width: 2px")
    return "\n".join(lines) + "\n"


def _mermaid_class(entry: Document) -> str:
    if entry.get("in_cycle"):
        return ":::cycle"
    return ":::lazy" if entry["activation"] == "lazy" else ""


def _dot(document: Document) -> str:
    lines = ["digraph symphony {", "  rankdir = BT;", "  node [shape = box];"]
    number = _numbers(document)
    for phase, inside in _by_phase(document):
        lines += [f"  subgraph cluster_{phase} {{", f"    label = {_quoted(phase)};"]
        for entry in inside:
            style = ", style = dashed" if entry["activation"] == "lazy" else ""
            style += ", color = red" if entry.get("in_cycle") else ""
            lines.append(f"    {number[entry['name']]} [label = {_quoted(entry['name'])}{style}];")
        lines.append("  }")
    for entry in document["components"]:
        for need in entry["needs"]:
            kind = need["kind"]
            style = {
                "one": "",
                "late": ' [style = dashed, constraint = false, label = "late"]',
                "requires": ' [style = dashed, label = "requires"]',
            }.get(kind, f' [label = "{kind}"]')
            lines.append(f"  {number[entry['name']]} -> {number[need['name']]}{style};")
    for place, melody in enumerate(document["melodies"]):
        nodes = {node["id"]: f"m{place}n{at}" for at, node in enumerate(melody["nodes"])}
        label = _quoted(f"Melody {melody['name']}")
        lines += [f"  subgraph cluster_m{place} {{", f"    label = {label};"]
        for node in melody["nodes"]:
            text = f"{node['id']}\n{node['call']}"
            lines.append(f"    {nodes[node['id']]} [label = {_quoted(text)}];")
        lines.append("  }")
        for node in melody["nodes"]:
            lines += [f"  {nodes[node['id']]} -> {nodes[need]};" for need in node["needs"]]
            if node["fallback"] in nodes:
                style = '[style = dashed, label = "fallback"]'
                lines.append(f"  {nodes[node['id']]} -> {nodes[node['fallback']]} {style};")
    lines.append("}")
    return "\n".join(lines) + "\n"


FORMS: dict[str, Callable[[Document], str]] = {"text": _text, "mermaid": _mermaid, "dot": _dot}
"""What draws a document in a format; every text ends with a line break."""


def _by_phase(document: Document) -> list[tuple[str, list[Document]]]:
    """The phases that hold something, in order."""
    found = [
        (phase, [entry for entry in document["components"] if entry["phase"] == phase])
        for phase in document["phases"]
    ]
    return [(phase, inside) for phase, inside in found if inside]


def _numbers(document: Document) -> dict[str, str]:
    """What stands for each component, whatever its name holds."""
    return {entry["name"]: f"n{place}" for place, entry in enumerate(document["components"])}


def _need_text(need: Document) -> str:
    name = printable(need["name"])
    return name if need["kind"] == "one" else f"{name} ({need['kind']})"


def _place(file: str) -> str:
    near = os.path.relpath(file)
    return printable(file if near.startswith(os.pardir) else near)


def printable(word: str) -> str:
    """A word on one line of a terminal: what is no visible character is written in escapes."""
    if word.isprintable():
        return word
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode()
        for each in word
    )


def _mermaid_word(word: str) -> str:
    """A word in the quotes of Mermaid, which knows entities by `#name;`."""
    entities = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "#": "#35;", "`": "#96;"}
    return "".join(entities.get(each, each) for each in printable(word))


def _quoted(word: str) -> str:
    """A word in the quotes of Graphviz; a line break stays one."""
    lines = [printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in word.split("\n")]
    return '"' + "\\n".join(lines) + '"'
