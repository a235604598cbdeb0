"""What `symphony run` says of a run that failed: what its nodes had come to, why it failed, and what to do."""

from __future__ import annotations

ECHO = """
@extension.operation
def echo(value):
    return value

@extension.operation
def fail(value):
    raise ValueError(f"no {value}")
"""
HALF = """
    [melody]
    name = "half"
    [[node]]
    id = "hi"
    call = "echo.echo"
    with = { value = "here" }
    [[node]]
    id = "left"
    call = "echo.fail"
    with = { value = "${hi}" }
    on_error = "skip"
    [[node]]
    id = "y"
    call = "echo.fail"
    with = { value = ["${hi}", "${left}"] }
    [[node]]
    id = "z"
    call = "echo.echo"
    with = { value = "${y}" }
"""
REFUSED = """
    [melody]
    name = "refused"
    inputs = ["id"]
    [[node]]
    id = "get"
    call = "artifact-store.get"
    with = { id = "${inputs.id}" }
"""


def test_the_values_of_nodes_that_were_done_are_there_though_the_run_failed(workshop, cli):
    workshop.extension("echo", ECHO)
    workshop.melody(HALF)
    ended = cli("run", "--melody", "melody.toml")
    assert ended.code == 1, ended
    lines = ended.out.splitlines()
    assert '  hi = "here"' in lines
    assert [line for line in lines if line.startswith("  ") and "null" in line] == []
    ended = cli("run", "--melody", "melody.toml", "--json")
    (result,) = ended.document["results"]
    assert (result["state"], result["values"]) == ("failed", {"hi": "here", "left": None})
    assert [node["state"] for node in result["nodes"]] == ["done", "skipped", "failed", "unused"]


def test_a_failure_is_told_with_its_causes_its_hints_and_its_code(workshop, cli):
    workshop.melody(REFUSED)
    arguments = ("run", "--melody", "melody.toml", "--input", "id=" + "0" * 64)
    (result,) = cli(*arguments, "--json").document["results"]
    error = result["nodes"][0]["error"]
    *_, cause = error["causes"]
    ended = cli(*arguments)
    assert ended.code == 1, ended
    lines = ended.err.splitlines()
    assert lines[0].startswith("error: `run 1` failed: ")
    assert lines.count(f"  Caused by: {cause}") == 1
    assert lines[-1] == f"  = {error['code']}: docs/errors.md#{error['code']}"
    # What has come to nothing says why among the results, too.
    assert f"      Caused by: {cause}" in ended.out.splitlines()
    refused = error["message"].splitlines()[0]
    assert not any(f"Caused by: {refused}" in line for line in lines), ended


def test_of_many_failures_the_first_are_told_and_each_code_once(workshop, cli):
    workshop.extension("echo", ECHO)
    workshop.melody(
        '[melody]\nname = "one"\n[[node]]\nid = "a"\ncall = "echo.fail"\nwith = { value = 1 }\n'
    )
    ended = cli("run", "--melody", "melody.toml", "--runs", "8")
    assert ended.code == 1, ended
    lines = ended.err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 6
    assert errors[-1] == "error: and 3 more"
    assert lines.count("  = remote-error: docs/errors.md#remote-error") == 1
    assert ended.err.count("Traceback") == 1
