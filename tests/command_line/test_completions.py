"""`symphony completions`: the script of each shell knows every command, option and word of the grammar."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from symphony._cli._arguments import EXAMPLES, build_parser
from symphony._cli._main import main


def script(capsys, shell):
    assert main(["completions", shell]) == 0
    return capsys.readouterr().out


def completed(text, *words):
    """What bash completes for the last of the words."""
    listed = " ".join(f"'{word}'" for word in words)
    asked = (
        f"{text}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _symphony\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ran = subprocess.run(
        ["bash", "-c", asked], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        (("",), {"run", "check", "graph", "completions", "--version"}, {"--json"}),
        (("r",), {"run"}, {"check"}),
        (("check", "--"), {"--format", "--json"}, {"--melody"}),
        (("check", "--format", ""), {"text", "json", "github", "sarif"}, {"svg"}),
        (("graph", "--format", "s"), {"svg"}, {"sarif", "text"}),
        (("run", "--log-level", "w"), {"warning"}, {"debug"}),
        (("new", "--lang"), {"--language"}, {"--protocol"}),
        (("run", "--b"), {"--baseline", "--boots"}, {"--melody"}),
    ],
)
def test_bash_completes_commands_options_and_words(capsys, words, some, none):
    found = set(completed(script(capsys, "bash"), "symphony", *words))
    assert some <= found
    assert not none & found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_names_every_command_and_is_lawful(capsys, shell):
    text = script(capsys, shell)
    (group,) = [action for action in build_parser()._actions if action.choices]
    assert all(name in text for name in group.choices)
    assert all(word in text for word in ("github", "sarif", "mermaid"))
    if shutil.which(shell):
        ran = subprocess.run(
            [shell, "-n"], input=text, capture_output=True, text=True, timeout=30, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")


def test_another_shell_is_a_wrong_call():
    with pytest.raises(SystemExit) as caught:
        main(["completions", "tcsh"])
    assert caught.value.code == 2


def test_the_help_of_a_command_has_examples_that_it_takes(capsys):
    for name, examples in EXAMPLES.items():
        with pytest.raises(SystemExit):
            main([name, "--help"])
        told = capsys.readouterr().out
        assert "examples:" in told
        for example in examples:
            assert example in told
            if example.startswith("symphony") and not set(example) & set("|>;"):
                words = shlex.split(example)[1:]
                assert build_parser().parse_args(words).command == name


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_text_that_the_encoding_does_not_have_is_escaped(tmp_path, encoding):
    ran = subprocess.run(
        [sys.executable, "-m", "symphony", "check", "µ€ of none"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    said = (ran.stdout + ran.stderr).decode(encoding)
    assert "no such file or folder" in said
    assert "UnicodeEncodeError" not in said
