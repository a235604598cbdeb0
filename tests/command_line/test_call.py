"""`symphony call`: one call, its result or its error, and nothing left."""

from __future__ import annotations

import pytest

TOOLS = """
@extension.operation
def kinds(**given):
    return {name: type(value).__name__ for name, value in sorted(given.items())}

@extension.operation
def echo(value):
    return value

@extension.operation
def fail(value):
    raise KeyError(value)

@extension.operation
def ends():
    import os, sys
    print("my last line", file=sys.stderr, flush=True)
    os._exit(3)
"""


@pytest.fixture
def tools(workshop):
    workshop.extension("tools", TOOLS)
    return workshop


def test_a_value_is_a_string_or_json(tools, cli):
    ended = cli("call", "tools.kinds", "a=1", "b:=1", "c:=[1]", "d=", "e=x=y", "--json")
    assert ended.code == 0, ended
    document = ended.document
    assert set(document) == {"ok", "result", "seconds", "error"}
    assert document["result"] == {"a": "str", "b": "int", "c": "list", "d": "str", "e": "str"}
    assert document["seconds"] > 0


@pytest.mark.parametrize("config", [(), (".",), ("Symphony.toml",)])
def test_a_text_is_printed_as_it_is(tools, cli, config):
    ended = cli("call", "tools.echo", "value=two words", *config)
    assert (ended.code, ended.out, ended.err) == (0, "two words\n", "")


def test_what_it_raises_is_told_with_its_traceback(tools, cli, form):
    ended = cli("call", "tools.fail", "value=x")
    assert (ended.code, ended.out) == (1, "")
    form(ended.err)
    assert "in fail" in ended.err
    document = cli("call", "tools.fail", "value=x", "--json").document
    assert (document["ok"], document["error"]["code"]) == (False, "remote-error")
    assert "in fail" in document["error"]["traceback"]


def test_the_last_lines_of_one_that_ends_are_told(tools, cli, form):
    ended = cli("call", "tools.ends")
    assert ended.code == 1
    form(ended.err)
    assert "my last line" in ended.err
    assert cli("call", "tools.ends", "--json").document["error"]["stderr"] == ["my last line"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["tools"], "is not of the form EXTENSION.OPERATION"),
        (["tools.echo", "value:={"], "is not JSON"),
        (["tools.echo", "value=1", "value=2"], "is given twice"),
        (["tools.echo", "a", "b"], "is not of the form NAME=VALUE"),
        (["tools.echo", "=1"], "is not of the form NAME=VALUE"),
    ],
)
def test_a_wrong_call_is_2_and_still_one_document(tools, cli, arguments, text):
    ended = cli("call", *arguments, "--json")
    assert ended.code == 2, ended
    assert text in ended.err
    assert ended.document["ok"] is False
    assert text in ended.document["error"]["message"]


@pytest.mark.parametrize("operation", ["tools.absent", "absent.echo"])
def test_what_is_not_there_is_named(tools, cli, form, operation):
    ended = cli("call", operation)
    assert ended.code == 1
    form(ended.err)
    assert "absent" in ended.err


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1e999", "beyond the range"),
        ("[-1e400]", "beyond the range"),
        ("NaN", "no number"),
        ('{"a": [-Infinity]}', "no number"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "`c` is given twice"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_value_that_would_arrive_as_another_is_refused_by_name(tools, cli, form, value, said):
    ended = cli("call", "tools.echo", "value:=" + value)
    assert ended.code == 2, ended
    form(ended.err)
    assert "`value`" in ended.err
    assert said in ended.err
