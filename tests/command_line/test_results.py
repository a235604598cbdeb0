"""What `symphony run` says of each run and of its nodes."""

from __future__ import annotations

ECHO = """
@extension.operation
def echo(value):
    return value

@extension.operation
def fail_on(value, bad):
    if value.endswith(bad):
        raise ValueError(f"no {value}")
    return value
"""
PARTS = """
    [melody]
    name = "parts"
    [[node]]
    id = "raw"
    call = "echo.raw"
    [[node]]
    id = "odd"
    call = "echo.odd"
    [[node]]
    id = "left"
    call = "echo.fail_on"
    with = { value = "x", bad = "x" }
    on_error = "skip"
    [[node]]
    id = "other"
    call = "echo.fail_on"
    with = { value = "y", bad = "y" }
    on_error = { fallback = "spare" }
    [[node]]
    id = "spare"
    call = "echo.echo"
    with = { value = "instead" }
"""
RAW = """
@extension.operation
def raw():
    return b"\\x00\\xff"

@extension.operation
def odd():
    return [float("nan"), float("inf"), "x" * 1000]
"""


def test_results_say_what_each_node_came_to(workshop, cli):
    workshop.extension("echo", ECHO + RAW)
    workshop.melody(PARTS)
    ended = cli("run", ".", "--melody", "melody.toml")
    assert ended.code == 0, ended
    lines = ended.out.splitlines()
    assert '  raw = {"base64": "AP8="}' in lines
    assert "  left: skipped" in lines
    assert '  other = "instead"' in lines
    assert "    failed: `echo.fail_on` failed: no y" in lines
    assert any(
        line.startswith("  odd = [") and "characters; `--json` has them all" in line
        for line in lines
    )
    (result,) = cli("run", "--melody", "melody.toml", "--json").document["results"]
    assert result["values"]["odd"] == ["nan", "inf", "x" * 1000]
    states = {node["id"]: node["state"] for node in result["nodes"]}
    assert states == {
        "raw": "done",
        "odd": "done",
        "left": "skipped",
        "other": "done",
        "spare": "done",
    }


def test_many_runs_are_counted_for_people_and_whole_for_programs(workshop, cli):
    workshop.extension("echo", ECHO)
    workshop.melody(
        '[melody]\nname = "one"\n[[node]]\nid = "a"\ncall = "echo.echo"\nwith = { value = 1 }\n'
    )
    ended = cli("run", "--melody", "melody.toml", "--runs", 23)
    assert ended.code == 0, ended
    assert ended.out.count("  a = 1\n") == 20
    assert "and 3 more; `--json` has them all\n" in ended.out
    assert (
        len(cli("run", "--melody", "melody.toml", "--runs", 23, "--json").document["results"]) == 23
    )
