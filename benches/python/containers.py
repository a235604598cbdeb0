"""Dependency containers for Python, each with fifty singletons in five layers: what `container` measures beside us.

Every class is new each time, so that nobody profits from what it has seen before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, DEPTH = 10, 5


def graph() -> dict[type, tuple[type, ...]]:
    """Fifty classes, each with those that it needs; whoever is needed comes first."""
    names: dict[str, Any] = {}
    needs: dict[type, tuple[type, ...]] = {}
    above: list[type] = []
    for layer in range(DEPTH):
        row: list[type] = []
        for place in range(WIDTH):
            wanted = [above[place], above[(place + 1) % WIDTH]] if above else []
            parameters = "".join(f", a{n}: {one.__name__}" for n, one in enumerate(wanted))
            stores = "; ".join(f"self.a{n} = a{n}" for n in range(len(wanted))) or "pass"
            slots = "".join(f"'a{n}', " for n in range(len(wanted)))
            name = f"C{layer}x{place}"
            source = (
                f"class {name}:\n"
                f"    __slots__ = ({slots})\n"
                f"    def __init__(self{parameters}) -> None: {stores}\n"
                f"    def method(self): return 1\n"
            )
            # Real annotations: not every container reads texts.
            exec(compile(source, "<graph>", "exec", dont_inherit=True), names)
            row.append(names[name])
            needs[names[name]] = tuple(wanted)
        above = row
    return needs


def by_hand(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """A loop over a dictionary: the floor."""
    made: dict[type, Any] = {}
    for one, wanted in needs.items():
        made[one] = one(*[made[need] for need in wanted])
    return made.__getitem__


def dependency_injector(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """Its providers, which get their edges by hand."""
    from dependency_injector import containers, providers

    container = containers.DynamicContainer()
    made: dict[type, Any] = {}
    for one, wanted in needs.items():
        edges = {f"a{place}": made[need] for place, need in enumerate(wanted)}
        made[one] = providers.ThreadSafeSingleton(one, **edges)
        setattr(container, one.__name__, made[one])
    return lambda key: made[key]()


def wireup(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """It reads annotations and validates."""
    import wireup as library

    marked = [library.injectable(one) for one in needs]
    return library.create_sync_container(injectables=marked).get


def dishka(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """It reads annotations, validates and generates code."""
    from dishka import Provider, Scope, make_container

    provider = Provider(scope=Scope.APP)
    for one in needs:
        provider.provide(one)
    return make_container(provider).get


def svcs(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """Its factories get their edges by hand."""
    import svcs as library

    registry = library.Registry()

    def factory(one: type, wanted: tuple[type, ...]) -> Any:
        def make(svcs_container: library.Container) -> Any:
            return one(*[svcs_container.get(need) for need in wanted])

        return make

    for one, wanted in needs.items():
        registry.register_factory(one, factory(one, wanted))
    return library.Container(registry).get


def lagom(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """It reads annotations."""
    from lagom import Container, Singleton

    container = Container()
    for one in needs:
        container[one] = Singleton(one)
    return container.resolve


def punq(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """It reads annotations."""
    import punq as library

    container = library.Container()
    for one in needs:
        container.register(one, scope=library.Scope.singleton)
    return container.resolve


def dioxide(needs: dict[type, tuple[type, ...]]) -> Callable[[type], Any]:
    """Its core is Rust; its factories get their edges by hand."""
    from dioxide import Container

    container = Container()

    def factory(one: type, wanted: tuple[type, ...]) -> Any:
        return lambda: one(*[container.resolve(need) for need in wanted])

    for one, wanted in needs.items():
        container.register_singleton_factory(one, factory(one, wanted))
    return container.resolve


PEERS: dict[str, Callable[[dict[type, tuple[type, ...]]], Callable[[type], Any]]] = {
    "dependency-injector": dependency_injector,
    "wireup": wireup,
    "dishka": dishka,
    "svcs": svcs,
    "lagom": lagom,
    "punq": punq,
    "dioxide": dioxide,
}
