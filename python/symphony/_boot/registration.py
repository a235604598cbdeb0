"""From what users gave to `boot()` to the core's registry."""

from __future__ import annotations

import sys

from symphony import _core
from symphony._components.collect import collect, describe_conductor
from symphony.conductor import Conductor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphony._boot.container import Live
    from symphony._boot.starter import Starter
    from symphony._core import ComponentSpec


def register(starter: Starter, components: Iterable[Any]) -> None:
    """Registers what users gave to `boot(components=…, overrides=…)`.

    Raises:
        TypeError: The Conductor is among what is overridden.
    """
    if any(
        key is starter.conductor or (isinstance(key, type) and issubclass(key, Conductor))
        for key in starter.overrides
        if key is not None
    ):
        raise TypeError("the Conductor is not overridden: give another as `conductor=`")
    collected = collect(
        components,
        starter.overrides,
        namespace=starter.namespace,
        declared=starter.declared,
        look_through=lambda module: _look_through(starter, module),
    )
    for name in collected.replaced:
        starter.core.replace(name)
    for spec in collected.specs:
        _add(starter, starter.container.register(spec))
    starter.core.faults(collected.diagnostics)
    starter.apart = collected.apart


def _look_through(starter: Starter, module: Any) -> list[Any]:
    """The components of a module; its import is user code, of which the report tells as of the Conductor's."""
    from symphony._components.scan import scan

    name: str = module.partition(":")[0] if isinstance(module, str) else module.__name__
    before, is_new = len(sys.modules), name not in sys.modules
    token = starter.core.outside_begun(f"import {name}")
    found = scan(module)
    # What was imported already took no time, also of a package.
    if is_new or len(sys.modules) > before:
        starter.core.outside_ended(token)
    return found


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
    there = [live.spec for live in starter.container.lives]
    others = [one for one in there if one.name == spec.name]
    if others:
        _core.qualify(others, spec)
    _core.settle_names([spec], there)
    spec.phase = "conductor"
    spec.main_thread = True
    starter.core.faults(faults)
    starter.spec = spec
    _add(starter, starter.container.register(spec), conductor=True)
    _add_late_binding(starter)
    if starter.apart and not isinstance(conductor, str):
        from symphony._components.stand_ins import unmatched

        faults = unmatched(starter.apart, [live.spec for live in starter.container.lives])
        starter.core.faults(faults)
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
    found.name = spec.name
    specs = [found if live.spec is spec else live.spec for live in starter.container.lives]
    _core.settle_names([found], specs)
    faults += newcomer_faults(starter, specs, found, found.name, is_up=False)
    if faults:
        raise _core.plan_error(faults, phase="conductor")
    spec.target, spec.kind, spec.needs = target, found.kind, found.needs
    spec.made, spec.entered, spec.may_be_none = found.made, found.entered, found.may_be_none
    spec.start, spec.health, spec.stop = found.start, found.health, found.stop


def newcomer_faults(
    starter: Starter,
    specs: list[ComponentSpec],
    newcomer: ComponentSpec,
    called: str,
    *,
    is_up: bool,
) -> list[_core.Diagnostic]:
    """What the planner has against a component that comes later.

    Args:
        starter: Whose core plans.
        specs: Every component that is there, the newcomer in the place of the one that it replaces.
        newcomer: That component.
        called: What people call it.
        is_up: The system is up already.
    """
    place = next(at for at, spec in enumerate(specs) if spec is newcomer)
    faults = starter.core.newcomer_faults(specs, place, called, is_up)
    if faults:
        # Only a fault pays for the look at the sources.
        from symphony._components.places import locate

        locate(specs)
        faults = starter.core.newcomer_faults(specs, place, called, is_up)
    return faults


def _add(starter: Starter, live: Live, *, conductor: bool = False) -> None:
    live.slot = starter.core.add(live, live.spec, conductor)


def _add_late_binding(starter: Starter) -> None:
    """Registers the component that binds late edges, where there is one."""
    if starter.core.has_late:
        starter.binds_late = True
        starter.core.add_late_binding(starter.container)
