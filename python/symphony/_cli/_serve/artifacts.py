"""The artifacts of the system as resources: a page of them, and what one holds.

Called by `session`. Invariant: of a store of whatever size a page is sent, and of an artifact no more than `MOST`
bytes are read.
"""

from __future__ import annotations

import base64
import bisect
import datetime as dt
from typing import TYPE_CHECKING

from symphony._cli._serve import json_rpc
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from typing import Any

    from symphony._core import ArtifactStore

SCHEME = "artifact://"
MOST = 8 << 20
"""An artifact with more bytes is not sent in one piece."""
_PAGE = 100
TEMPLATE = {
    "uriTemplate": f"{SCHEME}{{id}}",
    "name": "artifact",
    "description": "An artifact of the system's store, by its id: the BLAKE3 of its bytes.",
}


def page(store: ArtifactStore, cursor: str | None) -> dict[str, Any]:
    """The resources behind a cursor, which is the last id of the page before."""
    ids = sorted(store.find())
    begin = 0 if cursor is None else bisect.bisect_right(ids, cursor)
    shown = ids[begin : begin + _PAGE]
    described = [_described(store, one) for one in shown]
    made: dict[str, Any] = {"resources": [one for one in described if one is not None]}
    if begin + _PAGE < len(ids):
        made["nextCursor"] = shown[-1]
    return made


def read(store: ArtifactStore, uri: str, missing: int) -> dict[str, Any]:
    """What an artifact holds.

    Args:
        store: The store.
        uri: Which.
        missing: The number of the error where there is none.

    Raises:
        RefusedError: There is none, or it is too large.
    """
    found = uri[len(SCHEME) :] if uri.startswith(SCHEME) else ""
    try:
        size = store.metadata(found)["size"]
        if size > MOST:
            raise json_rpc.RefusedError(
                json_rpc.INVALID_PARAMS,
                f"`{uri}` has {size} bytes, and no more than {MOST} are sent",
                {"uri": uri, "size": size},
            )
        data = store.get(found)
    except SymphonyError as error:
        raise json_rpc.RefusedError(
            missing, f"there is no `{uri}`: {error.message}", {"uri": uri}
        ) from None
    text = _text_of(data)
    held = (
        {"mimeType": "application/octet-stream", "blob": base64.b64encode(data).decode("ascii")}
        if text is None
        else {"mimeType": "text/plain", "text": text}
    )
    return {"contents": [{"uri": uri, **held}]}


def _text_of(data: bytes) -> str | None:
    """The text that bytes are; None of what is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _described(store: ArtifactStore, artifact: str) -> dict[str, Any] | None:
    try:
        known = store.metadata(artifact)
    except SymphonyError:
        # It was deleted meanwhile.
        return None
    names = [name for name, _ in known["names"]]
    written = dt.datetime.fromtimestamp(known["created"], dt.timezone.utc)
    made: dict[str, Any] = {
        "uri": f"{SCHEME}{artifact}",
        "name": names[-1] if names else artifact[:12],
        "size": known["size"],
        "annotations": {
            "lastModified": written.isoformat(timespec="seconds").replace("+00:00", "Z")
        },
    }
    if known["tags"]:
        made["description"] = "tags: " + ", ".join(known["tags"])
    return made
