"""Static analysis: the operations of an extension, and the edges of a factory named by a string.

Imported by `symphony check` and by `boot()`. The invariant kept here: nothing that a user wrote is
imported or run, and what cannot be followed is not guessed.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING

from symphony._components.places import Function
from symphony._core import ComponentSpec, find_remedies
from symphony._static.project import Project, SourceModule, search_path
from symphony._static.reader import Reader, yields

if TYPE_CHECKING:
    from typing import Any

    from symphony._core import Diagnostic


def read_operations(file: str, attribute: str) -> list[dict[str, Any]] | None:
    """The operations of a Python extension, without running it.

    Args:
        file: The file of the entry's module.
        attribute: The name of the `Extension` in it.

    Returns:
        For each operation its name, inputs, whether it is a stream, and its summary; `None` where
        the attribute is not plainly an `Extension` of this file, so that only running it would
        tell.

    Raises:
        OSError: The file cannot be read.
        SyntaxError: It is not Python.
        ValueError: It is not in the encoding that it declares.
        MissingEntryError: It plainly has no such attribute.
        RefusedOperationError: Its start would refuse an operation of it.
    """
    module = SourceModule(os.path.splitext(os.path.basename(file))[0], os.path.abspath(file))
    project = Project([])
    project.adopt(module)
    made = module.bindings.get(attribute)
    if made is None and _plainly_lacks(module, attribute.partition(".")[0]):
        label = os.path.basename(os.path.dirname(file)) if module.is_package else module.name
        raise MissingEntryError(label, attribute, _extensions_of(project, module))
    if not isinstance(made, ast.Call) or project.qualify(module, made.func) != "symphony.Extension":
        return None
    operations: list[dict[str, Any]] = []
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            for mark in node.decorator_list:
                name = _operation_name(mark, attribute, node.name)
                if name is not None:
                    _refuse(name, node, mark)
                    operations.append(_operation(name, node))
        elif isinstance(node, ast.Call) and _is_operation(node.func, attribute) and node.args:
            # `extension.operation(function)` and `extension.operation(name=…)(function)`, called by
            # hand.
            target = node.args[0]
            definition = module.bindings.get(target.id) if isinstance(target, ast.Name) else None
            if not isinstance(definition, Function):
                return None
            operations.append(_operation(definition.name, definition))
    _refuse_twice(module.tree.body, attribute)
    return operations


class RefusedOperationError(TypeError):
    """An operation that the start of its extension would refuse.

    Attributes:
        lineno: The line of its function.
        hint: What to do.
    """

    def __init__(self, message: str, line: int, hint: str) -> None:
        """Keeps the place."""
        super().__init__(message)
        self.lineno = line
        self.hint = hint


def _refuse(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, mark: ast.expr) -> None:
    """Refuses what cannot be called by name, unless a decorator in between may make something else of it."""
    arguments = node.args
    if node.decorator_list[-1] is mark and (arguments.posonlyargs or arguments.vararg):
        raise RefusedOperationError(
            f"operation `{name}` has positional-only inputs; a call names every input",
            node.lineno,
            "declare them without `/` and `*args`",
        )


def _refuse_twice(body: list[ast.stmt], attribute: str) -> None:
    """Refuses the second operation of a name, where both are there whatever happens."""
    seen: dict[str, int] = {}
    for node in body:
        if isinstance(node, Function):
            names = (_operation_name(mark, attribute, node.name) for mark in node.decorator_list)
            for name in filter(None, names):
                if name in seen:
                    raise RefusedOperationError(
                        f"operation `{name}` is there twice, first at line {seen[name]}",
                        node.lineno,
                        'give one of them a name of its own: `@extension.operation(name="…")`',
                    )
                seen[name] = node.lineno


class MissingEntryError(AttributeError):
    """The module of an entry has no such attribute.

    Attributes:
        hint: What its author may have meant.
    """

    def __init__(self, module: str, attribute: str, known: list[str]) -> None:
        """Keeps the names that are there."""
        super().__init__(f"module `{module}` has no `{attribute}`")
        names = " or ".join(f"`{name}`" for name in known)
        self.hint = f"did you mean {names}?" if known else f"write `{attribute} = Extension(…)`"


def _extensions_of(project: Project, module: SourceModule) -> list[str]:
    """The names at which a module plainly holds an `Extension`."""
    return [
        name
        for name, value in module.bindings.items()
        if isinstance(value, ast.Call)
        and project.qualify(module, value.func) == "symphony.Extension"
    ]


def _plainly_lacks(module: SourceModule, name: str) -> bool:
    """Whether nothing in the text could bind the name; a module that makes names itself may."""
    if module.stars or "__getattr__" in module.bindings or name in module.bindings:
        return False
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and (
            node.id in ("globals", "vars", "locals", "exec", "setattr", "eval")
            or (node.id == name and isinstance(node.ctx, ast.Store))
        ):
            return False
        if isinstance(node, ast.alias) and (node.asname or node.name.partition(".")[0]) == name:
            return False
        if isinstance(node, ast.Constant) and node.value == name:
            return False
    return True


def _is_operation(node: ast.expr, attribute: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "operation"
        and isinstance(node.value, ast.Name)
        and node.value.id == attribute
    )


def _operation_name(mark: ast.expr, attribute: str, name: str) -> str | None:
    """The name where the decorator is `@extension.operation`, bare or with a literal name."""
    if _is_operation(mark, attribute):
        return name
    if isinstance(mark, ast.Call) and _is_operation(mark.func, attribute):
        for keyword in mark.keywords:
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value or name)
        return name
    return None


def _operation(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
    """What the handshake would say of an operation."""
    arguments = node.args
    optional = len(arguments.defaults)
    required = arguments.args[: len(arguments.args) - optional]
    inputs = [{"name": argument.arg, "required": True} for argument in required]
    later = [argument.arg for argument in arguments.args[len(arguments.args) - optional :]]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        if default is None:
            inputs.append({"name": argument.arg, "required": True})
        else:
            later.append(argument.arg)
    inputs += [{"name": name, "required": False} for name in later]
    summary = (ast.get_docstring(node) or "").strip().split("\n", 1)[0].rstrip()
    return {"name": name, "inputs": inputs, "stream": yields(node), "doc": summary}


def factory_spec(path: str) -> tuple[ComponentSpec, list[Diagnostic]]:
    """The spec of a factory named `"package.module:callable"`, before its module is imported.

    Its keys are the types themselves where their modules are loaded already, which they are for all
    that was registered; else qualified names. What cannot be found or followed is left out here,
    and is no fault: the import will tell.

    Returns:
        The spec and its faults, which are none, as `_components.describe_conductor` returns them.
    """
    name, _, attribute = path.partition(":")
    project = Project(search_path())
    found = project.followed(f"{name}.{attribute}") if attribute else None
    if found is None:
        label = attribute.rpartition(".")[2] or name
        return ComponentSpec(label, None, "function", name, attribute), []
    reader = Reader(project)
    spec = reader.describe(*found, conductor=True)
    if any(isinstance(_loaded(need.key), str) for need in spec.needs):
        # Of a type that is not loaded only the text tells what to do about it.
        from symphony._static.contracts import ContractReader

        find_remedies([spec], ContractReader(project))
    spec.provides = [_loaded(key) for key in spec.provides]
    for need in spec.needs:
        need.key = _loaded(need.key)
    return spec, []


def _loaded(name: str) -> Any:
    """The object of a qualified name where its module is loaded; else the name."""
    owner, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(owner), attribute, None)
    return name if found is None else found
