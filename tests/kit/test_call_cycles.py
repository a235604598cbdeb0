"""Extensions that call each other in a ring are served, or refused at once by name; never do they wait for ever."""

from __future__ import annotations

import threading
import time

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError

FRIENDS = """
import threading

@extension.operation
def there(path: list) -> object:
    "Calls what the path says, one after the other."
    return extension.call(path[0], path=path[1:]) if path else "arrived"


@extension.operation
async def async_there(path: list) -> object:
    return await extension.call_async(path[0], path=path[1:]) if path else "arrived"


@extension.operation
async def blocking_there(path: list) -> object:
    return extension.call(path[0], path=path[1:]) if path else "arrived"


@extension.operation
async def by_a_thread(path: list) -> object:
    import asyncio
    return await asyncio.to_thread(extension.call, path[0], path=path[1:])


@extension.operation
def nap(seconds: float) -> float:
    import time
    time.sleep(seconds)
    return seconds


@extension.operation
async def nap_later(seconds: float) -> float:
    import asyncio
    await asyncio.sleep(seconds)
    return seconds
"""
CALLS = '[extension.permissions]\ncalls = ["a.*", "b.*", "c.*"]\n'
SERVED = [
    ["a.async_there", "b.there", "a.there"],
    ["a.async_there", "a.there"],
    ["a.async_there", "a.async_there", "a.there"],
    ["a.by_a_thread", "b.there", "a.async_there"],
    ["a.blocking_there", "b.there", "a.there"],
    ["a.there", "b.there", "c.there"],
    # More of them than an event loop's pool has threads.
    ["a.async_there"] * 40 + ["a.there"],
]
REFUSED = {
    "a cannot call itself": (
        ["a.there", "a.there"],
        "`a` cannot call `a.there`: it would wait for itself",
    ),
    "nor what runs on its loop": (
        ["a.there", "a.async_there"],
        "`a` cannot call `a.async_there`: it would wait",
    ),
    "nor from there": (
        ["a.blocking_there", "a.async_there"],
        "`a` cannot call `a.async_there`: it would wait",
    ),
    "two": (
        ["a.there", "b.there", "a.there"],
        "`b` cannot call `a.there`: `a` waits for `b.there`, and none of them would ever go on",
    ),
    "three": (
        ["a.there", "b.there", "c.there", "a.there"],
        "`c` cannot call `a.there`: `a` waits for `b.there`, `b` waits for `c.there`, and",
    ),
    "over a loop": (
        ["a.blocking_there", "b.there", "a.blocking_there"],
        "`b` cannot call `a.blocking_there`: `a` waits for `b.there`, and",
    ),
}


@pytest.fixture(scope="module")
def friends(shared_workshop):
    for name in "abc":
        shared_workshop.extension(name, FRIENDS, CALLS)
    with running(shared_workshop) as system:
        yield system


def go(system, path):
    extension, _, operation = path[0].partition(".")
    return system.kit.extension(extension).options(timeout=20.0).call(operation, path=path[1:])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", SERVED, ids=lambda path: " -> ".join(path[:4]))
def test_what_can_be_answered_is(path, friends):
    assert go(friends, path) == "arrived"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", REFUSED)
def test_what_never_could_is_refused_at_once(case, friends):
    path, text = REFUSED[case]
    begun = time.monotonic()
    with pytest.raises(RemoteError) as caught:
        go(friends, path)
    assert time.monotonic() - begun < 5.0
    assert text in str(caught.value)
    # Nobody is left waiting, and the next one of each is served.
    for name in "abc":
        assert go(friends, [f"{name}.there"]) == go(friends, [f"{name}.async_there"]) == "arrived"


@pytest.mark.timeout(120)
def test_callers_that_meet_by_chance_are_no_ring(friends):
    answers, paths = [], [["a.there", "b.there"], ["c.there", "a.there"], ["b.there", "c.there"]]

    def work(path):
        for _ in range(20):
            try:
                answers.append(go(friends, path))
            except RemoteError as error:
                # Three at once may wait for each other in a ring; then it is said.
                assert "none of them would ever go on" in str(error)
                answers.append("refused")

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 60


def at_once(extension, operation, seconds):
    """Calls an operation on threads, one after the other."""
    threads = [
        threading.Thread(target=extension.call, args=(operation,), kwargs={"seconds": span})
        for span in seconds
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    return threads


@pytest.mark.timeout(60)
def test_health_names_the_operation_that_holds_up_the_others(friends):
    threads = at_once(friends.kit.extension("a"), "nap", (8.0, 0.0, 0.0))
    text = ""
    while "2 calls wait" not in text and any(thread.is_alive() for thread in threads):
        text = str(friends.health())
        time.sleep(0.1)
    assert "`nap` has had no answer for" in text
    assert "and 2 calls wait behind it" in text
    for thread in threads:
        thread.join(30)
    assert "held up" not in str(friends.health())


@pytest.mark.timeout(60)
def test_operations_that_run_beside_others_hold_up_nobody(friends):
    threads = at_once(friends.kit.extension("b"), "nap_later", (5.0, 5.0, 5.0))
    while any(thread.is_alive() for thread in threads):
        assert "held up" not in str(friends.health())
        time.sleep(0.2)
