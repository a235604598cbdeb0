"""JSON Schemas of operations, from the annotations that their inputs are held to.

Called by `symphony._guest.server` when somebody asks for them, and imported then: a start pays nothing for it.
Invariant: a schema allows whatever the operation's contract takes; an annotation that says nothing of plain values, or
cannot be read, is the schema of everything.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, get_args, get_origin, get_type_hints

from symphony._guest.contract import annotated_layer
from symphony._work.typed_fields import required_keys
from symphony._work.typed_values import annotations_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from symphony.extension import OperationDescription

    Schema = dict[str, Any]

_LISTS = ("list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "Reversible")
_SETS = ("set", "Set", "frozenset", "FrozenSet", "AbstractSet", "MutableSet")
_DICTS = ("dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict")
_STREAMS = ("Iterator", "Generator", "AsyncIterator", "AsyncGenerator", "Iterable", "AsyncIterable")
_MARKERS = ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar", "Unpack")
_PLAIN: dict[str, Schema] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "bytearray": {"type": "string", "contentEncoding": "base64"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "set": {"type": "array", "uniqueItems": True},
    "frozenset": {"type": "array", "uniqueItems": True},
    "dict": {"type": "object"},
}
_BY_TEXT: tuple[tuple[str, str, Schema], ...] = (
    ("datetime", "datetime", {"type": "string", "format": "date-time"}),
    ("datetime", "date", {"type": "string", "format": "date"}),
    ("datetime", "time", {"type": "string", "format": "time"}),
    ("datetime", "timedelta", {"type": "number", "description": "seconds"}),
    ("decimal", "Decimal", {"type": ["string", "integer"]}),
    ("uuid", "UUID", {"type": "string", "format": "uuid"}),
    ("pathlib", "PurePath", {"type": "string"}),
)
_DEEPEST = 32
"""An annotation that holds others deeper than this says nothing below."""


def schemas_of(descriptions: Iterable[OperationDescription]) -> dict[str, Schema]:
    """The schemas of operations, by their names.

    Returns:
        For each `input`, the schema of the object that its inputs are; `output`, that of its result, which of a stream
        is the list of its values; `description`, its docstring.
    """
    return {description.name: _operation(description) for description in descriptions}


def _operation(description: OperationDescription) -> Schema:
    made: Schema = {"input": _input(description)}
    output = _output(description)
    if output:
        made["output"] = output
    text = _docstring(description.layers)
    if text:
        made["description"] = text
    return made


def _input(description: OperationDescription) -> Schema:
    inputs = (*description.required, *description.optional)
    said: dict[str, Any] = {}
    names: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for layer, told, is_what_is_called in annotated_layer(description.layers, inputs):
        if is_what_is_called:
            said, names = told, getattr(layer, "__globals__", {})
    for layer in description.layers:
        defaults.update(_defaults(layer))
    reader = _Reader(names)
    properties: dict[str, Schema] = {}
    for name in inputs:
        schema = reader.read(said[name]) if name in said else {}
        if name in description.optional and name in defaults:
            schema = _with_default(schema, defaults[name])
        properties[name] = schema
    made: Schema = {"type": "object", "properties": properties}
    if description.required:
        made["required"] = list(description.required)
    if not description.takes_any:
        made["additionalProperties"] = False
    return reader.closed(made)


def _output(description: OperationDescription) -> Schema | None:
    """The schema of the result, where one is annotated."""
    for layer in description.layers:
        told = annotations_of(layer)
        if "return" in told:
            reader = _Reader(getattr(layer, "__globals__", {}), of_results=True)
            given = told["return"]
            made = reader.items(given) if description.is_stream else reader.read(given)
            return reader.closed(made)
    return None


def _docstring(layers: tuple[Any, ...]) -> str:
    for layer in layers:
        text = getattr(layer, "__doc__", None) if hasattr(layer, "__code__") else None
        if isinstance(text, str) and text.strip():
            from inspect import cleandoc

            return cleandoc(text)
    return ""


def _defaults(layer: Any) -> dict[str, Any]:
    code = getattr(layer, "__code__", None)
    if code is None:
        return {}
    named = code.co_varnames[: code.co_argcount]
    defaults: tuple[Any, ...] = getattr(layer, "__defaults__", None) or ()
    by_name: dict[str, Any] = getattr(layer, "__kwdefaults__", None) or {}
    return {**dict(zip(named[len(named) - len(defaults) :], defaults)), **by_name}


def _with_default(schema: Schema, default: Any) -> Schema:
    """A schema with what an input is that is left out, where JSON can say it."""
    if default is None:
        # It takes None, whatever its annotation says.
        return _any_of([schema, {"type": "null"}]) if schema else schema
    if isinstance(default, (bool, int, str)) and type(default) in (bool, int, str):
        return {**schema, "default": default}
    if type(default) is float and default - default == 0:
        return {**schema, "default": default}
    return schema


def _any_of(schemas: list[Schema]) -> Schema:
    flat: list[Schema] = []
    for schema in schemas:
        if not schema:
            return {}
        inner = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
        flat += [one for one in inner if one not in flat]
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


class _Reader:
    """Reads annotations into schemas; classes are defined once, so that one may contain itself."""

    def __init__(self, names: Mapping[str, Any], *, of_results: bool = False) -> None:
        self._names = names
        self._of_results = of_results
        self._defined: dict[str, Schema] = {}
        self._classes: dict[str, Any] = {}
        self._depth = 0

    def closed(self, schema: Schema) -> Schema:
        """A schema with the definitions that it refers to."""
        return {**schema, "$defs": self._defined} if self._defined else schema

    def items(self, annotation: Any) -> Schema:
        """The list of what a stream's annotation says that it yields."""
        if isinstance(annotation, str):
            annotation = self._evaluated(annotation)
        arguments = get_args(annotation)
        name = getattr(get_origin(annotation), "__name__", "")
        if name in _STREAMS and arguments:
            return {"type": "array", "items": self.read(arguments[0])}
        return {"type": "array"}

    def read(self, wanted: Any) -> Schema:
        """The schema of an annotation."""
        self._depth += 1
        try:
            return {} if self._depth > _DEEPEST else self._read(wanted)
        except Exception:  # noqa: BLE001 - what a foreign class does when it is looked at.
            return {}
        finally:
            self._depth -= 1

    def _evaluated(self, text: str) -> Any:
        """What a text means where it stands; nothing where only type checkers know it."""
        try:

            def holder() -> None: ...

            holder.__annotations__ = {"wanted": text}
            return get_type_hints(holder, dict(self._names), include_extras=True)["wanted"]
        except Exception:  # noqa: BLE001 - whatever its evaluation raises.
            return object

    def _read(self, wanted: Any) -> Schema:  # noqa: C901, PLR0911 - one branch for each kind.
        if isinstance(wanted, str):
            return self.read(self._evaluated(wanted))
        text = getattr(wanted, "__forward_arg__", None)
        if isinstance(text, str):
            return self.read(text)
        if wanted is None or wanted is type(None):
            return {"type": "null"}
        origin, arguments = get_origin(wanted), get_args(wanted)
        if origin is None:
            for inner in ("__supertype__", "__bound__", "__value__"):
                # A NewType, a type variable, an alias.
                meant = getattr(wanted, inner, None)
                if meant is not None and not isinstance(wanted, type):
                    return self.read(meant)
            return self._class(wanted) if isinstance(wanted, type) else {}
        if hasattr(wanted, "__metadata__"):
            return self._annotated(wanted)
        name = getattr(origin, "_name", None) or getattr(origin, "__name__", "")
        if name == "Literal":
            return {"enum": [getattr(one, "value", one) for one in arguments]}
        if name in ("Union", "UnionType"):
            return _any_of([self.read(member) for member in arguments])
        if name in _MARKERS:
            return self.read(arguments[0])
        return self._generic(origin, getattr(origin, "__name__", ""), arguments)

    def _annotated(self, wanted: Any) -> Schema:
        schema = self.read(get_args(wanted)[0])
        texts = [one for one in wanted.__metadata__ if isinstance(one, str)]
        return {**schema, "description": texts[0]} if texts else schema

    def _generic(self, origin: Any, name: str, arguments: tuple[Any, ...]) -> Schema:
        if origin is tuple:
            return self._tuple(arguments)
        if name in _LISTS or name in _SETS:
            more = {"uniqueItems": True} if name in _SETS else {}
            return {"type": "array", "items": self.read(arguments[0]), **more}
        if name in _DICTS and len(arguments) == 2:
            return {"type": "object", "additionalProperties": self.read(arguments[1])}
        return self._class(origin) if isinstance(origin, type) else {}

    def _tuple(self, arguments: tuple[Any, ...]) -> Schema:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": self.read(arguments[0])}
        if arguments in ((), ((),)) or any(get_origin(one) is not None for one in arguments):
            # One with another tuple spread in it is a list of anything.
            spread = any(getattr(one, "__unpacked__", False) for one in arguments)
            if spread or arguments in ((), ((),)):
                return {"type": "array"}
        return _fixed([self.read(one) for one in arguments], len(arguments))

    def _class(self, wanted: Any) -> Schema:
        plain = _PLAIN.get(wanted.__name__) if wanted.__module__ == "builtins" else None
        if plain is not None:
            return dict(plain)
        for module, name, schema in _BY_TEXT:
            found = getattr(sys.modules.get(module), name, None)
            if found is not None and issubclass(wanted, found):
                return dict(schema)
        enum = getattr(sys.modules.get("enum"), "Enum", None)
        if enum is not None and issubclass(wanted, enum):
            values = [one.value for one in wanted]
            lawful = all(one is None or isinstance(one, (bool, int, float, str)) for one in values)
            # Flags together are members too.
            flags = issubclass(wanted, sys.modules["enum"].Flag)
            return {"enum": values} if lawful and not flags else {}
        if hasattr(wanted, "model_json_schema"):
            return self._model(wanted)
        fields = self._fields(wanted)
        return {} if fields is None else self._defined_once(wanted, fields)

    def _model(self, wanted: Any) -> Schema:
        """A model of pydantic's, which knows its own schema."""
        schema: Schema = wanted.model_json_schema(ref_template="#/$defs/{model}")
        self._defined.update(schema.pop("$defs", {}))
        return schema

    def _defined_once(self, wanted: Any, fields: tuple[list[str], set[str]]) -> Schema:
        name = self._name_of(wanted)
        reference = {"$ref": f"#/$defs/{name}"}
        if name in self._defined:
            return reference
        self._defined[name] = {}
        names, optional = fields
        schemas = self._hints(wanted)
        each = {one: schemas.get(one, {}) for one in names}
        made: Schema
        if tuple in wanted.__mro__:
            made = _fixed(list(each.values()), len(names) - len(optional))
        else:
            made = {"type": "object", "properties": each}
            if not self._of_results:
                # An input is held to it; a dict that is a result may hold more.
                made["additionalProperties"] = False
            required = [one for one in names if one not in optional]
            if required:
                made["required"] = required
        self._defined[name] = {"title": wanted.__name__, **made}
        return reference

    def _name_of(self, wanted: Any) -> str:
        """The class's name, with its module where another has it too."""
        name: str = wanted.__name__
        if self._classes.setdefault(name, wanted) is wanted:
            return name
        return f"{wanted.__module__}.{wanted.__qualname__}"

    def _hints(self, wanted: Any) -> dict[str, Schema]:
        """The schemas of a class's fields; its texts mean what they mean where the class stands."""
        found: dict[str, Schema] = {}
        outer = self._names
        try:
            for base in reversed(wanted.__mro__):
                module = sys.modules.get(base.__module__)
                self._names = {base.__name__: base, **(vars(module) if module is not None else {})}
                for name, annotation in annotations_of(base).items():
                    found[name] = self.read(annotation)
        finally:
            self._names = outer
        return found

    def _fields(self, wanted: Any) -> tuple[list[str], set[str]] | None:
        """The fields of a class that is made of them, and those that may be left out; nothing of any other."""
        if hasattr(wanted, "__dataclass_fields__"):
            marks = [
                field
                for field in wanted.__dataclass_fields__.values()
                if field.init and field._field_type.name == "_FIELD"  # noqa: SLF001 - as `dataclasses.fields` reads it.
            ]
            optional = {
                field.name
                for field in marks
                if type(field.default).__name__ != "_MISSING_TYPE"
                or type(field.default_factory).__name__ != "_MISSING_TYPE"
            }
            return [field.name for field in marks], optional
        if dict in wanted.__mro__ and hasattr(wanted, "__total__"):
            told = annotations_of(wanted)
            return list(told), set(told) - required_keys(wanted, told)
        if tuple in wanted.__mro__ and hasattr(wanted, "_fields"):
            return list(wanted._fields), set(wanted._field_defaults)
        if hasattr(wanted, "__attrs_attrs__"):
            marks = [field for field in wanted.__attrs_attrs__ if field.init]
            optional = {field.name for field in marks if repr(field.default) != "NOTHING"}
            return [field.name for field in marks], optional
        if hasattr(wanted, "__struct_fields__"):
            names = list(wanted.__struct_fields__)
            return names, set(names[len(names) - len(wanted.__struct_defaults__) :])
        return None


def _fixed(items: list[Schema], least: int) -> Schema:
    """A list whose places have their own schemas."""
    return {"type": "array", "prefixItems": items, "minItems": least, "maxItems": len(items)}
