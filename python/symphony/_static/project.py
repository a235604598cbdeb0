"""Python sources as modules with names, read and never imported.

Used by `_static.graphs` for `symphony check` and for factories named by a string. The invariant kept here:
a name is followed through import statements and assignments only; what cannot be followed has no
qualified name.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from typing import TYPE_CHECKING

from symphony._components.module_imports import imported_names
from symphony._components.places import Source

if TYPE_CHECKING:
    from symphony._components.places import Definition

_PUBLIC_MODULES = ("symphony", "symphony.conductor", "symphony.extension")


class SourceModule(Source):
    """One parsed file as a module.

    Attributes:
        name: Its dotted name from its import root.
        is_package: It is the `__init__.py` of a package.
        stars: The modules that it imports all names of.
        bindings: What each name at its top level stands for: a definition, an expression that was
            assigned,
            or the qualified name that was imported.
        unsure: Names that stand for different things, by a condition that the text does not tell.
    """

    def __init__(self, name: str, file: str) -> None:
        """Reads and parses the file.

        Raises:
            OSError: It cannot be read.
            SyntaxError: It is not Python.
            ValueError: It is not in the encoding that it declares.
        """
        super().__init__(file)
        self.name = name
        self.is_package = os.path.basename(file) == "__init__.py"
        self.stars: list[str] = []
        self.bindings: dict[str, Definition | ast.expr | str] = {}
        self.unsure: set[str] = set()
        self._bind_body(self.tree.body)
        for imported, (origin, attribute, _) in imported_names(ast.walk(self.tree), self.package):
            # An annotation may use what only a function imports, as at run time.
            if attribute != "*":
                full = f"{origin}.{attribute}" if attribute else origin
                self.bindings.setdefault(imported, full)

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    def _bind_body(self, body: list[ast.stmt], *, weak: bool = False) -> None:
        """Binds what statements bind, also inside `if`, `try` and `with`.

        Args:
            body: The statements.
            weak: A name that is bound already keeps what it stands for.
        """
        for statement in body:
            if isinstance(statement, ast.If):
                self._bind_condition(statement, weak=weak)
            elif isinstance(statement, ast.Try):
                self._bind_body(statement.body, weak=weak)
                for handler in statement.handlers:
                    self._bind_body(handler.body, weak=True)
                self._bind_body(statement.orelse, weak=weak)
                self._bind_body(statement.finalbody, weak=weak)
            elif isinstance(statement, ast.With):
                self._bind_body(statement.body, weak=weak)
            elif weak:
                kept = dict(self.bindings)
                self._bind(statement)
                self.bindings.update(kept)
            else:
                self._bind(statement)

    def _bind_condition(self, statement: ast.If, *, weak: bool) -> None:
        """Binds what the branch binds that runs; names of the other one only where they are free."""
        holds = _holds(statement.test, self.name)
        if holds is None:
            before = dict(self.bindings)
            self._bind_body(statement.body, weak=weak)
            bound = {name for name, value in self.bindings.items() if before.get(name) is not value}
            self._bind_body(statement.orelse, weak=True)
            other = names_bound(statement.orelse)
            self.unsure |= bound & other
            return
        runs, rests = statement.body, statement.orelse
        if not holds:
            runs, rests = rests, runs
        self._bind_body(runs, weak=weak)
        # Under `TYPE_CHECKING` stands what annotations mean.
        self._bind_body(rests, weak=True)

    def _bind(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            self.bindings[statement.name] = statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for name, (origin, attribute, _) in imported_names([statement], self.package):
                if attribute == "*":
                    self.stars.append(origin)
                else:
                    self.bindings[name] = f"{origin}.{attribute}" if attribute else origin
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    self.bindings[target.id] = statement.value
        elif type(statement).__name__ in ("AnnAssign", "TypeAlias"):
            named = getattr(statement, "target", None) or getattr(statement, "name", None)
            said: ast.expr | None = getattr(statement, "value", None)
            if isinstance(named, ast.Name) and said is not None:
                self.bindings[named.id] = said


class Project:
    """The modules under some import roots, read when they are first asked for."""

    def __init__(self, roots: list[str]) -> None:
        """Keeps the roots, absolute."""
        self.roots = [os.path.abspath(root) for root in roots]
        self._modules: dict[str, SourceModule | None] = {}

    def module(self, name: str) -> SourceModule | None:
        """The module of a dotted name; nothing where no root has it or it cannot be parsed."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def adopt(self, module: SourceModule) -> None:
        """Makes a module known that was read elsewhere."""
        self._modules[module.name] = module

    def submodules(self, module: SourceModule) -> list[str]:
        """The names of the modules in a package, sorted; a `__main__` is a program and left out."""
        if not module.is_package:
            return []
        found: set[str] = set()
        for entry in os.scandir(os.path.dirname(module.file)):
            stem, extension = os.path.splitext(entry.name)
            if entry.is_file() and extension == ".py" and stem not in ("__init__", "__main__"):
                found.add(stem)
            elif entry.is_dir() and os.path.isfile(os.path.join(entry.path, "__init__.py")):
                found.add(entry.name)
        return [f"{module.name}.{name}" for name in sorted(found)]

    def qualify(self, module: SourceModule, node: ast.expr) -> str | None:
        """The full name of what `Name` or `a.b.Name` stands for in a module."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        bound = module.bindings.get(node.id)
        if bound is None:
            bound = self._by_star(module, node.id)
        if bound is None:
            return f"builtins.{node.id}" if not parts and hasattr(builtins, node.id) else None
        if isinstance(bound, str):
            start = bound
        elif isinstance(bound, ast.expr):
            alias = self._followed(module, bound)
            if alias is None:
                return None
            start = alias
        else:
            start = f"{module.name}.{node.id}"
        return self.canonical(".".join([start, *reversed(parts)]))

    def canonical(self, name: str, depth: int = 0) -> str | None:  # noqa: PLR0911
        """The name at the place of the definition, through the re-exports of the project's modules.

        Nothing where a module of the project has no such name; names of foreign modules stay as
        they are.
        """
        owner, _, attribute = name.rpartition(".")
        if owner == "symphony" or owner.startswith("symphony."):
            return f"symphony.{attribute}"
        module = self.module(owner) if owner and depth < 20 else None
        if module is None:
            return name
        bound = module.bindings.get(attribute)
        if isinstance(bound, str):
            return self.canonical(bound, depth + 1) if bound != name else name
        if isinstance(bound, ast.expr):
            return self._followed(module, bound)
        if bound is not None or self.module(name) is not None:
            return name
        star = self._by_star(module, attribute)
        if star is not None:
            return self.canonical(star, depth + 1)
        # A module that makes names when they are asked for has names that its text does not tell.
        return name if "__getattr__" in module.bindings else None

    def _by_star(self, module: SourceModule, name: str) -> str | None:
        """The full name of what `from … import *` brings; a foreign module is taken to have it."""
        for star in module.stars:
            origin = self.module(star)
            if origin is None or name in origin.bindings:
                return f"{star}.{name}"
        return None

    def definition(self, name: str) -> tuple[SourceModule, Definition] | None:
        """The class or function of a canonical name, with its module; nothing for foreign ones."""
        owner, _, attribute = name.rpartition(".")
        module = self.module(owner) if owner else None
        if module is None:
            outer = self.definition(owner) if owner else None
            if outer is None or not isinstance(outer[1], ast.ClassDef):
                return None
            inner = [one for one in outer[1].body if getattr(one, "name", None) == attribute]
            found = inner[-1] if inner else None
            # A method is called on an object or a class, which only its import makes.
            return (outer[0], found) if isinstance(found, ast.ClassDef) else None
        bound = module.bindings.get(attribute)
        if bound is None or isinstance(bound, (str, ast.expr)) or attribute in module.unsure:
            return None
        return module, bound

    def followed(self, name: str) -> tuple[SourceModule, Definition] | None:
        """The definition of a name that modules pass on, also of one that the package itself defines."""
        for _ in range(20):
            found = self.definition(name)
            if found is not None:
                return found
            owner, _, attribute = name.rpartition(".")
            module = self.module(owner)
            bound = module.bindings.get(attribute) if module else None
            if not isinstance(bound, str):
                canonical = self.canonical(name)
                return self.definition(canonical) if canonical else None
            name = bound
        return None

    @staticmethod
    def qualname(module: SourceModule, node: Definition) -> str:
        """The name of a definition in its module, behind those of the classes around it."""
        if module.bindings.get(node.name) is node:
            return node.name
        for outer in ast.walk(module.tree):
            if isinstance(outer, ast.ClassDef) and node in outer.body:
                return f"{Project.qualname(module, outer)}.{node.name}"
        return node.name

    def assigned(
        self, module: SourceModule, node: ast.expr, depth: int = 0
    ) -> tuple[SourceModule, str, ast.expr | None] | None:
        """What was assigned to a name that is no other name's alias; nothing of it where that is unsure.

        Returns:
            The module that assigns, the name there, and the expression; `None` for every other name.
        """
        name = node.id if isinstance(node, ast.Name) else ""
        if isinstance(node, ast.Attribute):
            owner = self.qualify(module, node.value)
            home = self.module(owner) if owner else None
            if home is None:
                return None
            module, name = home, node.attr
        bound = module.bindings.get(name)
        while isinstance(bound, str) and depth < 20:
            owner, _, name = bound.rpartition(".")
            home = self.module(owner) if owner else None
            if home is None:
                return None
            module, bound, depth = home, home.bindings.get(name), depth + 1
        if name in module.unsure:
            return module, name, None
        if isinstance(bound, (ast.Name, ast.Attribute)) and depth < 20:
            return self.assigned(module, bound, depth + 1)
        return (module, name, bound) if isinstance(bound, ast.expr) else None

    def _followed(self, module: SourceModule, value: ast.expr) -> str | None:
        """The name that an assignment gives another name to (`Alias = Real`)."""
        if isinstance(value, ast.Name) and module.bindings.get(value.id) is value:
            return None
        if isinstance(value, (ast.Name, ast.Attribute)):
            return self.qualify(module, value)
        return None

    def _read(self, name: str) -> SourceModule | None:
        path = name.replace(".", os.sep)
        for root in self.roots:
            for file in (
                os.path.join(root, path, "__init__.py"),
                os.path.join(root, path + ".py"),
            ):
                if os.path.isfile(file):
                    try:
                        return SourceModule(name, file)
                    except (OSError, SyntaxError, ValueError):
                        return None
        return None


def search_path() -> list[str]:
    """The folders in which a module named by a string would be found at import."""
    return [folder or os.getcwd() for folder in sys.path if os.path.isdir(folder or os.getcwd())]


def names_bound(body: list[ast.stmt], *, imports: bool = True) -> set[str]:
    """The names that statements bind, those inside them too.

    Args:
        body: The statements.
        imports: Whether those of imports are among them.
    """
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif imports and isinstance(node, ast.alias):
                found.add(node.asname or node.name.partition(".")[0])
    return found


_TELLING = {"TYPE_CHECKING", "typing", "sys", "os", "__name__"}
_PLAIN_NODES = (
    ast.BoolOp,
    ast.boolop,
    ast.UnaryOp,
    ast.unaryop,
    ast.Compare,
    ast.cmpop,
    ast.Constant,
    ast.Tuple,
    ast.Name,
    ast.expr_context,
)


def _holds(test: ast.expr, name: str) -> bool | None:
    """Whether a condition over the interpreter, the platform or `TYPE_CHECKING` holds; else nothing."""
    for node in ast.walk(test):
        if isinstance(node, ast.Attribute):
            lawful = ast.unparse(node) in (
                "sys.version_info",
                "sys.platform",
                "os.name",
                "typing.TYPE_CHECKING",
            )
        elif isinstance(node, ast.Name):
            lawful = node.id in _TELLING
        else:
            lawful = isinstance(node, _PLAIN_NODES)
        if not lawful:
            return None
    places = {"TYPE_CHECKING": False, "typing": _Typing, "sys": sys, "os": os, "__name__": name}
    try:
        code = compile(ast.Expression(test), "", "eval")
        return bool(eval(code, {"__builtins__": {}}, places))  # noqa: S307 - of the nodes above.
    except TypeError:
        return None


class _Typing:
    TYPE_CHECKING = False
