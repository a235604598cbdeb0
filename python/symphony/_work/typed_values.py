"""Plain values as annotations want them: what an operation's inputs become, and what a typed client returns.

An annotation becomes a function once; the function converts one value or says where in it what was wanted, and what
came. Called by `symphony._guest.contract` and by `kit.client`. Invariants: a value is converted or refused, never
changed: no integer becomes a float, no text a number; an annotation that says nothing of plain values (a class that
cannot be read from them, a name that is not known) lets everything through.
"""

from __future__ import annotations

import sys

from symphony._work.single_values import (
    PLAIN,
    PLAIN_NAMES,
    Mismatch,
    by_text,
    enumeration,
    is_of,
    literal,
    none,
    of_items,
    or_none,
    refusal_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Convert = Callable[[Any], Any]

_KEPT = (bool, int, float, str, bytes, list)
_LISTS = ("list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "Reversible")
_SETS = ("set", "Set", "frozenset", "FrozenSet", "AbstractSet", "MutableSet")
_DICTS = ("dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "DefaultDict")
_MARKERS = ("Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar")


def converter(
    annotation: Any, names: Mapping[str, Any], *, lenient: bool = False
) -> Convert | None:
    """What converts a value to an annotation; None where every value is right as it is.

    Args:
        annotation: A type, or its text.
        names: What the names of a text stand for.
        lenient: Whether fields that a data class does not know are passed over, as of a newer sender.
    """
    try:
        return _Reader(names, lenient).convert(annotation)
    except Exception:  # noqa: BLE001 - what a foreign class does when it is looked at.
        return None


def annotations_of(function: Any) -> dict[str, Any]:
    """The annotations of a function, as they stand there."""
    try:
        found: dict[str, Any] = getattr(function, "__annotations__", None) or {}
    except Exception:  # noqa: BLE001 - whatever their evaluation raises.
        # From 3.14 on they are made when they are asked for, and what type checkers alone import is not there.
        return {}
    return found


class _Reader:
    """Reads annotations; what contains itself is read once."""

    def __init__(self, names: Mapping[str, Any], lenient: bool) -> None:
        self._names = names
        self._lenient = lenient
        self._known: dict[int, tuple[Any, Convert | None]] = {}
        self._keeping: dict[Convert, type] = {PLAIN[kind]: kind for kind in _KEPT}

    def convert(self, wanted: Any) -> Convert | None:  # noqa: C901, PLR0911, PLR0912 - one branch for each kind.
        if isinstance(wanted, str):
            return self._of_text(wanted)
        if wanted is None or wanted is type(None):
            return none
        if isinstance(wanted, type) and wanted in PLAIN and not hasattr(wanted, "__args__"):
            return PLAIN[wanted]
        if _is_union(wanted):
            return self._union(list(wanted.__args__))
        origin = getattr(wanted, "__origin__", None)
        if origin is None:
            text = getattr(wanted, "__forward_arg__", None)
            if isinstance(text, str):
                module = sys.modules.get(str(getattr(wanted, "__forward_module__", None)))
                return self._in(module).convert(text)
            supertype = getattr(wanted, "__supertype__", None)
            if supertype is not None:
                return self.convert(supertype)
            bound = getattr(wanted, "__bound__", None)
            if type(wanted).__name__ == "TypeVar":
                return None if bound is None else self.convert(bound)
            if type(wanted).__name__ == "TypeAliasType":
                return self.convert(wanted.__value__)
            if type(wanted).__name__ == "InitVar":
                return self.convert(wanted.type)
            return self._of_class(wanted) if isinstance(wanted, type) else None
        arguments: tuple[Any, ...] = getattr(wanted, "__args__", ())
        name = getattr(wanted, "_name", None) or getattr(origin, "__name__", "")
        if hasattr(wanted, "__metadata__"):
            return self.convert(origin)
        if name == "Literal" or getattr(origin, "_name", "") == "Literal":
            return literal(arguments)
        if getattr(origin, "_name", "") in _MARKERS:
            return self.convert(arguments[0])
        return self._generic(origin, arguments)

    def _in(self, module: Any) -> _Reader:
        """What reads texts as they are meant in a module; itself where that is not known."""
        return self if module is None else self._with({**self._names, **vars(module)})

    def _with(self, names: Mapping[str, Any]) -> _Reader:
        made = _Reader(names, self._lenient)
        made._known = self._known
        made._keeping = self._keeping
        return made

    def _of_text(self, text: str) -> Convert | None:
        """What a text means where it stands; a name that only type checkers import means nothing here."""
        if text in PLAIN_NAMES and text not in self._names:
            return PLAIN_NAMES[text]
        try:
            return self.convert(eval(text, dict(self._names)))  # noqa: S307 - as `typing.get_type_hints` does.
        except TypeError:
            parts = text.split("|")
            if len(parts) == 1 or "[" in text:
                return self._hinted(text)
            # `X | Y` before 3.10.
            return self._union([part.strip() for part in parts])
        except Exception:  # noqa: BLE001 - whatever its evaluation raises.
            return None

    def _hinted(self, text: str) -> Convert | None:
        """A text with `|` inside of brackets, before 3.10."""
        import ast

        class Unions(ast.NodeTransformer):
            def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
                self.generic_visit(node)
                if not isinstance(node.op, ast.BitOr):
                    return node
                both = ast.Tuple([node.left, node.right], ast.Load())
                return ast.Subscript(ast.Name("__union__", ast.Load()), both, ast.Load())

        from typing import Union

        try:
            tree = ast.fix_missing_locations(Unions().visit(ast.parse(text, mode="eval")))
            made = eval(compile(tree, "<annotation>", "eval"), {**self._names, "__union__": Union})  # noqa: S307
        except Exception:  # noqa: BLE001 - whatever its evaluation raises.
            return None
        return self.convert(made)

    def _union(self, members: list[Any]) -> Convert | None:
        converts = [self.convert(member) for member in members]
        if None in converts:
            return None
        kept = [None if one is None else self._keeping.get(one) for one in converts]
        wanted = " or ".join(dict.fromkeys(_name(member) for member in members))

        def convert(value: Any) -> Any:
            deepest: Mismatch | None = None
            # What keeps a value as it is comes first, and then what keeps an integer where `float` is written.
            first = [one for one, kind in zip(converts, kept) if kind is type(value)]
            if type(value) is int:
                first += [one for one, kind in zip(converts, kept) if kind is float]
            for one in first + [one for one in converts if one not in first]:
                try:
                    return one(value)  # type: ignore[misc]
                except Mismatch as mismatch:
                    if mismatch.path and (
                        deepest is None or len(mismatch.path) > len(deepest.path)
                    ):
                        deepest = mismatch
            # Of a value that has the form of one member, what is wrong inside of it says most.
            raise deepest or Mismatch(wanted, value)

        return convert

    def _generic(self, origin: Any, arguments: tuple[Any, ...]) -> Convert | None:
        name = getattr(origin, "__name__", "")
        if origin is tuple:
            return self._tuple(arguments)
        if name in _LISTS:
            return self._items(arguments[0] if arguments else None, list, "list")
        if name in _SETS:
            made = frozenset if name == "frozenset" else set
            return self._items(arguments[0] if arguments else None, made, "list")
        if name in _DICTS and len(arguments) in (0, 2):
            return self._dict(arguments, _mapping(origin, arguments))
        if isinstance(origin, type) and _is_model(origin):
            return self._of_class(origin)
        return None

    def _items(self, item: Any, made: Callable[[Iterable[Any]], Any], wanted: str) -> Convert:
        one = None if item is None else self.convert(item)

        def convert(value: Any) -> Any:
            if not isinstance(value, list):
                raise Mismatch(f"`{wanted}`", value)
            items = value if one is None else _each(one, value)
            return items if made is list and items is not value else of_items(made, items, value)

        if made is list:
            self._keeping[convert] = list
        return convert

    def _tuple(self, arguments: tuple[Any, ...]) -> Convert:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return self._items(arguments[0], tuple, "list")
        if arguments in ((), ((),)):
            return self._items(None, tuple, "list")
        spread = [place for place, one in enumerate(arguments) if _is_spread(one)]
        if spread:
            return self._spread_tuple(arguments, spread[0])
        each = [self.convert(argument) for argument in arguments]

        def convert(value: Any) -> Any:
            if not isinstance(value, list) or len(value) != len(each):
                raise Mismatch(f"a `list` of {len(each)}", value)
            return tuple(
                _placed(one, item, f"[{place}]")
                for place, (one, item) in enumerate(zip(each, value))
            )

        return convert

    def _spread_tuple(self, arguments: tuple[Any, ...], place: int) -> Convert:
        """A tuple with another one in it: `tuple[int, *tuple[str, ...]]`."""
        inner = arguments[place]
        if not hasattr(inner, "__unpacked__") and getattr(inner, "__args__", None):
            # `Unpack[tuple[str, ...]]`
            inner = inner.__args__[0]
        within: tuple[Any, ...] = getattr(inner, "__args__", ())
        before, after = arguments[:place], arguments[place + 1 :]
        if within[1:] != (Ellipsis,) and getattr(inner, "__origin__", None) is tuple:
            return self._tuple((*before, *within, *after))
        # What a type variable stands for is not known.
        item = self.convert(within[0]) if within else None
        first = [self.convert(one) for one in before]
        last = [self.convert(one) for one in after]

        def convert(value: Any) -> Any:
            more = len(value) - len(first) - len(last) if isinstance(value, list) else -1
            if more < 0:
                raise Mismatch(f"a `list` of at least {len(first) + len(last)}", value)
            each = [*first, *[item] * more, *last]
            return tuple(
                _placed(one, part, f"[{index}]")
                for index, (one, part) in enumerate(zip(each, value))
            )

        return convert

    def _dict(
        self, arguments: tuple[Any, ...], kind: Callable[[dict[Any, Any]], Any] | None = None
    ) -> Convert:
        key = self.convert(arguments[0]) if arguments else None
        item = self.convert(arguments[1]) if arguments else None
        of_key = None if key is None else _of_key(key)

        def convert(value: Any) -> Any:
            if not isinstance(value, dict):
                raise Mismatch("`dict`", value)
            made = {
                _placed(of_key, name, f"[{name!r}]"): _placed(item, one, f"[{name!r}]")
                for name, one in value.items()
            }
            if len(made) != len(value):
                raise Mismatch("`dict` in which no key is twice", value)
            return made if kind is None else kind(made)

        return convert

    def _of_class(self, wanted: type) -> Convert | None:
        known = self._known.get(id(wanted))
        if known is not None:
            return known[1]
        made: list[Convert | None] = []

        def later(value: Any) -> Any:
            # It contains itself.
            return value if made[0] is None else made[0](value)

        self._known[id(wanted)] = (wanted, later)
        made.append(self._class(wanted))
        self._known[id(wanted)] = (wanted, made[0])
        return made[0]

    def _class(self, wanted: Any) -> Convert | None:  # noqa: PLR0911 - one for each kind.
        label, made_of = f"`{wanted.__name__}`", set(wanted.__mro__)
        if hasattr(wanted, "model_validate"):
            return lambda value: _validated(wanted, label, value)
        if hasattr(wanted, "__dataclass_fields__"):
            return self._dataclass(wanted, label)
        if dict in made_of and hasattr(wanted, "__total__"):
            return self._typed_dict(wanted, label)
        if tuple in made_of and hasattr(wanted, "_fields"):
            return self._named_tuple(wanted, label)
        if is_of(wanted, "enum", "Enum"):
            return enumeration(wanted, label)
        if hasattr(wanted, "__attrs_attrs__"):
            fields = wanted.__attrs_attrs__
            optional = {field.name for field in fields if repr(field.default) != "NOTHING"}
            given = {field.name: field.alias for field in fields if field.init}
            rest = [field.name for field in fields if not field.init]
            return self._object(wanted, label, list(given), optional, given, rest)
        if hasattr(wanted, "__struct_fields__"):
            fields = list(wanted.__struct_fields__)
            count = len(wanted.__struct_defaults__)
            optional = set(fields[len(fields) - count :])
            return self._object(wanted, label, fields, optional, {})
        mapping = _mapping(wanted, ())
        return by_text(wanted, label) if mapping is None else self._dict((), mapping)

    def _dataclass(self, wanted: Any, label: str) -> Convert:
        marks = [
            field
            for field in wanted.__dataclass_fields__.values()
            if field._field_type.name != "_FIELD_CLASSVAR"  # noqa: SLF001 - as `dataclasses.fields` reads it.
        ]
        taken = [field.name for field in marks if field.init]
        optional = {
            field.name
            for field in marks
            if not (_is_missing(field.default) and _is_missing(field.default_factory))
        }
        rest = [field.name for field in marks if not field.init]
        without = {field.name for field in marks if field.default is None}
        return self._object(wanted, label, taken, optional, {}, rest, without)

    def _object(
        self,
        wanted: Any,
        label: str,
        fields: list[str],
        optional: set[str],
        given_as: dict[str, str],
        passed_over: Iterable[str] = (),
        without: Iterable[str] = (),
    ) -> Convert:
        """An object that is made of a dict of its fields; `without` are those whose default is None."""
        each = self._hints(wanted)
        each.update({name: or_none(each.get(name)) for name in without})
        over = set(passed_over)

        def convert(value: Any) -> Any:
            if not isinstance(value, dict):
                raise Mismatch(f"{label} (a `dict` of its fields)", value)
            self._refuse_unknown(label, value, {*fields, *over})
            made = {
                given_as.get(name, name): _placed(each.get(name), value[name], f".{name}")
                for name in fields
                if name in value or _lacks(label, name, optional, value)
            }
            try:
                return wanted(**made)
            except Exception as refused:
                told = f"{label}, which refuses it ({refusal_of(refused)})"
                raise Mismatch(told, value) from refused

        return convert

    def _refuse_unknown(self, label: str, value: dict[str, Any], known: set[str]) -> None:
        unknown = [] if self._lenient else [name for name in value if name not in known]
        if unknown:
            raise Mismatch(f"{label}, which has no `{unknown[0]}`", value)

    def _typed_dict(self, wanted: Any, label: str) -> Convert:
        from symphony._work.typed_fields import required_keys

        each = self._hints(wanted)
        required = required_keys(wanted, annotations_of(wanted))

        def convert(value: Any) -> Any:
            if not isinstance(value, dict):
                raise Mismatch(label, value)
            self._refuse_unknown(label, value, set(each))
            for name in required:
                if name not in value:
                    raise Mismatch(f"{label}, which needs `{name}`", value)
            return {
                name: _placed(each.get(name), one, f"[{name!r}]") for name, one in value.items()
            }

        return convert

    def _named_tuple(self, wanted: Any, label: str) -> Convert:
        each, fields = self._hints(wanted), list(wanted._fields)
        least = len(fields) - len(wanted._field_defaults)

        def convert(value: Any) -> Any:
            if not isinstance(value, list) or not least <= len(value) <= len(fields):
                raise Mismatch(f"{label} (a `list` of {len(fields)})", value)
            given = [_placed(each.get(name), one, f".{name}") for name, one in zip(fields, value)]
            try:
                return wanted(*given)
            except Exception as refused:
                told = f"{label}, which refuses it ({refusal_of(refused)})"
                raise Mismatch(told, value) from refused

        return convert

    def _hints(self, wanted: Any) -> dict[str, Convert | None]:
        """What converts each field of a class; its texts mean what they mean where the class stands."""
        found: dict[str, Convert | None] = {}
        for base in reversed(wanted.__mro__):
            module = sys.modules.get(base.__module__)
            names = {**vars(module)} if module is not None else {}
            names.setdefault(base.__name__, base)
            here = self._with(names)
            for name, annotation in annotations_of(base).items():
                found[name] = here.convert(annotation)
        return found


def _each(one: Convert, values: list[Any]) -> list[Any]:
    return [_placed(one, value, f"[{place}]") for place, value in enumerate(values)]


def _placed(one: Convert | None, value: Any, part: str) -> Any:
    if one is None:
        return value
    try:
        return one(value)
    except Mismatch as mismatch:
        raise mismatch.within(part) from mismatch.__cause__


def _is_missing(default: Any) -> bool:
    """Whether it is the mark of `dataclasses` for a field without a default."""
    return type(default).__name__ == "_MISSING_TYPE"


def _lacks(label: str, name: str, optional: set[str], value: Any) -> bool:
    if name not in optional:
        raise Mismatch(f"{label}, which needs `{name}`", value)
    return False


def _validated(wanted: Any, label: str, value: Any) -> Any:
    """A model of pydantic's, which checks by its own rules."""
    try:
        return wanted.model_validate(value)
    except Exception as refused:
        first = _first_error(refused)
        told = first.get("msg") or refusal_of(refused)
        mismatch = Mismatch(f"{label}: {told}", first.get("input", value))
        for part in reversed(first.get("loc", ())):
            mismatch.within(f"[{part}]" if isinstance(part, int) else f".{part}")
        raise mismatch from refused


def _first_error(refused: Exception) -> dict[str, Any]:
    """The first of what pydantic found wrong; empty for whatever else was raised."""
    try:
        errors: list[dict[str, Any]] = refused.errors()  # type: ignore[attr-defined]
        return dict(errors[0])
    except Exception:  # noqa: BLE001 - a validator raises its own errors, which list nothing.
        return {}


def _is_spread(argument: Any) -> bool:
    """Whether it is `*tuple[…]`, `Unpack[…]`."""
    mark = getattr(getattr(argument, "__origin__", None), "_name", "")
    return bool(getattr(argument, "__unpacked__", False)) or mark == "Unpack"


def _mapping(origin: Any, arguments: tuple[Any, ...]) -> Callable[[dict[Any, Any]], Any] | None:
    """What makes a mapping that has a class of its own of a dict."""
    collections = sys.modules.get("collections")
    if collections is None:
        return None
    if origin is collections.OrderedDict:
        ordered: Callable[[dict[Any, Any]], Any] = collections.OrderedDict
        return ordered
    if origin is not collections.defaultdict:
        return None
    item = arguments[1] if arguments else None
    item = getattr(item, "__origin__", item)
    # What it makes of a key that it lacks is not sent.
    factory = item if isinstance(item, type) and item in PLAIN else None
    return lambda made: collections.defaultdict(factory, made)


def _of_key(key: Convert) -> Convert:
    """What a key becomes, which is always a text where it is sent: that, or the integer that it is the text of."""
    if key is PLAIN[int]:
        return _integer_of_text

    def convert(text: Any) -> Any:
        try:
            return key(text)
        except Mismatch as mismatch:
            try:
                number = _integer_of_text(text)
            except Mismatch:
                raise mismatch from None
            return key(number)

    return convert


def _integer_of_text(text: Any) -> Any:
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or str(number) != text:
        raise Mismatch("the text of an `int`", text)
    return number


def _is_model(wanted: type) -> bool:
    marks = ("model_validate", "__dataclass_fields__", "__total__", "__attrs_attrs__")
    return any(hasattr(wanted, mark) for mark in marks)


def _is_union(wanted: Any) -> bool:
    if type(wanted).__name__ in ("UnionType", "Union"):
        return True
    union = getattr(sys.modules.get("typing"), "Union", None)
    return union is not None and getattr(wanted, "__origin__", None) is union


def _name(wanted: Any) -> str:
    if wanted is None or wanted is type(None):
        return "`None`"
    if isinstance(wanted, type) and not hasattr(wanted, "__args__"):
        return f"`{wanted.__name__}`"
    return f"`{wanted}`".replace("typing.", "")
