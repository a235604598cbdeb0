"""A language server is an extension by its manifest alone, whatever it does."""

from __future__ import annotations

import os
from typing import Protocol

import pytest
from kit_processes import alive, running
from symphony.exceptions import (
    CallTimeoutError,
    ExtensionCrashedError,
    ExtensionError,
    InvalidValueError,
    PlanError,
    RemoteError,
)
from workshop import wait_until, write

pytestmark = pytest.mark.timeout(120)

TEXT = "first 😀é\n😀 second bad1 first\n"
SETTINGS = "[extension.server.settings]\nwords = { case = true }\n[extension.server.initialization]\nseen = 1\n"


@pytest.fixture(scope="module")
def system(shared_servers):
    shared_servers.system("")
    write(shared_servers.folder / "a b.txt", TEXT)
    for units in ("utf-8", "utf-16", "utf-32"):
        shared_servers.server(units, "lsp", units, more=shared_servers.grants() + SETTINGS)
    shared_servers.server("pulls", "lsp", "pull", "banner")
    shared_servers.server("sloppy", "lsp", "sloppy")
    with running(shared_servers) as system:
        yield system


@pytest.fixture(params=["utf-8", "utf-16", "utf-32", "pulls"])
def words(request, system):
    return system.kit.extension(request.param)


def place(line: int, start: int, end: int):
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


def test_places_are_code_points_whatever_the_server_counts(words, shared_servers):
    path = str(shared_servers.folder / "a b.txt")
    found = words.call("definition", path="a b.txt", line=1, character=16)
    assert found == [{"path": path, "range": place(0, 0, 5)}]
    found = words.call("references", path=path, line=0, character=2)
    assert [one["range"] for one in found] == [place(0, 0, 5), place(1, 14, 19)]
    assert words.call("hover", path="a b.txt", line=1, character=3) == {
        "contents": "the word second"
    }
    labels = [item["label"] for item in words.call("completion", path=path, line=0, character=0)]
    assert "second" in labels
    edits = words.call("rename", path=path, line=1, character=3, new_name="x")
    assert edits == {"changes": {path: [{"range": place(1, 2, 8), "newText": "x"}]}}


def test_diagnostics_are_of_the_text_that_was_handed_in(words):
    found = words.call("diagnostics", path="a b.txt")
    assert [(one["message"], one["range"]) for one in found] == [
        ("`bad1` is wrong", place(1, 9, 13))
    ]
    for number in range(20):
        text = f"😀 bad{number}" if number % 2 else "good"
        found = words.call("diagnostics", path="new.txt", text=text)
        assert [one["message"] for one in found] == [f"`bad{number}` is wrong"] * (number % 2)
    assert words.call("close", path="new.txt") is True
    with pytest.raises(InvalidValueError, match="cannot be read"):
        words.call("diagnostics", path="new.txt")


def test_a_changed_file_is_read_again(words, shared_servers):
    file = shared_servers.folder / f"changes-{words.name}.txt"
    file.write_text("bad1")
    assert len(words.call("diagnostics", path=file.name)) == 1
    file.write_text("bad1 bad2")
    assert len(words.call("diagnostics", path=file.name)) == 2


def test_pushed_diagnostics_are_a_topic(system):
    with system.bus.topic("utf-16.diagnostics").subscribe() as events:
        system.kit.extension("utf-16").call("diagnostics", path="topic.txt", text="😀 bad9")
        event = next(iter(events))
    assert event["path"].endswith("topic.txt")
    assert event["diagnostics"][0]["range"] == place(0, 2, 6)


def test_the_server_gets_what_it_asks_for(system):
    words = system.kit.extension("utf-8")

    def asks(method, **params):
        return words.call("request", method="test/ask", params={"method": method, "params": params})

    items = [{"section": "words"}, {"section": "words.case"}, {"section": "none"}]
    assert asks("workspace/configuration", items=items) == [{"case": True}, True, None]
    assert asks("client/registerCapability", registrations=[]) is None
    assert asks("window/workDoneProgress/create", token=1) is None
    assert asks("workspace/applyEdit", edit={})["applied"] is False
    assert asks("workspace/nobodyKnows")["code"] == -32601


def test_a_wrong_input_is_refused_by_its_name(system):
    words = system.kit.extension("utf-8")
    for given, told in [
        ({"path": "a b.txt", "line": 0}, "`character` is missing"),
        ({"path": "a b.txt", "line": -1, "character": 0}, "`line` must be"),
        ({"path": 3, "line": 0, "character": 0}, "`path` must be"),
        ({"path": "a b.txt", "line": 0, "character": 0, "more": 1}, "no input `more`"),
    ]:
        with pytest.raises(InvalidValueError, match=told):
            words.call("definition", **given)


def test_no_file_is_read_that_the_manifest_does_not_grant(system, shared_servers, tmp_path):
    words = system.kit.extension("utf-8").options(timeout=20)
    secret = write(tmp_path / "secret.txt", "secret")
    inside = shared_servers.folder / "link.txt"
    inside.symlink_to(secret)
    pipe = shared_servers.folder / "pipe.txt"
    os.mkfifo(pipe)
    for path, why in [
        (secret, "does not grant it"),
        (inside, "does not grant it"),
        (pipe, "no regular file"),
        ("/dev/zero", "does not grant it|no regular file"),
    ]:
        with pytest.raises(InvalidValueError, match=why):
            words.call("hover", path=str(path), line=0, character=0)
    assert "secret" not in str(words.call("request", method="test/documents"))
    # What an answer names is held to the same.
    for path in (pipe, secret):
        where = {"uri": path.as_uri(), "range": place(0, 3, 3)}
        words.call("request", method="test/point", params=where)
        found = words.call("definition", path="a b.txt", line=0, character=0)
        assert found == [{"path": str(path), "range": place(0, 3, 3)}]
    assert words.call("definition", path="a b.txt", line=0, character=0)


def test_findings_of_an_earlier_opening_are_not_of_the_next(system):
    words = system.kit.extension("utf-8")
    for number in range(5):
        words.call("diagnostics", path="again.txt", text=f"bad{number}")
    # More than are open at once.
    for number in range(130):
        words.call("diagnostics", path=f"other-{number}.txt", text="good")
    found = words.call("diagnostics", path="again.txt", text="bad99")
    assert [one["message"] for one in found] == ["`bad99` is wrong"]


def test_a_wrong_length_costs_its_answer_alone(system):
    words = system.kit.extension("sloppy")
    with pytest.raises(RemoteError, match="cannot be read"):
        words.options(timeout=20).call("hover", path="a b.txt", line=0, character=0)
    assert words.call("definition", path="a b.txt", line=0, character=0)


def test_a_deadline_reaches_the_server(system):
    words = system.kit.extension("utf-8")
    with pytest.raises(CallTimeoutError):
        words.options(timeout=0.2).call("request", method="test/silent")
    assert wait_until(lambda: "$/cancelRequest" in words.call("request", method="test/heard"))


@pytest.mark.parametrize(
    "header",
    ["Content-Le", "Content-Length: 1", "Content-Length: 1\r\n"],
    ids=["name", "value", "line"],
)
def test_half_a_header_costs_no_answer(system, header):
    words = system.kit.extension("utf-8").options(timeout=20)
    assert words.call("request", method="test/half", params={"header": header}) == "whole"


def test_an_answer_of_64_mib_costs_its_call_alone(system):
    words = system.kit.extension("utf-8").options(timeout=60)
    with pytest.raises(RemoteError, match="at most"):
        words.call("request", method="test/huge")
    assert words.call("request", method="test/twice") == "one"


def test_an_answer_counts_once_and_not_after_its_deadline(system):
    words = system.kit.extension("utf-8")
    assert words.call("request", method="test/twice") == "one"
    with pytest.raises(CallTimeoutError):
        words.options(timeout=0.3).call("request", method="test/late")
    assert words.call("request", method="test/twice") == "one"


@pytest.mark.parametrize("when", ["cut", "soon"])
def test_a_crash_in_an_answer_or_behind_it_leaves_the_next_call_its_server(servers, when):
    servers.server("words", "lsp")
    with running(servers) as system:
        words = system.kit.extension("words").options(timeout=30)
        words.call("diagnostics", path="unsaved.txt", text="one")
        guest = words.pid
        if when == "cut":
            with pytest.raises(ExtensionCrashedError):
                words.call("request", method="test/cut")
        else:
            assert words.call("request", method="test/soon")
            assert wait_until(lambda: words.pid != guest)
        assert len(words.call("request", method="test/documents")) == 1


def test_a_crash_at_the_handshake_is_told_with_its_last_lines(servers):
    servers.server("words", "lsp", "dies")
    with running(servers) as system, pytest.raises(ExtensionError, match="exit code 9") as caught:
        system.kit.extension("words").call("request", method="test/documents")
    assert "language server crashes" in "".join(getattr(caught.value, "hints", ()))


def test_a_crash_at_its_end_is_nobodys_concern(servers):
    servers.server("words", "lsp", "shuts")
    with running(servers) as system:
        words = system.kit.extension("words")
        words.call("diagnostics", path="unsaved.txt", text="one")
        guest = words.pid
    assert wait_until(lambda: not alive(guest))


def test_unsaved_text_is_there_again_after_a_crash(servers):
    servers.server("words", "lsp")
    write(servers.folder / "saved.txt", "saved")
    with running(servers) as system:
        words = system.kit.extension("words")
        words.call("diagnostics", path="unsaved.txt", text="one\ntwo one\n")
        words.call("diagnostics", path="saved.txt")
        with pytest.raises(ExtensionCrashedError) as caught:
            words.call("request", method="test/crash")
        assert "language server crashes" in str(caught.value.stderr)
        found = words.options(timeout=30).call(
            "definition", path="unsaved.txt", line=1, character=5
        )
        assert found[0]["range"] == place(0, 0, 3)
        open_now = words.call("request", method="test/documents")
        assert sorted(name.rsplit("/")[-1] for name in open_now) == ["saved.txt", "unsaved.txt"]


class Misspelt(Protocol):
    def defintion(self, path: str, line: int, character: int) -> object: ...


def test_the_operations_are_known_before_the_first_start(servers):
    servers.server("words", "lsp")
    with running(servers) as system:
        with pytest.raises(PlanError, match="definition"):
            system.kit.client("words", Misspelt)
        assert system.kit.extension("words").pid is None
