"""A consumer's attributes stay inside it: nothing of ours makes the interpreter build its `__dict__`.

An object whose `__dict__` was looked at once is slower from then on: 1.48 times on 3.11, 1.75 times on 3.12.
"""

from __future__ import annotations

import gc
import sys

from symphony import Handle, Late, boot

# Before 3.11 every object with attributes has its dictionary from the start.
INLINE = sys.version_info >= (3, 11)


class Store:
    def stop(self) -> None: ...


class Consumer:
    def __init__(self, store: Store, handle: Handle[Store], later: Late[Later]) -> None:
        self.store = store
        self.handle = handle
        self.later = later


class Later:
    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer


def has_dictionary(consumer) -> bool:
    dictionaries = [one for one in gc.get_objects() if type(one) is dict and is_like(one)]
    return any(one["store"] is consumer.store for one in dictionaries)


def is_like(dictionary) -> bool:
    """Whether it has the consumer's names; keys of other libraries may raise where they are compared."""
    keys = list(dictionary)
    return all(type(key) is str for key in keys) and keys == ["store", "handle", "later"]


def test_injection_swap_and_experiment_leave_attributes_where_they_are():
    with boot(components=[Store, Consumer, Later]) as system:
        consumer = system[Consumer]
        first = consumer.store
        assert has_dictionary(consumer) != INLINE
        report = system.swap(Store, Store)
        assert len(report.rewritten) >= 1
        assert consumer.store is not first
        with system.experiment(Store, {"a": Store, "b": Store}, split={"a": 0.5, "b": 0.5}):
            assert has_dictionary(consumer) != INLINE
        assert has_dictionary(consumer) != INLINE
        # So the look itself finds one where there is one.
        assert vars(consumer)["store"] is consumer.store
        assert has_dictionary(consumer)


def test_a_system_has_its_own_attributes_inside_too():
    with boot() as system:
        dictionaries = [one for one in gc.get_objects() if type(one) is dict]
        # Keys of other libraries may raise where they are compared.
        texts = [one for one in dictionaries if all(type(key) is str for key in list(one))]
        # From 3.13 on, only what is made upon `object` alone has them inside.
        inside = INLINE and sys.version_info < (3, 13)
        assert any(one.get("_running") is system._running for one in texts) != inside
