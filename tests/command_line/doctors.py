"""The document of `symphony doctor`, held to its promised form."""

from __future__ import annotations

CHECK_KEYS = {"name", "status", "detail", "hint"}
BOOTS_KEYS = {"count", "ok", "p50_seconds", "p99_seconds", "overhead_p50_seconds", "memory_mb"}


def examined(cli, *arguments, **more):
    """The doctor's document, with its checks by name."""
    ended = cli("doctor", "--json", "--boots", "1", *arguments, timeout=110, **more)
    document = ended.document
    assert set(document) == {"ok", "checks", "boots"}
    assert set(document["boots"]) == BOOTS_KEYS
    for check in document["checks"]:
        assert set(check) == CHECK_KEYS
        assert check["status"] in {"ok", "degraded", "failed"}
        assert check["detail"]
        assert (check["hint"] is None) == (check["status"] == "ok"), check
    assert "Traceback" not in ended.err
    document["code"] = ended.code
    document["err"] = ended.err
    document["by_name"] = {check["name"]: check for check in document["checks"]}
    assert len(document["by_name"]) == len(document["checks"]), "a name is told twice"
    return document


def statuses(document):
    return {check["name"]: check["status"] for check in document["checks"]}


def assert_told(document, name, status, *words):
    """The check has that status, and its text has these words."""
    check = document["by_name"][name]
    assert check["status"] == status, document["checks"]
    for word in words:
        assert word in check["detail"], check
    assert document["code"] == (1 if "failed" in statuses(document).values() else 0)
    assert document["ok"] is (document["code"] == 0)
