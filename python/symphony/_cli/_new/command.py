"""`symphony new extension`: a working extension with its test, where the system here finds it.

The invariants kept here: nothing that exists is overwritten, what is written passes `symphony check`, and a failure
leaves nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._exit import OK, USAGE, exit_code_of
from symphony._cli._new.build import Build, build
from symphony._cli._new.place import place_of
from symphony._cli._new.writing import Draft, write

if TYPE_CHECKING:
    import argparse

    from symphony._cli._new.place import Place

_LANGUAGES_OF = {
    "bash-language-server": ["shellscript"],
    "clangd": ["c", "cpp"],
    "gopls": ["go"],
    "jedi-language-server": ["python"],
    "pylsp": ["python"],
    "pyright-langserver": ["python"],
    "basedpyright-langserver": ["python"],
    "ruff": ["python"],
    "rust-analyzer": ["rust"],
    "typescript-language-server": ["typescript", "javascript"],
}
"""The documents of language servers that are often met, by their programs."""


def new(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    name: str = options.name
    document = _errors.empty_new()
    document.update(extension=name, protocol=options.protocol or "lane")
    code = OK
    try:
        language = _language(options)
        _check_name(name)
        place = place_of(name)
        _refuse_name_of_another(name, place)
        built_later = language in {"rust", "c"}
        written = write(
            _draft(options, language), place, lambda folder: _check(folder, built_later=built_later)
        )
        made = build(language, place.folder, wanted=options.build)
        steps = _next_steps(name, place, made, calls=options.command_line is None)
        document.update(
            ok=True,
            language=language,
            folder=place.folder,
            files=written,
            system=place.system,
            built=made.done if made.command is not None else None,
            next=steps,
        )
        if not options.json:
            _tell(place, written, made, steps)
        elif made.fault is not None:
            print(f"warning: not built: {made.fault}", file=sys.stderr)
    except _errors.UsageError as error:
        document["error"] = _errors.as_document(error)
        print(_errors.render(error), file=sys.stderr)
        code = USAGE
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - told in the house form.
        document["error"] = _errors.as_document(error)
        print(_errors.render(error), file=sys.stderr)
        code = exit_code_of(error)
    if options.json:
        print(json.dumps(document, indent=2))
    return code


def _language(options: argparse.Namespace) -> str | None:
    """The language that it is written in; `None` where it is somebody else's program.

    Raises:
        UsageError: The arguments do not go together.
    """
    if options.command_line is not None:
        if options.language is not None:
            raise _errors.UsageError(
                "`--command` and `--language` exclude each other",
                hints=["with `--command` the program exists; with `--language` one is written"],
            )
        if not _words(options.command_line):
            raise _errors.UsageError("`--command` is empty")
        return None
    if options.protocol in {"lsp", "mcp"}:
        raise _errors.UsageError(
            f"`--protocol {options.protocol}` needs `--command`",
            hints=['name the server with its arguments: --command "pylsp --check-parent-process"'],
        )
    language: str = options.language or "python"
    return language


def _words(command_line: str) -> list[str]:
    """The program and its arguments, as a shell would take them apart.

    Raises:
        UsageError: A quotation does not end.
    """
    try:
        return shlex.split(command_line)
    except ValueError as bad:
        raise _errors.UsageError(f"`--command {command_line}`: {bad}") from None


def _draft(options: argparse.Namespace, language: str | None) -> Draft:
    draft = Draft(options.name)
    if language is None:
        draft.add("Symphony.toml", _server_manifest(options))
        return draft
    draft.add_templates(language)
    if language == "python":
        return draft
    draft.add_templates("program")
    if language == "c":
        import symphony

        header = os.path.join(symphony.include(), "symphony_guest.h")
        with open(header, encoding="utf-8") as file:
            draft.add("symphony_guest.h", file.read())
    return draft


def _server_manifest(options: argparse.Namespace) -> str:
    """The manifest of a program that exists."""
    words = _words(options.command_line)
    if "/" in words[0]:
        # It is looked for from here, and would be from the extension's folder.
        words[0] = os.path.abspath(words[0])
    lines = ["[extension]", f"name = {_text(options.name)}", 'version = "0.1.0"']
    if options.protocol in {"lsp", "mcp"}:
        lines.append(f"protocol = {_text(options.protocol)}")
    lines.append(f"command = [{', '.join(map(_text, words))}]")
    if options.protocol == "lsp":
        languages = options.languages or _LANGUAGES_OF.get(os.path.basename(words[0]), [])
        told = "" if languages else "  # the documents that it is given"
        lines.append(f"languages = [{', '.join(map(_text, languages))}]{told}")
    lines += ["", "# Everything that is not named here is denied.", "[extension.permissions]"]
    if options.protocol in {"lsp", "mcp"}:
        lines += ['read = ["${workspace}"]', "", "[extension.server]"]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(value, ensure_ascii=False)


def _refuse_name_of_another(name: str, place: Place) -> None:
    """Refuses a name that the system has already.

    Raises:
        UsageError: It says where.
    """
    if place.system is None or place.is_new:
        return
    from symphony import _core
    from symphony._static.operations import read_operations

    for known, file, *_ in _core.find_extensions([place.system], read_operations):
        if known == name:
            raise _errors.UsageError(
                f"the system has an extension `{name}`: `{os.path.relpath(file)}`",
                hints=["choose another name"],
            )


def _check_name(name: str) -> None:
    """Holds a name against the rule of manifests, before it is part of a path.

    Raises:
        UsageError: It cannot name an extension.
    """
    if not name.isprintable():
        raise _errors.UsageError(
            f"{name!r} cannot name an extension", hints=["use letters, digits, `-` and `_`"]
        )
    with tempfile.TemporaryDirectory(prefix="symphony-new-") as folder:
        with open(os.path.join(folder, "Symphony.toml"), "w", encoding="utf-8") as file:
            file.write(f'[extension]\nname = {_text(name)}\ncommand = ["true"]\n')
        _check(folder, built_later=False)


def _check(folder: str, *, built_later: bool) -> None:
    """Holds what was written against the rules of `symphony check`.

    Args:
        folder: What was written.
        built_later: Whether its program is not there yet.

    Raises:
        UsageError: The manifest would be refused.
    """
    from symphony._cli._check import find_faults

    faults = [fault for fault in find_faults([folder]) if fault.severity == "error"]
    if built_later:
        faults = [fault for fault in faults if not fault.message.startswith("the program ")]
    if not faults:
        return
    raise _errors.UsageError(
        faults[0].message, hints=[fault.hint for fault in faults[:1] if fault.hint]
    )


def _next_steps(name: str, place: Place, made: Build, *, calls: bool) -> list[str]:
    """The commands that follow, in their order, for a shell here."""
    folder = os.path.relpath(place.folder)
    steps = [] if made.done else [f"cd {shlex.quote(folder)} && {made.command}"]
    if place.system is not None:
        config = os.path.dirname(os.path.relpath(place.system))
        steps.append(
            f"symphony call {name}.hello who=you {shlex.quote(config)}".rstrip(" '")
            if calls
            else f"symphony check {shlex.quote(config or '.')}"
        )
    if calls:
        steps.append(f"pytest {shlex.quote(folder)}")
    return steps


def _tell(place: Place, written: list[str], made: Build, steps: list[str]) -> None:
    print(f"wrote `{os.path.relpath(place.folder)}`")
    for file in written:
        print(f"  {os.path.relpath(file)}")
    if place.is_new and place.system is not None:
        print(f"  (`{os.path.relpath(place.system)}` is a system of the extensions in this folder)")
    if made.command is not None and made.done:
        print(f"built it with `{made.command}`")
    if made.fault is not None:
        print(f"warning: not built: {made.fault}", file=sys.stderr)
    if place.unlisted is not None:
        folder = os.path.relpath(place.folder, os.path.dirname(place.unlisted))
        print(
            f"note: no pattern of `extensions` in `{os.path.relpath(place.unlisted)}` matches it: "
            f"add {_text(folder)} there",
            file=sys.stderr,
        )
    if steps:
        print("next:")
        for step in steps:
            print(f"  {step}")
