"""Values on their way through a Melody: results, parts, inputs, text."""

from __future__ import annotations

import json

import pytest
from symphony import Melody, MelodyError, SymphonyError

VALUES = {
    "none": None,
    "true": True,
    "whole": -(2**63),
    "big": 2**63 - 1,
    "float": 1.5,
    "text": "grüße ☃",
    "bytes": b"\x00\xff",
    "list": [1, [2, "x", None]],
    "table": {"a": {"b": [1]}, "": 0},
}


def test_a_path_is_submitted_and_every_node_has_its_value(lab, system):
    path = lab.workshop.melody(
        """
        [melody]
        name = "sum"
        inputs = ["start"]
        [[node]]
        id = "one"
        call = "lab.add"
        with = { left = "${inputs.start}" }
        [[node]]
        id = "two"
        call = "other.add"
        with = { left = "${one}", right = 10 }
        """
    )
    run = system.submit(path, {"start": 5})
    assert run.result(30) == {"one": 6, "two": 16}
    assert run.state == "done"
    assert system.submit(str(path), {"start": 0}).result(30) == {"one": 1, "two": 11}


def test_a_path_that_is_edited_runs_what_it_says_now(lab, system, node):
    text = '[melody]\nname = "m"\n' + node("a", "lab.echo", "{ value = 1 }")
    path = lab.workshop.melody(text)
    assert system.submit(path).result(30) == {"a": 1}
    lab.workshop.melody(text.replace("value = 1", "value = 22"))
    assert system.submit(path).result(30) == {"a": 22}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_reference_keeps_the_type(system, melody, node, value):
    score = melody(
        node("a", "lab.echo", '{ value = "${inputs.x}" }'),
        node("b", "lab.kind", '{ value = "${a}" }'),
        inputs=["x"],
    )
    result = system.submit(score, {"x": value}).result(30)
    assert result == {"a": value, "b": type(value).__name__}
    assert type(result["a"]) is type(value)


def test_parts_of_results_and_of_inputs(system, melody, node):
    score = melody(
        node("who", "lab.person", '{ name = "Ada" }'),
        node("a", "lab.echo", '{ value = "${who.inner.deep}" }'),
        node("b", "lab.echo", '{ value = "${inputs.x.y}" }'),
        node("c", "lab.echo", '{ value = { n = "${who.age}", l = ["${who.name}", 1, true] } }'),
        inputs=["x"],
    )
    result = system.submit(score, {"x": {"y": {"z": 1}}}).result(30)
    assert result["a"] == [1.5, None, b"x"]
    assert result["b"] == {"z": 1}
    assert result["c"] == {"n": 41, "l": ["Ada", 1, True]}


def test_references_inside_text_are_put_in_as_text(system, melody, node):
    score = melody(
        node("who", "lab.person", '{ name = "Ada" }'),
        node("a", "lab.echo", '{ value = "${who.name} is ${who.age}, ${inputs.x}; $${who}" }'),
        node("b", "lab.echo", '{ value = "<${inputs.none}>" }'),
        inputs=["x", "none"],
    )
    result = system.submit(score, {"x": 1.5, "none": None}).result(30)
    assert result["a"] == "Ada is 41, 1.5; ${who}"
    assert result["b"] == "<>"


def test_a_list_inside_text_and_a_part_that_is_not_there_fail_the_node(system, melody, node):
    for with_, said in (
        ('{ value = "see ${who.tags}" }', "is not a text and stands inside one"),
        ('{ value = "${who.nme}" }', "has no `nme`"),
        ('{ value = "${who.name.first}" }', "the value is not a table"),
    ):
        score = melody(node("who", "lab.person", '{ name = "A" }'), node("a", "lab.echo", with_))
        with pytest.raises(SymphonyError, match="node `a`") as caught:
            system.submit(score).result(30)
        assert said in str(caught.value)


def test_plain_values_of_the_manifest_arrive_as_they_are(system, melody, node):
    score = melody(node("a", "lab.echo", '{ value = [1, 2.5, true, "x", { k = [] }] }'))
    assert system.submit(score).result(30) == {"a": [1, 2.5, True, "x", {"k": []}]}


def test_a_melody_in_json_is_the_same(lab, system):
    document = {
        "melody": {"name": "m", "inputs": ["x"]},
        "node": [
            {"id": "a", "call": "lab.add", "with": {"left": "${inputs.x}", "right": 2}},
            {"id": "b", "call": "lab.echo", "with": {"value": {"of": ["${a}", None]}}},
        ],
    }
    expected = {"a": 5, "b": {"of": [5, None]}}
    path = lab.workshop.melody(json.dumps(document), "melody.json")
    assert system.submit(path, {"x": 3}).result(30) == expected
    score = Melody.from_text(json.dumps(document), "memory.json")
    assert (score.name, score.inputs, score.nodes) == ("m", ["x"], ["a", "b"])
    assert system.submit(score, {"x": 3}).result(30) == expected


def test_branches_without_an_edge_overlap(system, melody, node):
    score = melody(
        node("a", "lab.span", "{ seconds = 0.3 }"),
        node("b", "other.span", "{ seconds = 0.3 }"),
        node("c", "lab.echo", '{ value = ["${a}", "${b}"] }'),
    )
    system.kit.extension("lab").call("echo", value=0)
    system.kit.extension("other").call("echo", value=0)
    result = system.submit(score).result(30)
    (a_begun, a_ended), (b_begun, b_ended) = result["c"]
    assert max(a_begun, b_begun) < min(a_ended, b_ended)


@pytest.mark.parametrize(
    ("inputs", "said", "hints"),
    [
        ({}, "lacks the input `value`", ()),
        ({"value": 1, "valu": 2}, "has no input `valu`", ("did you mean `value`?",)),
    ],
)
def test_inputs_are_checked_at_submission(system, melody, node, inputs, said, hints):
    score = melody(node("a", "lab.echo", '{ value = "${inputs.value}" }'), inputs=["value"])
    with pytest.raises(MelodyError, match="`m`") as caught:
        system.submit(score, inputs)
    assert said in str(caught.value)
    assert caught.value.hints == hints


def test_an_input_that_cannot_cross_is_a_type_error(system, melody, node):
    score = melody(node("a", "lab.echo", '{ value = "${inputs.x}" }'), inputs=["x"])
    with pytest.raises(TypeError, match="object"):
        system.submit(score, {"x": object()})


def test_a_melody_object_at_fault_is_refused_each_time_with_its_places(system, melody, node):
    score = melody(node("a", "lab.ecko"), node("b", "lab.echo"))
    for _ in range(2):
        with pytest.raises(MelodyError) as caught:
            system.submit(score)
        codes = [(fault.code, fault.line) for fault in caught.value.diagnostics]
        assert codes == [("unknown-operation", 6), ("melody-invalid", 11)]
        assert "did you mean `lab.echo`?" in caught.value.hints


def test_a_text_that_is_no_melody_names_its_place():
    with pytest.raises(MelodyError) as caught:
        Melody.from_text('[melody]\nname = "m"\n[[node]]\nid = "a"\n', "mine.toml")
    (fault,) = caught.value.diagnostics
    assert (fault.file, fault.line) == ("mine.toml", 3)
    assert "call" in fault.message
    with pytest.raises(MelodyError):
        Melody("/no/such/melody.toml")
