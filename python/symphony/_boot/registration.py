"""From specifications to the core's registry: the one place where Python types become keys."""

from __future__ import annotations

from symphony import _core
from symphony._components.annotations import text_of
from symphony._components.collect import ComponentSpec, collect, describe_conductor
from symphony._components.spec import qualify_conductor
from symphony._work.kit import OrchestraKit
from symphony._work.pit import Pit
from symphony.conductor import Conductor
from symphony.exceptions import Diagnostic, plan_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphony._boot.container import Live
    from symphony._boot.starter import Starter

    _Keys = dict[Any, _core.Key]
else:
    _Keys = dict


def key_of(key: Any) -> tuple[str, str]:
    """Id and label of a key: what the core provides by its own name, a type by its identity."""
    own = own_keys().get(key)
    if own is not None:
        return own
    if isinstance(key, str):
        return (key, key.rpartition(".")[2])
    if type(key) is type:
        return (f"{key.__module__}.{key.__name__}#{id(key):x}", key.__name__)
    label = text_of(key)
    if getattr(key, "__args__", None) is not None:
        # `Box[int]` is another object each time it is written, and the same key.
        return (f"{label}#{hash(key):x}", label)
    return (f"{getattr(key, '__module__', '')}.{label}#{id(key):x}", label)


_OWN: dict[Any, tuple[str, str]] = {}


_OWN_PHASES = {
    "ipc-bus": "ipc_bus",
    "pit": "pit",
    "pool-manager": "pit",
    "dag-tracker": "pit",
    "artifact-store": "pit",
    "arbitration-engine": "pit",
    "stale-manager": "pit",
    "orchestra-kit": "orchestra_kit",
}


def own_keys() -> dict[Any, tuple[str, str]]:
    """The types whose objects the core provides."""
    if not _OWN:
        _OWN.update(
            {
                _core.IpcBus: ("ipc-bus", "IpcBus"),
                Pit: ("pit", "Pit"),
                OrchestraKit: ("orchestra-kit", "OrchestraKit"),
                _core.PoolManager: ("pool-manager", "PoolManager"),
                _core.DagTracker: ("dag-tracker", "DagTracker"),
                _core.ArtifactStore: ("artifact-store", "ArtifactStore"),
                _core.ArbitrationEngine: ("arbitration-engine", "ArbitrationEngine"),
                _core.StaleManager: ("stale-manager", "StaleManager"),
            }
        )
    return _OWN


class Keys(_Keys):
    """The core's key of each key of one boot, made when it is first asked for."""

    __slots__ = ()

    def __missing__(self, key: Any) -> _core.Key:
        """Makes it."""
        made = self[key] = _core.Key(*key_of(key))
        return made


def register(starter: Starter, components: Iterable[Any]) -> None:
    """Registers what users gave to `boot(components=…, overrides=…)`."""
    collected = collect(components, starter.overrides, namespace=starter.namespace)
    for key in collected.overridden:
        own = own_keys().get(key)
        if own is not None:
            starter.core.replace(own[0])
    for spec in collected.specs:
        for key in spec.replaces or ():
            # What stands in for a part of the core starts in the phase of that part: others of it need it there.
            spec.phase = _OWN_PHASES.get(own_keys().get(key, ("", ""))[0], spec.phase)
        _add(starter, starter.container.register(spec))
    _refuse(starter, collected.diagnostics)


def conductor_spec(starter: Starter) -> ComponentSpec:
    """Registers the Conductor; of one named by string its needs are read from source."""
    conductor = starter.conductor
    if conductor is None:
        conductor = starter.conductor = Conductor
    if isinstance(conductor, str):
        from symphony._static.operations import factory_spec

        spec, faults = factory_spec(conductor)
    else:
        spec, faults = describe_conductor(conductor, starter.namespace)
    qualify_conductor(spec, [live.spec for live in starter.container.lives])
    spec.phase = "conductor"
    spec.main_thread = True
    _refuse(starter, faults)
    starter.spec = spec
    _add(starter, starter.container.register(spec), conductor=True)
    _add_late_binding(starter)
    return spec


def relocate(starter: Starter) -> None:
    """Adds every component once more, with the exact places that only a look at the sources tells.

    The core calls for it when the plan is at fault, so that a good plan never pays for it.
    """
    from symphony._components.places import locate

    lives = starter.container.lives
    locate([live.spec for live in lives])
    for live in lives:
        _add(starter, live, conductor=live.spec is starter.spec)
    _add_late_binding(starter)


def resolve_conductor(starter: Starter, spec: ComponentSpec) -> None:
    """Imports the module of a Conductor named by string, and checks the edges that were read from its source.

    Runs on the calling thread while the core boots.
    """
    from symphony._components.scan import attribute_of, load

    module, _, attribute = starter.conductor.partition(":")
    target = attribute_of(load(module), attribute)
    found, faults = describe_conductor(target)
    faults += _unmet(starter, found)
    if faults:
        raise plan_error("", faults, phase="conductor")
    spec.target, spec.kind, spec.needs = target, found.kind, found.needs
    spec.start, spec.health, spec.stop = found.start, found.health, found.stop


def _unmet(starter: Starter, spec: ComponentSpec) -> list[Diagnostic]:
    """Faults of the edges of a Conductor that was just imported: the plan may not have known all of them."""
    specs = [live.spec for live in starter.container.lives]
    faults: list[Diagnostic] = []
    for need in spec.needs:
        if need.kind in ("optional", "every") or need.key in own_keys():
            continue
        names = [
            one.name for one in specs if need.key in one.provides and need.named in (None, one.name)
        ]
        if len(names) == 1:
            continue
        from symphony._components.places import missing_hint, place

        label = key_of(need.key)[1]
        if names:
            code, path = "ambiguous-dependency", [spec.name, *names]
            told = ", ".join(f"`{name}`" for name in names)
            text = f"`{spec.name}` needs one `{label}`, and {len(names)} provide it: {told}"
            hint = f'say which one by its name (`Annotated[{label}, "{names[0]}"]`)'
        else:
            code, path = "missing-dependency", [spec.name, label]
            text = f"`{spec.name}` needs `{label}`, and nobody provides it"
            hint = missing_hint(need.key, specs) or f"register a component that provides `{label}`"
        file, line, column = place(spec, need.parameter)
        faults.append(
            Diagnostic(code, text, file=file, line=line, column=column, path=path, hint=hint)
        )
    return faults


def _refuse(starter: Starter, faults: list[Diagnostic]) -> None:
    """Hands faults to the core, which tells them together with its own."""
    for fault in faults:
        starter.core.fault({**fault.to_dict(), "related": fault.related})


def _add(starter: Starter, live: Live, *, conductor: bool = False) -> None:
    spec = live.spec
    keys, file = starter.keys, spec.file
    needs: list[tuple[Any, ...]] = [
        (
            keys[need.key],
            need.kind,
            need.named,
            need.parameter,
            # Most needs are written where their component is, and then its file serves for both.
            None if need.file is file else need.file,
            need.line,
            need.column,
            need.hint,
        )
        for need in spec.needs
    ]
    if conductor:
        needs += _unread(starter, spec)
    live.slot = starter.core.add(
        live,
        spec.name,
        spec.phase,
        [keys[key] for key in spec.provides] or [_core.Key(*_CONDUCTOR)],
        needs,
        "calling" if spec.main_thread else "own" if spec.own_thread else "shared",
        spec.required,
        None if conductor else spec.timeout,
        file,
        spec.line,
        spec.column,
        conductor,
    )


def _add_late_binding(starter: Starter) -> None:
    """Registers the component that binds late edges, where there is one; it starts after all that they connect."""
    lives = starter.container.lives
    edges: list[tuple[Any, ...]] = []
    for live in lives:
        for need in live.spec.needs:
            if need.kind == "late":
                edges += (
                    _after(starter, live),
                    (starter.keys[need.key], "every", need.named, *_NOWHERE),
                )
    if not edges:
        return
    from symphony._boot.late_binding import LateBinding

    starter.binds_late = True
    edges.append(_after(starter, lives[-1]))
    starter.core.add_late_binding(LateBinding(starter.container), edges)


# What a Conductor provides whose factory does not say what it makes.
_CONDUCTOR = ("conductor", "Conductor")
_NOWHERE = (None, None, 0, 0, None)


def _after(starter: Starter, live: Live) -> tuple[Any, ...]:
    """The edge of what starts after a component, however that ends."""
    provides = live.spec.provides
    key = starter.keys[provides[0]] if provides else _core.Key(*_CONDUCTOR)
    return (key, "optional", live.spec.name, *_NOWHERE)


def _unread(starter: Starter, spec: ComponentSpec) -> list[tuple[Any, ...]]:
    """The edges of a Conductor whose source tells nothing: it may need any component, so it waits for each."""
    if not isinstance(starter.conductor, str) or spec.file is not None:
        return []
    return [
        _after(starter, other)
        for other in starter.container.lives
        if other.spec is not spec and other.spec.provides
    ]
