"""`symphony bisect`: the extension that breaks a boot is found, whatever it does to it."""

from __future__ import annotations

import pytest
from workshop import ECHO

EAGER = 'activation = "eager"\n'
KILLS_ITS_SYSTEM = "import time\ntime.sleep(100)\n" + ECHO
RAISES = "raise RuntimeError('broken')\n" + ECHO
QUICK = EAGER + '[extension.limits]\nstart = "500ms"\n'


@pytest.fixture
def system(workshop):
    workshop.system("")
    for name in ("a", "b", "c", "z"):
        workshop.extension(name, ECHO, EAGER)
    return workshop


def test_a_system_that_boots_has_nothing_to_find(system, cli):
    ended = cli("bisect", "--json")
    assert (ended.code, ended.document["ok"]) == (0, True), ended
    assert (ended.document["boots"], ended.document["breaks"]) == (1, [])


def test_it_is_found_behind_what_it_requires_and_the_state_is_untouched(system, cli):
    # `hangs` needs `z`, without which it is left out, too: `z` is not to blame.
    system.extension("hangs", KILLS_ITS_SYSTEM, 'requires = ["z"]\n' + QUICK)
    ended = cli("bisect")
    assert ended.code == 1, ended
    assert "`hangs` breaks the boot" in ended.out
    assert "`symphony run --without hangs`" in ended.out
    assert not (system.folder / ".symphony").exists()


def test_two_that_break_it_are_both_found(system, cli):
    system.extension("one", RAISES, EAGER)
    system.extension("two", RAISES, EAGER)
    ended = cli("bisect", "--json")
    assert (ended.code, sorted(ended.document["breaks"])) == (1, ["one", "two"]), ended
    assert ended.document["error"] is None


def test_where_no_extension_is_to_blame_that_is_said(system, cli):
    system.system('components = ["nowhere"]')
    ended = cli("bisect", "--json")
    assert ended.code == 1, ended
    assert "fails without any extension" in ended.document["error"]["message"]


def test_boots_that_differ_are_said_to_differ(system, cli):
    (system.folder / "moody.py").write_text(
        "import pathlib\nfrom symphony import component\n\n@component\nclass Moody:\n"
        "    def start(self):\n        boots = pathlib.Path('boots')\n"
        "        boots.write_text((boots.read_text() if boots.exists() else '') + '.')\n"
        "        if len(boots.read_text()) != 2:\n            raise OSError('not now')\n"
    )
    system.system('components = ["moody"]')
    ended = cli("bisect", "--json")
    assert ended.code == 1, ended
    assert "its boots differ" in ended.document["error"]["message"]
    assert ended.document["boots"] == len((system.folder / "boots").read_text())
