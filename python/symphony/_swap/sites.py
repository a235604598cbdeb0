"""Injection sites: where a consumer holds what was injected, and how all are rewritten at once.

Called by a swap and by an experiment. A site is an attribute or slot, found by identity with
`getattr` over the names in the constructor's code; a consumer's `__dict__` is never touched,
because that slows the consumer for good. Invariant: a rewrite is whole or it did not happen.
"""

from __future__ import annotations

from itertools import repeat

from symphony._components.handles import Handle, Late, bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from symphony._boot.container import Container, Live

_CODE: Any = type((lambda: None).__code__)
# `Handle.value` is a slot at run time, whatever the type checkers are told.
_SLOT: Any = type(Handle.__dict__["value"])
_MAKERS = ("__new__", "__init__", "start")
ABSENT: Any = object()
# Values that are shared by whoever writes the same one: identity alone does not say that it was
# injected.
SHARED = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset, type)


class Sites:
    """Every place that holds one object which was injected, ready to be rewritten.

    Attributes:
        attributes: The consumer and the name of each attribute.
        rewritten: Consumer and attribute of each site, in words.
        handles: How many handles hold it.
    """

    __slots__ = (
        "_container",
        "_custom",
        "_frozen",
        "_keys",
        "_lists",
        "_plain",
        "_provided",
        "attributes",
        "handles",
        "rewritten",
    )

    def __init__(self, container: Container) -> None:
        """Holds no place yet."""
        self._container = container
        self._plain = _Places()
        self._frozen = _Places()
        self._custom = _Places()
        self._lists: list[tuple[list[Any], int]] = []
        self._keys: list[Any] = []
        self._provided: list[Any] | None = None
        self.attributes: list[tuple[Live, str]] = []
        self.rewritten: list[tuple[str, str]] = []
        self.handles = 0

    def find(self, live: Live, shown: Any, consumers: Iterable[Live]) -> Sites:
        """Finds every place that holds the object which consumers see of a component."""
        container = self._container
        for consumer in consumers:
            if consumer is not live:
                self._of_consumer(consumer, live, shown)
        for handle in container.handles():
            if type(handle) in (Handle, Late) and handle.value is shown:
                self._plain.add(handle, "value")
                self.handles += 1
        return self

    def find_again(self, before: Sites, live: Live, shown: Any, consumers: Iterable[Live]) -> Sites:
        """Finds the places that were found once, and those that came to hold the object since.

        Args:
            before: What was found; a place among them is one whatever it holds now.
            live: The component.
            shown: The object that consumers see of it.
            consumers: The components that came since.
        """
        container = self._container
        for consumer, name in before.attributes:
            if consumer.is_built:
                self.add(consumer.instance, name)
                self.rewritten.append((consumer.spec.name, name))
        for consumer in consumers:
            self._of_consumer(consumer, live, shown)
        provided = live.spec.provides
        for handle in container.handles_of(provided):
            if type(handle) in (Handle, Late) and handle.value is shown:
                self._plain.add(handle, "value")
                self.handles += 1
        known = [id(every) for every, _ in self._lists]
        for every, need, _ in container.lists:
            place = _index(every, shown)
            if need.key in provided and place >= 0 and id(every) not in known:
                self._lists.append((every, place))
        self._provided = provided
        return self

    def _of_consumer(self, consumer: Live, live: Live, shown: Any) -> None:
        parameters = [need.parameter for need in consumer.spec.needs if asks(need, live)]
        if not parameters:
            return
        instance = consumer.instance
        lists = [
            every
            for every, _, owner in self._container.lists
            if owner is consumer and _index(every, shown) >= 0
        ]
        for name in names_of(type(instance)):
            value = attribute(instance, name)
            if value is shown:
                if isinstance(shown, SHARED) and name.strip("_") not in parameters:
                    continue
                self.add(instance, name)
                self.attributes.append((consumer, name))
                self.rewritten.append((consumer.spec.name, name))
                continue
            for every in lists:
                if value is every:
                    self.rewritten.append((consumer.spec.name, f"{name}[{_index(every, shown)}]"))
        self._lists += [(every, _index(every, shown)) for every in lists]

    def add(self, instance: Any, name: str) -> None:
        """Adds one attribute."""
        kind: Any = type(instance)
        if kind.__setattr__ is object.__setattr__:
            self._plain.add(instance, name)
        elif getattr(getattr(kind, "__dataclass_params__", None), "frozen", False):
            self._frozen.add(instance, name)
        else:
            self._custom.add(instance, name)

    def restore(self, shown: Any, value: Any) -> None:
        """Rewrites every place that lets itself be rewritten.

        Raises:
            Exception: What the first consumer whose own `__setattr__` refused it raised.
        """
        refused: BaseException | None = None
        for instance, name in (*self._plain, *self._custom):
            try:
                setattr(instance, name, value)
            except Exception as error:  # noqa: BLE001 - the others go on, and the first is raised.
                refused = refused or error
        self._plain, self._custom = _Places(), _Places()
        self._put(shown, value)
        if refused is not None:
            raise refused

    def put(self, old: Any, new: Any) -> None:
        """Rewrites all places; where one refuses, every one has the old object again.

        Raises:
            Exception: What a consumer's own `__setattr__` raised.
        """
        try:
            self._put(old, new)
        except BaseException:
            self._undo(old)
            raise

    def _put(self, old: Any, value: Any) -> None:
        # Each `any(map(…))` is one call into C, in which no other Python thread runs; the setters
        # return None.
        values = repeat(value)
        plain, frozen, custom = self._plain, self._frozen, self._custom
        any(map(setattr, plain.instances, plain.names, values))
        any(map(object.__setattr__, frozen.instances, frozen.names, values))
        any(map(setattr, custom.instances, custom.names, values))
        for every, index in self._lists:
            every[index] = value
        self._keep(self._known(old), value)

    def _known(self, shown: Any) -> list[Any]:
        """The keys under which the container keeps it, also those that were asked for since it was looked for."""
        provided = self._provided
        return [
            key
            for key, value in list(self._container.instances.items())
            if value is shown and (provided is None or key in provided)
        ]

    def _keep(self, keys: list[Any], value: Any) -> None:
        container = self._container
        self._keys = keys
        container.turn += 1
        for key in keys:
            container.instances[key] = value
            if key in container.found:
                container.found[key] = value
        # Once more: one that asked in between kept what it had read before.
        container.turn += 1

    def _undo(self, old: Any) -> None:
        for instance, name in (*self._plain, *self._custom):
            try:
                setattr(instance, name, old)
            except Exception:  # noqa: BLE001, S112 - the site is the user's; the others go on.
                continue
        for instance, name in self._frozen:
            object.__setattr__(instance, name, old)
        for every, index in self._lists:
            every[index] = old
        self._keep(self._keys, old)


def bind_late(container: Container, live: Live) -> None:
    """Binds the late edges of a component that came after the boot."""
    for late, need, owner in container.lates:
        if owner is live:
            bind(late, container.lookup(need.key, need.named))


def asks(need: Any, live: Live) -> bool:
    """Whether a need is for the object itself of this component."""
    if need.kind == "late" or need.handle or need.key not in live.spec.provides:
        return False
    return need.named is None or need.named == live.spec.name


def attribute(instance: Any, name: str) -> Any:
    """What an attribute holds, without running a property of its class."""
    for base in type(instance).__mro__:
        found = base.__dict__.get(name, ABSENT)
        if found is ABSENT:
            continue
        if hasattr(found, "__get__") and type(found) is not _SLOT:
            return ABSENT
        break
    try:
        return getattr(instance, name, ABSENT)
    except Exception:  # noqa: BLE001 - a property of the user's that raises is no site.
        return ABSENT


def names_of(kind: type) -> list[str]:
    """The names under which a constructor may have stored something, in the order in which they stand there.

    Methods and properties that it uses are followed.
    """
    names: dict[str, None] = {}
    waiting: list[Any] = []
    seen: set[Any] = set()
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            hidden = slot.startswith("__") and not slot.endswith("__")
            names[f"_{base.__name__.lstrip('_')}{slot}" if hidden else slot] = None
        waiting += [base.__dict__[maker] for maker in _MAKERS if maker in base.__dict__]
    while waiting:
        for code in codes_of(waiting.pop(0)):
            if code in seen:
                continue
            seen.add(code)
            texts = (
                text for text in code.co_consts if isinstance(text, str) and text.isidentifier()
            )
            for name in (*code.co_names, *texts):
                if name in names:
                    continue
                names[name] = None
                waiting += [base.__dict__[name] for base in kind.__mro__ if name in base.__dict__]
            waiting += [constant for constant in code.co_consts if isinstance(constant, _CODE)]
    return list(names)


def codes_of(member: Any) -> list[Any]:
    """The code of a function, of a property's functions, or of what a decorator wrapped."""
    if isinstance(member, _CODE):
        return [member]
    if isinstance(member, property):
        return [
            code
            for function in (member.fget, member.fset)
            if function
            for code in codes_of(function)
        ]
    function = getattr(member, "__func__", member)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return [] if code is None else [code]


class _Places:
    """Attributes: the objects and the names in lists of their own, as `map` takes them."""

    __slots__ = ("instances", "names")

    def __init__(self) -> None:
        self.instances: list[Any] = []
        self.names: list[str] = []

    def add(self, instance: Any, name: str) -> None:
        self.instances.append(instance)
        self.names.append(name)

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        return zip(self.instances, self.names)


def _index(every: list[Any], shown: Any) -> int:
    return next((index for index, value in enumerate(every) if value is shown), -1)
