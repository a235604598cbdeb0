"""`symphony completions`: what a shell completes, made of the grammar of the command line.

Nothing of it runs when a shell completes: commands, options and the words that an option takes stand in the script.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from symphony._cli._arguments import build_parser
from symphony._cli._exit import OK

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Option:
    """One option of a command."""

    def __init__(self, action: argparse.Action) -> None:
        self.names = list(action.option_strings)
        self.words = [str(word) for word in action.choices or ()]
        self.takes = action.nargs != 0
        # A percent sign is doubled for the parser's own formatting.
        self.about = (action.help or "").replace("%%", "%")


def completions(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    commands = dict(_commands())
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](commands)
    print(script, end="")
    return OK


def _commands() -> Iterator[tuple[str, tuple[str, list[_Option]]]]:
    """Each command with what it does and its options."""
    (group,) = [
        action
        for action in build_parser()._actions  # noqa: SLF001 - `argparse` has no other way to its own commands.
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    about = {choice.dest: choice.help or "" for choice in group._choices_actions}  # noqa: SLF001
    for name, parser in group.choices.items():
        yield name, (about.get(name, ""), _options(parser))


def _options(parser: argparse.ArgumentParser) -> list[_Option]:
    """The options of a command, and of those below it."""
    options: dict[str, _Option] = {}
    for action in parser._actions:  # noqa: SLF001 - as above.
        if action.option_strings:
            options.setdefault(action.option_strings[-1], _Option(action))
        elif isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above.
            for inner in action.choices.values():
                for option in _options(inner):
                    options.setdefault(option.names[-1], option)
    return list(options.values())


def _bash(commands: dict[str, tuple[str, list[_Option]]]) -> str:
    lines = [
        '# bash: eval "$(symphony completions bash)"',
        "_symphony() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
        "    if [[ $COMP_CWORD -eq 1 ]]; then",
        f'        COMPREPLY=($(compgen -W "{" ".join([*commands, "--help", "--version"])}" -- "$word"))',
        "        return",
        "    fi",
        '    case "${COMP_WORDS[1]} $before" in',
    ]
    for name, (_, options) in commands.items():
        for option in options:
            if option.words:
                cases = "|".join(f'"{name} {one}"' for one in option.names)
                words = " ".join(option.words)
                lines.append(
                    f'        {cases}) COMPREPLY=($(compgen -W "{words}" -- "$word")); return ;;'
                )
    lines += ["    esac", '    case "${COMP_WORDS[1]}" in']
    for name, (_, options) in commands.items():
        words = " ".join([one for option in options for one in option.names])
        lines.append(f'        {name}) COMPREPLY=($(compgen -W "{words}" -- "$word")) ;;')
    lines += [
        "    esac",
        '    [[ $word == -* ]] || COMPREPLY+=($(compgen -f -- "$word"))',
        "}",
        "complete -o filenames -F _symphony symphony",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text in single quotes, for each of the shells."""
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh(commands: dict[str, tuple[str, list[_Option]]]) -> str:
    lines = ["#compdef symphony", '# zsh: eval "$(symphony completions zsh)"', "_symphony() {"]
    lines.append("    local -a commands=(")
    lines += [f"        {_quoted(f'{name}:{about}')}" for name, (about, _) in commands.items()]
    lines += ["    )", "    if (( CURRENT == 2 )); then _describe command commands; return; fi"]
    lines.append('    case "$words[2]" in')
    for name, (_, options) in commands.items():
        told = [_quoted(_zsh_option(one, option)) for option in options for one in option.names]
        lines.append(
            f"        {name}) _arguments -s {' '.join([*told, _quoted('*:file:_files')])} ;;"
        )
    lines += ["    esac", "}", "compdef _symphony symphony"]
    return "\n".join(lines) + "\n"


def _zsh_option(name: str, option: _Option) -> str:
    about = option.about.replace("[", "(").replace("]", ")").replace(":", " -")
    if not option.takes:
        return f"{name}[{about}]"
    words = f"({' '.join(option.words)})" if option.words else "_files"
    return f"{name}[{about}]:value:{words}"


def _fish(commands: dict[str, tuple[str, list[_Option]]]) -> str:
    lines = ["# fish: symphony completions fish | source"]
    for name, (about, _) in commands.items():
        lines.append(
            f"complete -c symphony -n __fish_use_subcommand -f -a {name} -d {_fish_quoted(about)}"
        )
    for name, (_, options) in commands.items():
        for option in options:
            spelt = " ".join(
                f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.names
            )
            words = f" -x -a {_fish_quoted(' '.join(option.words))}" if option.words else ""
            takes = " -r" if option.takes and not option.words else ""
            lines.append(
                f"complete -c symphony -n '__fish_seen_subcommand_from {name}' "
                f"{spelt}{words}{takes} -d {_fish_quoted(option.about)}"
            )
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
