"""What manifests ask for, in plain words: `symphony check --permissions`.

Called by `_cli._check`. The words are the core's. Invariant: an extension whose manifest can be read is told, with each
permission, also one that it does not ask for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

from symphony import _core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Permission(TypedDict):
    """One permission of an extension.

    Attributes:
        permission: `read`, `write`, `network`, `run`, `env` or `calls`.
        values: What the manifest says there.
        words: The same in plain words.
        note: What follows from it that the words do not say.
        line: Where it stands in the manifest.
    """

    permission: str
    values: list[str]
    words: str
    note: str | None
    line: int | None


class Request(TypedDict):
    """What one extension asks for.

    Attributes:
        extension: Its name.
        file: Its manifest, absolute.
        line: Where it has its name.
        permissions: Each of them.
    """

    extension: str
    file: str
    line: int
    permissions: list[Permission]


def permissions_at(paths: Sequence[str]) -> list[Request]:
    """What each extension at the paths asks for, by name.

    Args:
        paths: Files and folders.
    """
    requests: list[Request] = []
    for name, file, line, asked in _core.asked_permissions(
        [os.path.abspath(path) for path in paths]
    ):
        permissions = [
            Permission(permission=key, values=values, words=words, note=note, line=at)
            for key, values, words, note, at in asked
        ]
        requests.append(Request(extension=name, file=file, line=line, permissions=permissions))
    return requests


def permission_lines(requests: Sequence[Request]) -> Iterator[str]:
    """The same as text, an empty line after each extension.

    Args:
        requests: What they ask for.
    """
    for one in requests:
        yield f"`{one['extension']}`  {os.path.relpath(one['file'])}:{one['line']}"
        for permission in one["permissions"]:
            yield f"  {permission['permission']:<8} {permission['words']}"
            if permission["note"] is not None:
                yield f"  {'':<8} note: {permission['note']}"
        yield ""
