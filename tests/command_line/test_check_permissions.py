"""`symphony check --permissions`: what each extension asks for, in plain words, and nothing of it runs."""

from __future__ import annotations

import pytest
from workshop import ECHO

ASKS = """
[extension.permissions]
read = ["${workspace}"]
network = true
run = ["git", "sh"]
env = ["API_KEY"]
calls = ["artifact-store.*"]
"""
KEYS = ["read", "write", "network", "run", "env", "calls"]


@pytest.fixture
def asking(workshop):
    workshop.signs = False
    workshop.extension("asks", "raise SystemExit('it was run')\n" + ECHO, ASKS)
    workshop.extension("modest", ECHO)
    return workshop


def test_each_permission_of_each_extension_is_told(asking, cli):
    ended = cli("check", ".", "--permissions")
    assert ended.code == 0, ended
    assert ended.out.startswith(
        "`asks`  extensions/asks/Symphony.toml:2\n"
        "  read     reads everything in the opened project\n"
        "  write    changes and deletes nothing of yours\n"
        "  network  talks to every host\n"
        "           note: also what listens on this machine alone, as databases, D-Bus and Docker do\n"
        "  run      starts `git` and `sh`, within the same permissions\n"
        "           note: `sh` runs whatever it is given\n"
        "  env      sees `API_KEY`\n"
        "  calls    calls everything of `artifact-store`\n"
        "           note: artifacts are shared: those of others, too\n"
        "\n"
        "`modest`  extensions/modest/Symphony.toml:2\n"
        "  read     reads nothing of yours\n"
    ), ended
    assert "looked at" in ended.out
    assert "`asks`" not in cli("check", ".").out


def test_the_document_has_what_is_written_and_where(asking, cli):
    document = cli("check", ".", "--permissions", "--json").document
    assert set(document) == {"ok", "diagnostics", "permissions"}
    asks, modest = document["permissions"]
    assert [one["permission"] for one in asks["permissions"]] == KEYS
    manifest = asking.folder / "extensions" / "asks" / "Symphony.toml"
    assert (asks["extension"], asks["file"]) == ("asks", str(manifest))
    run = asks["permissions"][3]
    assert run["values"] == ["git", "sh"]
    assert manifest.read_text().splitlines()[run["line"] - 1].startswith("run =")
    assert all(one["note"] is None for one in modest["permissions"])
    assert set(cli("check", ".", "--json").document) == {"ok", "diagnostics"}


def test_a_manifest_at_fault_is_a_fault_and_costs_no_other_its_words(asking, cli):
    asking.extension("broken", ECHO, "[extension.permissions]\nreed = []\n")
    ended = cli("check", ".", "--permissions", "--json")
    assert ended.code == 1
    assert [one["extension"] for one in ended.document["permissions"]] == ["asks", "modest"]
    assert "reed" in ended.document["diagnostics"][0]["message"]


def test_other_forms_have_no_place_for_it(asking, cli):
    ended = cli("check", ".", "--permissions", "--format", "sarif")
    assert (ended.code, ended.out) == (2, "")
    assert "`--permissions` has no form for `--format sarif`" in ended.err
