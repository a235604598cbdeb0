"""Operations of the Pit's members as nodes of a Melody."""

from __future__ import annotations

import pytest
from symphony import MelodyError, SymphonyError


def run(system, melody, *nodes, inputs=None):
    score = melody(*nodes, inputs=list(inputs or ()))
    return system.submit(score, inputs or {}).result(30)


def test_artifacts_are_put_found_and_got_back(system, melody, node):
    result = run(
        system,
        melody,
        node("make", "lab.echo", '{ value = "grüße" }'),
        node("put", "artifact-store.put", '{ data = "${make}", name = "hello", tags = ["t"] }'),
        node("child", "artifact-store.put", '{ data = "${inputs.raw}", parents = ["${put}"] }'),
        node("get", "artifact-store.get", '{ id = "${put}" }'),
        node("exists", "artifact-store.exists", '{ id = "${child}" }'),
        node("metadata", "artifact-store.metadata", '{ id = "${child}" }'),
        node("tag", "lab.echo", '{ value = { after = "${put}", tag = "t" } }'),
        node("find", "artifact-store.find", '{ tag = "${tag.tag}" }'),
        node("versions", "artifact-store.versions", '{ name = "${named.n}" }'),
        node("named", "lab.echo", '{ value = { n = "hello", after = "${put}" } }'),
        node("verify", "artifact-store.verify"),
        node("stats", "artifact-store.stats"),
        inputs={"raw": b"\x00\x01"},
    )
    put = result["put"]
    assert result["get"] == "grüße".encode()
    assert result["exists"] is True
    assert result["metadata"]["size"] == 2
    assert result["metadata"]["parents"] == [put]
    assert result["find"] == result["versions"] == [put]
    assert result["verify"]["bad"] == []
    assert {"artifacts", "bytes", "deduplicated"} <= set(result["stats"])
    # The handle of Python and the nodes speak of the same store.
    assert system.pit.artifacts.get(put) == "grüße".encode()
    assert system.pit.artifacts.find(name="hello") == [put]
    run(system, melody, node("delete", "artifact-store.delete", f'{{ id = "{put}" }}'))
    assert system.pit.artifacts.exists(put) is False


def test_a_graph_is_tracked(system, melody, node):
    result = run(
        system,
        melody,
        node("run", "dag-tracker.submit", "{ graph = { a = [], b = ['a'], c = ['b'] } }"),
        node("ready", "dag-tracker.ready", '{ run = "${run}" }'),
        node("freed", "dag-tracker.complete", '{ run = "${run}", node = "${first.name}" }'),
        node("first", "lab.echo", '{ value = { name = "a", after = "${ready}" } }'),
        node("failed", "dag-tracker.fail", '{ run = "${run}", node = "b", reason = "${why.x}" }'),
        node("why", "lab.echo", '{ value = { x = "no luck", after = "${freed}" } }'),
        node("of", "lab.echo", '{ value = { run = "${run}", after = "${failed}" } }'),
        node("status", "dag-tracker.status", '{ run = "${of.run}" }'),
        node("last", "lab.echo", '{ value = { run = "${run}", after = "${status}" } }'),
        node("cancel", "dag-tracker.cancel", '{ run = "${last.run}" }', 'on_error = "skip"'),
        node("runs", "dag-tracker.runs"),
    )
    assert result["ready"] == ["a"]
    assert result["freed"] == ["b"]
    states = {name: about["state"] for name, about in result["status"]["nodes"].items()}
    assert states["a"] == "completed"
    assert states["b"] == "failed"
    assert states["c"] not in ("completed", "ready")
    assert result["status"]["nodes"]["b"]["reason"] == "no luck"
    assert result["status"]["state"] == "failed"
    assert system.pit.dag.status(result["run"])["state"] == "cancelled"
    assert all({"run", "state"} <= set(entry) for entry in result["runs"])


def test_pools_are_told_of_and_prewarmed(system, melody, node):
    made = []
    system.pit.pool.register("models", lambda: made.append(1) or object(), size=2)
    result = run(
        system,
        melody,
        node("warm", "pool-manager.prewarm", '{ name = "models" }'),
        node("which", "lab.echo", '{ value = { name = "models", after = "${warm}" } }'),
        node("stats", "pool-manager.stats", '{ name = "${which.name}" }'),
        node("pools", "pool-manager.pools"),
    )
    assert result["warm"] is True
    assert made == [1]
    assert (result["stats"]["size"], result["stats"]["leased"]) == (2, 0)
    assert result["pools"] == ["models"]


def test_a_scarce_thing_is_granted_and_released(system, melody, node):
    ask = '{ resource = "gpu", owner = "${who.name}", amount = 2 }'
    result = run(
        system,
        melody,
        node("define", "arbitration-engine.define", '{ resource = "gpu", capacity = 2 }'),
        node("who", "lab.echo", '{ value = { name = "a", after = "${define}" } }'),
        node("first", "arbitration-engine.request", ask),
        node("then", "lab.echo", '{ value = { name = "b", after = "${first}" } }'),
        node("second", "arbitration-engine.request", ask.replace("who", "then")),
        node("free", "lab.echo", '{ value = { grant = "${first.grant}", a = "${second}" } }'),
        node("release", "arbitration-engine.release", '{ grant = "${free.grant}" }'),
        node("more", "lab.echo", '{ value = { name = "c", after = "${release}" } }'),
        node("third", "arbitration-engine.request", ask.replace("who", "more")),
        node("look", "lab.echo", '{ value = { nothing = {}, after = "${third}" } }'),
    )
    assert result["first"]["outcome"] == "granted"
    assert result["second"]["outcome"] == "deferred"
    assert result["second"]["reason"]
    assert result["release"] is True
    assert result["third"]["outcome"] == "granted"
    audit = run(system, melody, node("audit", "arbitration-engine.audit"))["audit"]
    owners = {entry["owner"] for entry in audit}
    assert {"a", "b", "c"} <= owners
    assert all({"resource", "decision", "reason", "amount"} <= set(entry) for entry in audit)
    assert system.pit.arbitration.request("gpu", "d").outcome == "deferred"


def test_what_is_stale_is_judged_explained_pinned_and_swept(system, melody, node):
    keep = system.pit.artifacts.put(b"keep me", tags=["scratch"])
    drop = system.pit.artifacts.put(b"drop me", tags=["scratch"])
    rule = '{ name = "scratch", action = "delete", tag = "scratch" }'
    run(
        system,
        melody,
        node("rule", "stale-manager.rule", rule),
        node("pin", "stale-manager.pin", f'{{ id = "{keep}" }}'),
    )
    of = f'{{ id = "{drop}" }}'
    result = run(
        system,
        melody,
        node("verdict", "stale-manager.evaluate", of),
        node("pinned", "stale-manager.evaluate", f'{{ id = "{keep}" }}'),
        node("why", "stale-manager.explain", of),
        node("rehearsal", "stale-manager.sweep", "{ dry_run = true }"),
    )
    assert (result["verdict"], result["pinned"]) == ("delete", "keep")
    assert "scratch" in result["why"]
    assert result["rehearsal"]["deleted"] == [drop]
    assert system.pit.artifacts.exists(drop)
    swept = run(system, melody, node("sweep", "stale-manager.sweep"))["sweep"]
    assert (swept["dry_run"], swept["deleted"], swept["pinned"]) == (False, [drop], 1)
    assert not system.pit.artifacts.exists(drop)
    assert system.pit.artifacts.exists(keep)
    unpin = run(system, melody, node("unpin", "stale-manager.unpin", f'{{ id = "{keep}" }}'))
    assert unpin["unpin"] is True
    assert system.pit.stale.evaluate(keep) == "delete"


@pytest.mark.parametrize(
    ("call", "with_", "said"),
    [
        ("artifact-store.putt", "{}", "`artifact-store` has no operation `putt`"),
        ("artifact-store.put", "{}", "lacks the input `data`"),
        ("artifact-store.put", '{ data = "x", nam = "y" }', "gives `nam`"),
        ("stale-manager.evaluate", "{}", "lacks the input `id`"),
        ("pool-manger.stats", '{ name = "x" }', "there is no `pool-manger`"),
    ],
)
def test_calls_of_members_are_checked_before_they_run(system, melody, node, call, with_, said):
    with pytest.raises(MelodyError) as caught:
        system.submit(melody(node("a", call, with_)))
    assert said in str(caught.value)


def test_a_refusal_of_a_member_is_the_failure_of_its_node(system, melody, node):
    unknown = "0" * 64
    run_ = system.submit(melody(node("a", "artifact-store.get", f'{{ id = "{unknown}" }}')))
    with pytest.raises(SymphonyError) as caught:
        run_.result(30)
    assert caught.value.code == "not-found"
    assert "node `a` (`artifact-store.get`) of `m` failed" in str(caught.value)
    skipped = melody(
        node("a", "artifact-store.get", '{ id = "short" }', 'on_error = "skip"'),
        node("b", "lab.echo", '{ value = "${a}" }'),
    )
    assert system.submit(skipped).result(30) == {"a": None, "b": None}


def test_a_member_that_was_left_out_is_no_target(lab, melody, node):
    lab.workshop.system('members = ["artifact-store"]\n')
    system = lab.boot()
    with pytest.raises(MelodyError, match="there is no `dag-tracker`"):
        system.submit(melody(node("a", "dag-tracker.runs")))
    stored = system.submit(melody(node("a", "artifact-store.put", '{ data = "x" }'))).result(30)
    assert len(stored["a"]) == 64
