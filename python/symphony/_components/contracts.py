"""Contracts: whether what provides a `Protocol` has its methods and attributes, as a type checker would see it.

Asked by `_components` for components that provide a `Protocol`, and by `_contract_source` for the
same in text. The invariants kept here: nothing of this module is imported for a system without
Protocols; a difference is a fault only where it is plain, and what is not known is no fault.
"""

from __future__ import annotations

import sys

from symphony.exceptions import Diagnostic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from symphony._components.spec import ComponentSpec

METHOD, ATTRIBUTE, UNKNOWN = "method", "attribute", "unknown"
# What `typing` and the compiler put into the body of a Protocol, or what nobody calls on an
# instance.
NOT_ASKED = frozenset(
    (
        "__init__",
        "__new__",
        "__del__",
        "__getattr__",
        "__getattribute__",
        "__init_subclass__",
        "__class_getitem__",
        "__subclasshook__",
        "__annotate__",
        "__annotate_func__",
        "__static_attributes__",
        "__conditional_annotations__",
    )
)
_OWN_OF_TYPING = frozenset(("_is_protocol", "_is_runtime_protocol", "_abc_impl"))
_FUNCTION: Any = type(lambda: None)
_COROUTINE, _ASYNC_GENERATOR = 0x80, 0x200
_STAR, _STARS = 0x04, 0x08


class Parameters:
    """What a method may be called with, without `self`.

    Attributes:
        positional: For each its name, whether it has a default, whether it is positional only.
        keywords: The keyword-only ones, and whether each has a default.
        star: It takes `*args`.
        stars: It takes `**kwargs`.
    """

    __slots__ = ("keywords", "positional", "star", "stars")

    def __init__(
        self,
        positional: list[tuple[str, bool, bool]],
        keywords: Mapping[str, bool],
        *,
        star: bool,
        stars: bool,
    ) -> None:
        """Keeps the fields."""
        self.positional = positional
        self.keywords = keywords
        self.star = star
        self.stars = stars


class Member:
    """A method or an attribute, of a Protocol or of what provides it.

    Attributes:
        kind: `method`, `attribute`, or `unknown` where only running it would tell.
        parameters: Those of a method.
        is_async: It is a coroutine function.
        plain: Whether its result, or its value, is of a type that is said and that can be neither
            awaited nor called; or what tells, because a type is looked up only where it matters.
        is_unsure: It was read from text, which does not tell whether it is plain, or what it is.
    """

    __slots__ = ("is_async", "is_unsure", "kind", "parameters", "plain")

    def __init__(
        self,
        kind: str,
        parameters: Parameters | None = None,
        *,
        is_async: bool = False,
        plain: bool | Callable[[], bool] = False,
        is_unsure: bool = False,
    ) -> None:
        """Keeps the fields."""
        self.kind = kind
        self.parameters = parameters
        self.is_async = is_async
        self.plain = plain
        self.is_unsure = is_unsure

    @property
    def is_plain(self) -> bool:
        """Whether the type is said, and can be neither awaited nor called."""
        if not isinstance(self.plain, bool):
            self.plain = self.plain()
        return self.plain


def missing_text(made: str, protocol: str, name: str, asked: Member) -> str:
    """The message for a member that is not there."""
    return f"`{made}` provides `{protocol}` and has no {asked.kind} `{name}`"


def difference(made: str, protocol: str, name: str, asked: Member, given: Member) -> str | None:
    """The message for a member that is not what the Protocol asks for; nothing where it may be.

    Args:
        made: What people read for the class that provides.
        protocol: What people read for the Protocol.
        name: The member's.
        asked: As the Protocol has it.
        given: As the class has it.
    """
    if UNKNOWN in (asked.kind, given.kind):
        return None
    given_text, asked_text = f"`{made}.{name}`", f"`{protocol}.{name}`"
    told = None
    if asked.kind != given.kind:
        if asked.kind == METHOD and given.is_plain:
            told = f"is no method, and {asked_text} is one"
        elif given.kind == METHOD and asked.is_plain:
            told = f"is a method, and {asked_text} is none"
    elif asked.is_async and not given.is_async and given.is_plain:
        told = f"is not `async`, and {asked_text} is"
    elif given.is_async and not asked.is_async and asked.is_plain:
        told = f"is `async`, and {asked_text} is not"
    elif asked.parameters is not None and given.parameters is not None:
        told = _parameters_differ(asked_text, asked.parameters, given.parameters)
    return None if told is None else f"{given_text} {told}"


def _parameters_differ(asked_text: str, asked: Parameters, given: Parameters) -> str | None:
    """Whether some call that the Protocol allows would be refused.

    Names of parameters that may be given by position may differ, as mypy has it, but not stand
    in another order.
    """
    told = None
    if not (asked.star and asked.stars):
        # `(*args, **kwargs)` is how a Protocol says that it does not care.
        told = _refused(asked_text, asked, given) or _demanded(asked_text, asked, given)
        if told is None and asked.star and not given.star:
            told = f"does not take `*` arguments, which {asked_text} does"
        elif told is None and asked.stars and not given.stars:
            told = f"does not take `**` arguments, which {asked_text} does"
    return told


def _demanded(asked_text: str, asked: Parameters, given: Parameters) -> str | None:
    """The first argument that the method cannot do without and the Protocol does not give."""
    for name, default, _ in given.positional[len(asked.positional) :]:
        if not (default or name in asked.keywords):
            return f"needs `{name}`, which {asked_text} does not give"
    for name, default in given.keywords.items():
        if not (default or name in asked.keywords):
            return f"needs `{name}`, which {asked_text} does not give"
    return None


def _refused(asked_text: str, asked: Parameters, given: Parameters) -> str | None:
    """The first argument of the Protocol that the method does not take, or not in that way."""
    places = {name: at for at, (name, _, only) in enumerate(given.positional) if not only}
    told = None
    for index, (name, default, only) in enumerate(asked.positional):
        if not only and places.get(name, index) != index:
            told = f"takes `{name}` in another place than {asked_text} gives it"
        elif index >= len(given.positional):
            told = None if given.star else f"does not take `{name}`, which {asked_text} gives"
        else:
            taken, has_default, by_position = given.positional[index]
            if default and not has_default:
                told = f"needs `{taken}`, which {asked_text} may leave out"
            elif given.stars and not (only or has_default) and (by_position or taken != name):
                told = (
                    f"takes `{name}=` among its `**` arguments, where {asked_text} means `{taken}`"
                )
        if told is not None:
            return told
    return _keyword_refused(asked_text, asked, given)


def _keyword_refused(asked_text: str, asked: Parameters, given: Parameters) -> str | None:
    """The first keyword of the Protocol that the method does not take, or cannot do without."""
    by_name = {name: default for name, default, only in given.positional if not only}
    by_name.update(given.keywords)
    for name, default in asked.keywords.items():
        if name not in by_name:
            if not given.stars:
                return f"does not take `{name}=`, which {asked_text} gives"
        elif default and not by_name[name]:
            return f"needs `{name}`, which {asked_text} may leave out"
    return None


def claims(spec: ComponentSpec) -> list[Any]:
    """The Protocols that a component provides beside what it makes."""
    return [key for key in spec.provides if is_protocol(key) and key is not spec.made]


def is_protocol(key: Any) -> bool:
    """Whether it is a class made with `Protocol` among its bases."""
    return isinstance(key, type) and key.__dict__.get("_is_protocol") is True


def contract_faults(specs: Iterable[ComponentSpec]) -> list[Diagnostic]:
    """Every member of a Protocol that its provider lacks or has in another way."""
    faults: list[Diagnostic] = []
    known: dict[Any, dict[str, Member]] = {}
    compared: set[tuple[int, int]] = set()
    for spec in specs:
        made = spec.made
        if not isinstance(made, type):
            continue
        for protocol in claims(spec):
            # What was registered twice has each fault once.
            if (id(spec.target), id(protocol)) in compared:
                continue
            compared.add((id(spec.target), id(protocol)))
            if protocol not in known:
                known[protocol] = dict(_asked(protocol))
            for name, asked in known[protocol].items():
                text = _compare(spec, made, protocol, name, asked)
                if text is not None:
                    from symphony._components.places import contract_fault

                    faults.append(contract_fault(spec, made, protocol, name, text))
    return faults


def _compare(
    spec: ComponentSpec, made: type, protocol: type, name: str, asked: Member
) -> str | None:
    """The message for one member; nothing where it fits, or may fit."""
    given = _given(made, name)
    if given is None:
        if _made_while_running(spec, made, name):
            return None
        return missing_text(made.__name__, protocol.__name__, name, asked)
    return difference(made.__name__, protocol.__name__, name, asked, given)


def _asked(protocol: type) -> Iterator[tuple[str, Member]]:
    """What a Protocol asks for, in the order in which it was written, its base Protocols' too."""
    seen: set[str] = set()
    for base in protocol.__mro__:
        if not is_protocol(base) or base.__module__ in ("typing", "typing_extensions"):
            continue
        body = vars(base)
        annotations = _annotations_of(base)
        for name in (*body, *annotations):
            if name in seen or not _is_asked(name, body.get(name)):
                continue
            seen.add(name)
            if name in body:
                yield name, _member(body[name], base)
            else:
                yield name, Member(ATTRIBUTE, plain=_plainness(annotations[name], base))


def _is_asked(name: str, value: Any) -> bool:
    if name in NOT_ASKED or name in _OWN_OF_TYPING:
        return False
    if name.startswith("__"):
        return name.endswith("__") and type(value) is _FUNCTION
    return not name.startswith("_abc_")


def _annotations_of(owner: type) -> Mapping[str, Any]:
    """The annotations of a class body, as they were written where that is possible."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(owner, format=annotationlib.Format.STRING)
    found: Mapping[str, Any] = vars(owner).get("__annotations__", {})
    return found


def _given(made: type, name: str) -> Member | None:
    """What a class has under a name, nothing where no class of its line has it."""
    for owner in made.__mro__:
        if name in vars(owner):
            if owner is object:
                return Member(UNKNOWN)
            return _member(vars(owner)[name], owner)
        if name in _annotations_of(owner):
            return Member(UNKNOWN)
    return None


def _member(value: Any, owner: type) -> Member:
    """A value of a class body as a member."""
    dropped = 1
    if isinstance(value, (staticmethod, classmethod)):
        dropped = 0 if isinstance(value, staticmethod) else 1
        value = value.__func__
    if type(value) is _FUNCTION:
        if hasattr(value, "__wrapped__"):
            return Member(UNKNOWN)
        flags = value.__code__.co_flags
        result = value.__annotations__.get("return", _FUNCTION)
        return Member(
            METHOD,
            _parameters(value, dropped),
            is_async=bool(flags & _COROUTINE),
            plain=False if flags & _ASYNC_GENERATOR else _plainness(result, owner),
        )
    if isinstance(value, property):
        returned = getattr(value.fget, "__annotations__", {}).get("return", _FUNCTION)
        return Member(ATTRIBUTE, plain=_plainness(returned, owner))
    if value is None or type(value) in _LITERALS:
        return Member(ATTRIBUTE, plain=True)
    return Member(UNKNOWN)


_LITERALS = (bool, int, float, complex, str, bytes, tuple, list, dict, set)


def _parameters(function: Any, dropped: int) -> Parameters | None:
    """The parameters of a function without its first, nothing where it has none to be called on."""
    code = function.__code__
    count: int = code.co_argcount
    star, stars = bool(code.co_flags & _STAR), bool(code.co_flags & _STARS)
    if count < dropped and not star:
        return None
    names: tuple[str, ...] = code.co_varnames
    first_default = count - len(function.__defaults__ or ())
    keyword_defaults = function.__kwdefaults__ or {}
    return Parameters(
        [
            (
                names[index],
                index >= first_default,
                index < code.co_posonlyargcount or is_positional_only(names[index]),
            )
            for index in range(dropped, count)
        ],
        {name: name in keyword_defaults for name in names[count : count + code.co_kwonlyargcount]},
        star=star,
        stars=stars,
    )


def is_positional_only(name: str) -> bool:
    """Whether a parameter's name says so by the convention from before `/`."""
    return name.startswith("__") and not name.endswith("__")


def _plainness(annotation: Any, owner: type) -> Callable[[], bool]:
    """What tells whether an annotation is plain."""
    return lambda: _is_plain(annotation, owner)


def _is_plain(annotation: Any, owner: type) -> bool:
    """Whether an annotation names a class whose objects can be neither awaited nor called."""
    if isinstance(annotation, str):
        from symphony._components.annotations import Scope, Unresolved, evaluate

        module = sys.modules.get(owner.__module__)
        scope = Scope(vars(module) if module else {}, {}, {}, {})
        try:
            while isinstance(annotation, str):
                annotation = evaluate(annotation, scope)
        except Unresolved:
            return False
    if annotation is None:
        return True
    kind = getattr(annotation, "__origin__", annotation)
    if not isinstance(kind, type) or kind in (object, type, _FUNCTION):
        return False
    return not (hasattr(kind, "__await__") or _has_call(kind) or is_protocol(kind))


def _has_call(kind: type) -> bool:
    return any("__call__" in vars(owner) for owner in kind.__mro__)


def _made_while_running(spec: ComponentSpec, made: type, name: str) -> bool:
    """Whether an object may have a member that its class does not tell of."""
    if spec.kind == "instance" and hasattr(spec.target, name):
        return True
    for owner in made.__mro__[:-1]:
        body = vars(owner)
        if "__getattr__" in body or "__getattribute__" in body:
            return True
        for value in body.values():
            code = getattr(getattr(value, "__func__", value), "__code__", None)
            if code is not None and _stores(code, name):
                return True
    return False


def _stores(code: Any, name: str) -> bool:
    """Whether a function, or one inside it, sets an attribute of that name, or of any name."""
    if "setattr" in code.co_names or "__dict__" in code.co_names:
        return True
    if name in code.co_names:
        from opcode import opmap

        wanted = code.co_names.index(name)
        store, extended = opmap["STORE_ATTR"], opmap["EXTENDED_ARG"]
        argument = 0
        units = code.co_code
        for at in range(0, len(units), 2):
            argument = argument << 8 | units[at + 1]
            if units[at] == store and argument == wanted:
                return True
            if units[at] != extended:
                argument = 0
    return any(_stores(inner, name) for inner in code.co_consts if hasattr(inner, "co_code"))


def client_diagnostic(
    label: str,
    method: str,
    extension: str,
    declared: Iterable[str],
    asked: tuple[str | None, int, int],
    manifest: tuple[str | None, int, int],
) -> Diagnostic:
    """The fault of a client's Protocol that names what its extension does not declare.

    Args:
        label: What people read for the Protocol.
        method: The method.
        extension: The extension's name.
        declared: The names of its operations.
        asked: Where the Protocol has the method.
        manifest: Where the extension says its name.
    """
    known = ", ".join(f"`{name}`" for name in declared) or "none"
    return Diagnostic(
        "contract-mismatch",
        f"`{label}` names `{method}`, which extension `{extension}` does not declare",
        file=asked[0],
        line=asked[1],
        column=asked[2],
        path=[label, extension],
        hint=f"extension `{extension}` declares {known}",
        related=[(*asked, f"`{label}.{method}`"), (*manifest, f"extension `{extension}`")],
    )


def contract_diagnostic(
    path: list[str],
    text: str,
    given: tuple[str | None, int, int, str],
    asked: tuple[str | None, int, int, str],
    wanted: str | None,
) -> Diagnostic:
    """The fault, with both places.

    Args:
        path: The component's name and the Protocol's.
        text: What differs.
        given: File, line and column of what is provided, and what stands there.
        asked: The same of the Protocol.
        wanted: How the Protocol writes the member.
    """
    return Diagnostic(
        "contract-mismatch",
        text,
        file=given[0],
        line=given[1],
        column=given[2],
        path=path,
        hint=f"`{path[1]}` asks for `{wanted}`" if wanted else None,
        related=[given, asked],
    )
