"""What an extension may reach: calls, topics and variables, by grant alone."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError
from workshop import Workshop, run_python, wait_until

CALLER = """
import os, threading

@extension.operation
def forward(call: str, inputs: dict, timeout: float = 0):
    handle = extension.options(timeout=timeout) if timeout else extension
    return handle.call(call, **inputs)

@extension.operation
def what_is_raised(call: str, inputs: dict, timeout: float = 0):
    try:
        forward(call, inputs, timeout)
    except Exception as error:
        hints = list(getattr(error, "hints", ()))
        return [type(error).__name__, getattr(error, "code", ""), str(error), hints]

@extension.operation
async def forward_async(call: str, inputs: dict):
    return await extension.call_async(call, **inputs)

@extension.operation
def from_a_thread(call: str, inputs: dict):
    results = []
    thread = threading.Thread(target=lambda: results.append(forward(call, inputs)))
    thread.start()
    thread.join()
    return results

@extension.operation
def publish(topic: str, values: list):
    for value in values:
        extension.publish(topic, value)

@extension.operation
def environment():
    return dict(os.environ)
"""

SECRET = "SYMPHONY_TEST_SECRET"


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("grants"))
    workshop.extension(
        "caller",
        CALLER,
        f"""
        [extension.permissions]
        calls = [
            "artifact-store.*", "target.double", "target.fails", "target.sleeps", "missing.any",
        ]
        env = ["{SECRET}", "SYMPHONY_TEST_NOT_SET"]
        """,
    )
    workshop.extension("barred", CALLER)
    workshop.extension(
        "target",
        """
        import time
        @extension.operation
        def double(value):
            return value * 2
        @extension.operation
        def fails():
            raise ValueError("target failed")
        @extension.operation
        def sleeps(seconds):
            time.sleep(seconds)
        @extension.operation
        def secret():
            return "not granted"
        """,
    )
    os.environ[SECRET] = "granted to one"
    try:
        with running(workshop) as system:
            yield system
    finally:
        del os.environ[SECRET]


@pytest.fixture
def caller(system):
    return system.kit.extension("caller")


def test_a_granted_call_of_the_pit(system, caller):
    artifact = caller.call("forward", call="artifact-store.put", inputs={"data": b"bytes"})
    assert system.pit.artifacts.get(artifact) == b"bytes"
    got = caller.call("forward", call="artifact-store.get", inputs={"id": artifact})
    assert got == b"bytes"


@pytest.mark.parametrize("way", ["forward", "forward_async"])
def test_a_granted_call_of_another_extension_which_it_starts(system, caller, way):
    assert caller.call(way, call="target.double", inputs={"value": 21}) == 42
    assert caller.call("from_a_thread", call="target.double", inputs={"value": 4}) == [8]


def test_what_is_not_granted_is_refused_with_the_edit(system, caller):
    barred = system.kit.extension("barred")
    kind, code, text, _ = barred.call(
        "what_is_raised", call="artifact-store.put", inputs={"data": b"x"}
    )
    assert (kind, code) == ("NotGrantedError", "not-granted")
    assert "`barred` may not call `artifact-store.put`" in text
    kind, code, _, _ = caller.call("what_is_raised", call="target.secret", inputs={})
    assert (kind, code) == ("NotGrantedError", "not-granted")
    # Uncaught, it reaches the root as what the operation raised.
    with pytest.raises(RemoteError, match=r"may not call `target\.secret`") as caught:
        caller.call("forward", call="target.secret", inputs={})
    assert caught.value.type_name.endswith("NotGrantedError")


def test_the_far_failure_of_a_nested_call_is_typed(caller):
    kind, code, text, _ = caller.call("what_is_raised", call="target.fails", inputs={})
    assert (kind, code) == ("RemoteError", "remote-error")
    assert "target failed" in text
    kind, _, text, _ = caller.call("what_is_raised", call="missing.any", inputs={})
    assert kind == "ComponentNotFoundError"
    assert "missing" in text
    kind, _, text, _ = caller.call(
        "what_is_raised", call="artifact-store.get", inputs={"id": "0" * 64}
    )
    assert kind == "NotFoundError", text


def test_a_nested_call_has_its_own_deadline(caller):
    kind, _, _, _ = caller.call(
        "what_is_raised", call="target.sleeps", inputs={"seconds": 0.4}, timeout=0.1
    )
    assert kind == "CallTimeoutError"
    assert caller.call("forward", call="target.double", inputs={"value": 1}) == 2


def test_a_guest_publishes_and_the_root_hears_it(system, caller):
    topic = system.bus.topic("news")
    with topic.subscribe() as subscription:
        caller.call("publish", topic="news", values=[1, {"a": [b"x", None]}, "text"])
        iterator = iter(subscription)
        assert [next(iterator) for _ in range(3)] == [1, {"a": [b"x", None]}, "text"]
        assert subscription.get(timeout=0.05, default="nothing") == "nothing"


def test_the_same_for_asyncio(system, caller):
    async def listen():
        subscription = system.bus.topic("async-news").subscribe()
        await caller.call_async("publish", topic="async-news", values=[1, 2, 3])
        heard = []
        async for value in subscription:
            heard.append(value)
            if value == 3:
                break
        subscription.close()
        return heard

    assert asyncio.run(listen()) == [1, 2, 3]


def test_the_root_publishes_to_itself_and_a_closed_subscription_ends(system):
    topic = system.bus.topic("own")
    subscription = topic.subscribe()
    for value in ("a", "b"):
        assert topic.publish(value) == 0
    assert [next(subscription), next(subscription)] == ["a", "b"]
    heard = []
    thread = threading.Thread(target=lambda: heard.extend(subscription))
    thread.start()
    topic.publish("c")
    assert wait_until(lambda: heard == ["c"])
    subscription.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_granted_variable_reaches_that_child_alone(system, caller):
    assert caller.call("environment")[SECRET] == "granted to one"
    assert "SYMPHONY_TEST_NOT_SET" not in caller.call("environment")
    assert SECRET not in system.kit.extension("barred").call("environment")


ALLOWED = {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME"}


def test_the_supervisor_has_the_allow_list_only(workshop):
    workshop.extension("barred", CALLER)
    result = run_python(
        """
        import os, sys
        from symphony import boot
        with boot(config=sys.argv[1]) as system:
            print(sorted(system.kit.extension("barred").call("environment")))
            [supervisor] = open(f"/proc/self/task/{os.getpid()}/children").read().split()[:1]
            names = open(f"/proc/{supervisor}/environ").read().split(chr(0))
            print(sorted(name.partition("=")[0] for name in names if name))
        """,
        str(workshop.config),
        env={**os.environ, "SECRET_TOKEN": "x", "LD_TEST": "y", "LC_ALL": "C.UTF-8"},
    )
    assert result.returncode == 0, result.stderr
    # By the mark a packaged program that is started again knows what it is to be; the supervisor takes it out at once.
    for line, own in zip(result.stdout.splitlines(), (set(), {"SYMPHONY_SUPERVISOR_OF"})):
        names = set(eval(line)) - own
        assert "LC_ALL" in names
        assert {name for name in names if not name.startswith("LC_")} <= ALLOWED, names
