"""The wrapper that stands in a component's injection sites while an experiment lasts.

Called by `_experiment` only. It looks like an object of the component's class; a call of one of its
methods is routed to a variant, everything else is asked of what stood there before.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphony._swap.experiment import Experiment

# What makes an object an object is the router's own.
_OWN = {
    "__class__",
    "__class_getitem__",
    "__del__",
    "__delattr__",
    "__dict__",
    "__dir__",
    "__getattr__",
    "__getattribute__",
    "__getstate__",
    "__init__",
    "__init_subclass__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__repr__",
    "__setattr__",
    "__setstate__",
    "__sizeof__",
    "__slots__",
    "__subclasshook__",
    "__weakref__",
}


class Router:
    """Routes the calls of one component."""

    def __init__(self, experiment: Experiment) -> None:
        """Keeps the experiment, which chooses."""
        object.__setattr__(self, "_experiment", experiment)

    def __getattr__(self, name: str) -> Any:
        """A method becomes a route, made once; any other attribute is read where it is."""
        experiment: Experiment = object.__getattribute__(self, "_experiment")
        value = getattr(experiment.current(), name)
        if not callable(value) or isinstance(value, type):
            return value
        route = _route(experiment, name)
        object.__setattr__(self, name, route)
        return route

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets it on what stood there before."""
        setattr(object.__getattribute__(self, "_experiment").current(), name, value)

    def __delattr__(self, name: str) -> None:
        """Deletes it there."""
        delattr(object.__getattribute__(self, "_experiment").current(), name)

    def __repr__(self) -> str:
        """Says what it is."""
        return f"<router of {object.__getattribute__(self, '_experiment')!r}>"


def _route(experiment: Experiment, name: str) -> Any:
    def route(*args: Any, **named: Any) -> Any:
        return experiment.call(name, args, named)

    route.__name__ = name
    return route


def _special(name: str) -> Any:
    """A call of the object itself is routed; the rest, some of which comes in pairs, goes where it went before."""
    if name == "__call__":

        def called(self: Any, /, *args: Any, **named: Any) -> Any:
            return object.__getattribute__(self, "_experiment").call(name, args, named)

        return called

    def special(self: Any, /, *args: Any, **named: Any) -> Any:
        return getattr(object.__getattribute__(self, "_experiment").current(), name)(*args, **named)

    return special


def make_router(experiment: Experiment, kind: type) -> Any:
    """A router that has the special methods of a class, and says that it is of that class."""
    body: dict[str, Any] = {"__class__": property(lambda _self: kind)}
    for base in kind.__mro__[:-1]:
        for name, value in base.__dict__.items():
            special = name.startswith("__") and name.endswith("__")
            if special and callable(value) and name not in _OWN and name not in body:
                body[name] = _special(name)
    if body.get("__eq__") is not None and "__hash__" not in body:
        body["__hash__"] = None
    return type("Router", (Router,), body)(experiment)
