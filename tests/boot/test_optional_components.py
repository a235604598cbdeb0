"""Components whose failure leaves the system degraded."""

from __future__ import annotations

import json
from typing import Optional

import pytest
from symphony import BootError, Handle, Health, boot, component
from symphony.testing import MockComponent

pytestmark = pytest.mark.usefixtures("nothing_left")


@component(required=False)
class Cache:
    def start(self) -> None:
        raise OSError("no room")


class Reader:
    def __init__(self, cache: Optional[Cache]) -> None:  # noqa: UP045 - as users of 3.9 write it.
        self.cache = cache


class BarReader:
    def __init__(self, cache: Cache | None) -> None:
        self.cache = cache


def statuses(report) -> dict[str, str]:
    return {entry["name"]: entry["status"] for entry in json.loads(report.to_json())["components"]}


def test_it_fails_and_the_boot_goes_on_degraded():
    with boot(components=[Cache, Reader, BarReader]) as system:
        assert system[Reader].cache is None
        assert system[BarReader].cache is None
        assert system.get(Cache, None) is None
        document = json.loads(system.report.to_json())
        assert document["ok"]
        assert statuses(system.report)["Cache"] == "failed"
        assert statuses(system.report)["Reader"] == "ready"
        phases = {entry["name"]: entry["status"] for entry in document["phases"]}
        assert phases["conductor"] == "degraded"


def test_a_handle_of_it_is_none_too():
    class Holds:
        def __init__(self, cache: Handle[Cache] | None) -> None:
            self.cache = cache

    with boot(components=[Cache, Holds]) as system:
        assert system[Holds].cache is None


def test_who_cannot_do_without_it_fails_too():
    class Needs:
        def __init__(self, cache: Cache) -> None:
            self.cache = cache

    with pytest.raises(BootError) as caught:
        boot(components=[Cache, Needs])
    assert caught.value.component == "Needs"
    assert "it needs `Cache`, which did not start" in str(caught.value)
    assert "no room" in str(caught.value.__cause__)


def test_who_is_optional_itself_is_skipped():
    @component(required=False)
    class Needs:
        def __init__(self, cache: Cache) -> None:
            self.cache = cache

    with boot(components=[Cache, Needs]) as system:
        assert statuses(system.report)["Needs"] == "skipped"
        assert system.get(Needs, None) is None


def test_one_that_hangs_is_given_up():
    slow = MockComponent("Slow", hang="start", required=False, timeout=0.1)
    uses = MockComponent("Uses", needs=[Optional[slow]])
    with boot(components=[slow, uses]) as system:
        assert system[uses].injected == {"need_0": None}
        assert statuses(system.report)["Slow"] == "failed"
        slow.release()


def test_a_degraded_component_is_used_and_told():
    class Half:
        def health(self) -> Health:
            return Health.degraded("half the disks")

    with boot(components=[Half]) as system:
        assert statuses(system.report)["Half"] == "degraded"
        health = system.health()
        assert health.state == "degraded"
        assert health.components["Half"].reason == "half the disks"


@pytest.mark.parametrize("answer", [False, Health.unhealthy("no disk"), OSError])
def test_an_unhealthy_one_fails_the_gate(answer):
    class Ill:
        def health(self):
            if answer is OSError:
                raise OSError("no disk")
            return answer

        def stop(self) -> None:
            stopped.append(self)

    stopped = []
    with pytest.raises(BootError) as caught:
        boot(components=[Ill])
    assert caught.value.code == "unhealthy"
    assert "`Ill`" in str(caught.value)
    assert len(stopped) == 1
    if answer is OSError:
        assert isinstance(caught.value.__cause__, OSError)
