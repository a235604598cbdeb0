"""What the annotations of live objects are made of; what they mean is told by the core, of a source alike.

Called by `collect` for parameters and results. The invariant kept here: nothing of `typing`, `ast` or
`inspect` is imported for annotations that are plain types or names of a module; what needs more (a name
under `TYPE_CHECKING`) imports it then.
"""

from __future__ import annotations

import sys

from symphony._components.mark import Named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Key = Any
    # What an annotation is made of, as `read_need` of the core takes it.
    Form = tuple[Any, ...]

_UNION_TYPE: Any = type(int | str) if sys.version_info >= (3, 10) else None
_ABSENT: Any = object()
_NOTHING: Any = type(None)
_DEEPEST = 64
# From 3.12 on `Box[int]` imports while it is evaluated; every other name is looked up by `Scope`.
_IMPORTING: dict[str, Any] = {"__import__": __import__}


class Unresolved(Exception):  # noqa: N818 - it never leaves the package.
    """An annotation that names something that cannot be found.

    Attributes:
        text: The annotation as it was written.
    """

    def __init__(self, text: str) -> None:
        """Keeps the text."""
        super().__init__(text)
        self.text = text


class Scope:
    """Where the names of one function's string annotations are looked up.

    The order is: classes that were registered from the same function body, the module's globals, what the
    caller of `boot()` sees, the builtins, and last the module's own import statements.
    """

    __slots__ = ("_globals", "_imports", "_namespace", "_siblings", "_variables")

    def __init__(
        self,
        module_globals: Mapping[str, Any],
        imports: dict[str, Mapping[str, Callable[[], Any]]],
        siblings: Mapping[str, Any],
        namespace: Mapping[str, Any],
        variables: Mapping[Any, Any] | None = None,
    ) -> None:
        """Keeps the places.

        Args:
            module_globals: The names of the module.
            imports: The import statements of each module that was read so far.
            siblings: Classes from the same function body.
            namespace: What the caller of `boot()` sees.
            variables: What the type variables of a generic class stand for in one that inherits from it.
        """
        self._variables: Mapping[Any, Any] = variables or {}
        self._globals = module_globals
        self._imports = imports
        self._siblings = siblings
        self._namespace = namespace

    def form(self, annotation: Any) -> Form:  # noqa: C901, PLR0911, PLR0912 - one case each.
        """What an annotation is made of."""
        if type(annotation) is type and annotation is not _NOTHING:
            return self.key(annotation)
        if isinstance(annotation, str):
            try:
                return "same", evaluate(annotation, self)
            except Unresolved as error:
                return "unresolved", error.text
        if annotation is None or annotation is _NOTHING:
            return ("nothing",)
        if isinstance(annotation, (tuple, list, dict, int)):
            return "unresolved", str(annotation)
        kind = type(annotation)
        if kind.__name__ == "TypeVar":
            known = self._variables.get(annotation, _ABSENT)
            if known is _ABSENT and getattr(annotation, "has_default", bool)():
                known = annotation.__default__
            return ("unresolved", annotation.__name__) if known is _ABSENT else ("same", known)
        for attribute in ("__forward_arg__", "__value__"):
            # A text in a generic, and the alias of a `type` statement.
            if isinstance(annotation, type):
                break
            try:
                # The value of an alias is evaluated by the look at it.
                value = getattr(annotation, attribute, _ABSENT)
            except NameError as error:
                return "unresolved", str(error).split("'")[1]
            if value is not _ABSENT:
                return "same", value
        if kind.__module__ == "dataclasses":
            return "same", annotation.type
        metadata = getattr(annotation, "__metadata__", None)
        if metadata is not None:
            marks = [
                (m, False) if isinstance(m, str) else (m.name, True)
                for m in metadata
                if isinstance(m, (str, Named))
            ]
            return "annotated", annotation.__origin__, marks
        arguments = getattr(annotation, "__args__", None)
        if arguments is None:
            return self.key(annotation)
        substituted = substitute(annotation, self._variables)
        if substituted is not annotation:
            return "same", substituted
        origin = getattr(annotation, "__origin__", None)
        if is_union(annotation, origin):
            return "union", list(arguments)
        name = getattr(origin, "__name__", None) or getattr(origin, "_name", "")
        return "of", f"{getattr(origin, '__module__', '')}.{name}", list(arguments)

    @staticmethod
    def key(annotation: Any) -> Form:
        """One type."""
        return "type", annotation, getattr(annotation, "__module__", None) == "builtins"

    @staticmethod
    def has(made: Any, name: str) -> bool:
        """Whether a class has something of that name."""
        return hasattr(getattr(made, "__origin__", made), name)

    def text(self, annotation: Any) -> str:
        """What people read for an annotation."""
        written = annotation
        for _ in range(_DEEPEST):
            if not isinstance(annotation, str):
                break
            annotation = evaluate(annotation, self)
        else:
            # A name that stands for itself.
            return str(written)
        if is_union(annotation, getattr(annotation, "__origin__", None)):
            return " | ".join(text_of(argument) for argument in annotation.__args__)
        return text_of(annotation)

    def __getitem__(self, name: str) -> Any:
        """The value of a name; a `KeyError` when nobody knows it, as `eval` expects."""
        for place in (self._siblings, self._globals, self._namespace):
            value = place.get(name, _ABSENT)
            if value is not _ABSENT:
                return value
        builtins: Any = self._globals.get("__builtins__", {})
        known: dict[str, Any] = getattr(builtins, "__dict__", builtins)
        if name in known:
            return known[name]
        module = self._globals.get("__name__")
        if not isinstance(module, str):
            raise KeyError(name)
        if module.startswith("symphony."):
            # Our own modules name public types under `TYPE_CHECKING`; the package knows them
            # without `ast`.
            public = getattr(sys.modules["symphony"], name, None)
            if public is not None:
                return public
        bound = self._imports.get(module)
        if bound is None:
            # Rare, and so not among the modules that `boot` imports.
            from symphony._components.module_imports import names_bound_in

            bound = self._imports[module] = names_bound_in(module)
        imported = bound.get(name)
        if imported is None:
            raise KeyError(name)
        return imported()


def evaluate(text: str, scope: Scope) -> Any:
    """The object that a string annotation names.

    Raises:
        Unresolved: It cannot be found, or is no expression.
    """
    text = text.strip()
    names: Any = scope
    try:
        if text.isidentifier():
            return None if text == "None" else scope[text]
        try:
            return eval(text, {"__builtins__": _IMPORTING}, names)  # noqa: S307 - the user's.
        except TypeError:
            # Before 3.10 `type | None` is no expression, and `list[int]`'s kin may not be either.
            known: dict[str, Any] = {"__builtins__": _IMPORTING, "_union": _union}
            return eval(_without_bars(text), known, names)  # noqa: S307
    except Unresolved:
        raise
    except NameError as error:
        # Its message quotes the one name of the expression that is unknown; `.name` came with 3.10.
        raise Unresolved(str(error).split("'")[1]) from error
    except Exception as error:
        raise Unresolved(text) from error


def _union(left: Any, right: Any) -> Any:
    """`left | right` on every Python."""
    import typing

    return typing.Union[left, right]


def _without_bars(text: str) -> Any:
    """The expression, compiled with a call of `_union` in place of each `|`."""
    import ast

    class Bars(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            self.generic_visit(node)
            if not isinstance(node.op, ast.BitOr):
                return node
            name = ast.Name("_union", ast.Load())
            return ast.Call(name, [node.left, node.right], [])

    return compile(
        ast.fix_missing_locations(Bars().visit(ast.parse(text, mode="eval"))), "", "eval"
    )


def is_union(annotation: Any, origin: Any) -> bool:
    """Whether it is `Union[...]`, `Optional[...]` or `a | b`."""
    if _UNION_TYPE is not None and type(annotation) is _UNION_TYPE:
        return True
    typing = sys.modules.get("typing")
    return typing is not None and origin is typing.Union


def substitute(annotation: Any, variables: Mapping[Any, Any]) -> Any:
    """An annotation with what its type variables stand for in their place."""
    if not variables:
        return annotation
    if type(annotation).__name__ == "TypeVar":
        return variables.get(annotation, annotation)
    inside: tuple[Any, ...] = getattr(annotation, "__parameters__", ())
    if getattr(annotation, "__args__", None) is None or not any(one in variables for one in inside):
        return annotation
    return annotation[tuple(variables.get(one, one) for one in inside)]


def unwrapped(function: Any) -> Any:
    """The function whose annotations are meant: what decorators wrapped, as `inspect.signature` finds it."""
    for _ in range(_DEEPEST):
        if not hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
            break
        function = function.__wrapped__
    return function


def own_annotations(owner: type) -> Mapping[str, Any]:
    """The annotations of a class body, as they were written where that is possible."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(owner, format=annotationlib.Format.STRING)
    found: Any = vars(owner).get("__annotations__")
    # Of the classes of modules and of classes it is what their objects' are asked by.
    return found if isinstance(found, dict) else {}


def is_protocol(key: Any) -> bool:
    """Whether it is a class made with `Protocol` among its bases."""
    return isinstance(key, type) and key.__dict__.get("_is_protocol") is True


def text_of(key: Key) -> str:
    """What people read for a key: its `__name__`, or how it is written."""
    if isinstance(key, str):
        return key.rpartition(".")[2]
    if key is None or key is _NOTHING:
        return "None"
    if getattr(key, "__args__", None) is None:
        name = getattr(key, "__name__", None)
        if isinstance(name, str):
            return name
    # A handle has its public name, as in the text of a source.
    return repr(key).replace("typing.", "").replace("symphony._components.handles.", "symphony.")
