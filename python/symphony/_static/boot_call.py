"""One call of `boot(…)` in a source, as the graph that it would register.

Called by `_static.graphs`. The invariant kept here: components, overrides and the Conductor become
what `_components` and `_registration` make of them at run time; what is no literal is a note.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

from symphony._components.places import Function
from symphony._core import ComponentSpec, qualify, settle_names, stand_in, unfollowed
from symphony._static.manifest_source import ManifestSource, is_none
from symphony._static.project import Project
from symphony._static.reader import Reader
from symphony._static.stand_ins import unmatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from symphony._components.places import Definition
    from symphony._static.project import SourceModule
    from symphony.exceptions import Diagnostic

    Entry = tuple[SourceModule, Definition]

_POLICIES = ("Conductor", "Fifo", "ShortestRemaining", "WarmFirst", "TorchPolicy")


class SourceGraph:
    """What one call of `boot` registers, or what is marked and no call registers.

    Attributes:
        specs: The components, the Conductor last.
        names: Only faults that touch one of these are this graph's to tell; nothing: all.
        replaced: The ids of the core's own components that overrides stand in for.
        apart: Overrides that stand in for no component, by the names of their keys.
        config: The path of the system's manifest, where it is a literal.
        open: Something registers more than the text tells, so what seems missing may be there.
        unknown: Something replaces what the text does not tell, so nothing of the graph is sure.
    """

    __slots__ = ("apart", "config", "names", "open", "replaced", "specs", "unknown")

    def __init__(self, specs: list[ComponentSpec], names: set[str] | None = None) -> None:
        """Keeps both; the rest is what most calls say."""
        self.specs = specs
        self.names = names
        self.replaced: list[str] = []
        self.apart: list[tuple[str, ComponentSpec]] = []
        self.config: str | None = None
        self.open = False
        self.unknown = False


class BootCall:
    """Reads calls of `boot` in the modules of a project.

    Attributes:
        diagnostics: What could not be read or followed.
        registered: What the calls named, also what an override takes away again.
    """

    def __init__(
        self,
        reader: Reader,
        marked: Callable[[SourceModule], Iterator[Entry]],
    ) -> None:
        """Takes the reader of definitions, and what finds those that a module marks."""
        self.reader = reader
        self.project: Project = reader.project
        self.diagnostics: list[Diagnostic] = reader.diagnostics
        self.registered: set[tuple[str, str]] = set()
        self._marked = marked
        self._unknown = False
        self._local: frozenset[str] = frozenset()
        self._faults: list[tuple[ComponentSpec, list[Diagnostic]]] = []

    def read(
        self, module: SourceModule, call: ast.Call, local: frozenset[str] = frozenset()
    ) -> SourceGraph:
        """The graph of one call.

        Args:
            module: Where it stands.
            call: The call.
            local: Names of the functions around it, which the text alone does not follow.
        """
        self._local = local
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        before = len(self.diagnostics)
        hidden = any(keyword.arg is None for keyword in call.keywords)
        if hidden:
            self._note(module, call, "`boot(**…)` hides what it registers")
        if call.args:
            given.setdefault("conductor", call.args[0])
        self._unknown = False
        specs: list[ComponentSpec] = []
        config = self._config(module, given.get("config"))
        manifest = None if config is None else ManifestSource.read(config)
        for where, entry in self._named(module, given.get("components"), manifest):
            specs.extend(self._component(where, entry))
        self.registered.update((spec.module, spec.qualname) for spec in specs)
        graph = SourceGraph(specs)
        overrides = given.get("overrides")
        if overrides is not None:
            self._override(module, graph, overrides)
        # Until here a note says that something was registered, or replaced, that is not known.
        graph.open = len(self.diagnostics) > before or any(
            (spec.module, spec.qualname) in self.reader.incomplete for spec in specs
        )
        graph.unknown = hidden or self._unknown
        qualify(specs)
        chosen = given.get("conductor")
        where = module
        if manifest is not None and (chosen is None or is_none(self._literal(module, chosen))):
            where, chosen = manifest, manifest.conductor
        for spec in self._conductor(where, chosen):
            qualify(specs, spec)
            specs.append(spec)
        settle_names(specs, specs)
        self.registered.update((spec.module, spec.qualname) for spec in specs)
        if graph.apart and not (graph.open or graph.unknown):
            self.diagnostics += unmatched(self.project, graph.apart, specs)
        graph.config = config
        for spec, faults in self._faults:
            if any(spec is kept for kept in specs):
                self.diagnostics.extend(faults)
        self._faults.clear()
        return graph

    def _describe(self, found: Entry, *, conductor: bool = False) -> ComponentSpec:
        """A spec; its faults are told if nothing takes its place."""
        before = len(self.diagnostics)
        spec = self.reader.describe(*found, conductor=conductor)
        self._faults.append((spec, self.diagnostics[before:]))
        del self.diagnostics[before:]
        return spec

    def _named(
        self, module: SourceModule, given: ast.expr | None, manifest: ManifestSource | None
    ) -> list[tuple[SourceModule, ast.expr]]:
        """The entries of a call's `components=`, and of its manifest's, each with where it stands."""
        named: list[tuple[SourceModule, ast.expr]] = []
        if given is not None:
            named = [(module, entry) for entry in self._elements(module, given)]
        if manifest is not None:
            texts = {entry.value for _, entry in named if isinstance(entry, ast.Constant)}
            named += [(manifest, one) for one in manifest.components if one.value not in texts]
        return named

    def _elements(self, module: SourceModule, node: ast.expr) -> list[ast.expr]:
        """The elements of a literal list."""
        node = self._literal(module, node)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return list(node.elts)
        self._note(module, node, "`components=` of this call is not a literal")
        return []

    def _component(self, module: SourceModule, node: ast.expr) -> list[ComponentSpec]:
        """One entry of `components=`: a class, a factory, an object, a module or its name."""
        node = self._literal(module, node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name, _, attribute = node.value.partition(":")
            found = self._definition(f"{name}.{attribute}") if attribute else None
            if found is not None:
                return [self._describe(found)]
            if not attribute and self.project.module(name) is not None:
                return self._scan(name)
            self._note(module, node, f"`{node.value}` is not in this folder")
            return []
        qualified_name = self._qualify(module, node)
        found = self.project.definition(qualified_name) if qualified_name else None
        if found is not None:
            return [self._describe(found)]
        if qualified_name and self.project.module(qualified_name) is not None:
            return self._scan(qualified_name)
        given = self._given(module, node)
        if given is None:
            self._note(module, node, f"`{ast.unparse(node)}` is not defined in this folder's modules")
        return [] if given is None else [given]

    def _given(self, module: SourceModule, node: ast.expr) -> ComponentSpec | None:
        """An object that is made in the call: what its class would have made, which needs nothing any more."""
        made = self._qualify(module, node.func) if isinstance(node, ast.Call) else None
        found = self.project.definition(made) if made else None
        if found is None or self._may_be_called(*found):
            return None
        before = len(self.diagnostics)
        spec = self.reader.describe(*found)
        del self.diagnostics[before:]
        spec.needs.clear()
        if spec.kind == "class":
            spec.kind = "instance"
        return spec

    def _may_be_called(
        self, module: SourceModule, node: Definition, seen: tuple[Definition, ...] = ()
    ) -> bool:
        """Whether what a definition makes may be a factory itself; what cannot be followed may be one."""
        if not isinstance(node, ast.ClassDef) or node in seen:
            # A class that takes the name of its own base is found as its base, too.
            return True
        if any(isinstance(one, Function) and one.name == "__call__" for one in node.body):
            return True
        for base in node.bases:
            name = self._qualify(module, base)
            found = self.project.definition(name) if name else None
            if name != "object" and (found is None or self._may_be_called(*found, (*seen, node))):
                return True
        return False

    def _definition(self, name: str) -> Entry | None:
        """The definition of a name, also where its module only passes it on."""
        canonical = self.project.canonical(name)
        return self.project.definition(canonical) if canonical else None

    def _scan(self, name: str) -> list[ComponentSpec]:
        """What a module marks, and its submodules where it is a package."""
        module = self.project.module(name)
        if module is None:
            return []
        specs = [self._describe(entry) for entry in self._marked(module)]
        for submodule in self.project.submodules(module):
            specs.extend(self._scan(submodule))
        return specs

    def _conductor(self, module: SourceModule, node: ast.expr | None) -> list[ComponentSpec]:
        """The Conductor's class or factory; the base Conductor where none is named."""
        if node is None:
            return self._policy("Conductor")
        node = self._literal(module, node)
        name: str | None
        if is_none(node):
            return self._policy("Conductor")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = self.project.canonical(node.value.replace(":", ".", 1))
        else:
            if isinstance(node, ast.Attribute) and node.attr == "from_components":
                node = node.value
            name = self._qualify(module, node)
        if name is not None and name.startswith("symphony."):
            return self._policy(name.rpartition(".")[2])
        found = self.project.definition(name) if name else None
        if found is None:
            self._note(module, node, f"the Conductor `{ast.unparse(node)}` is not in this folder")
            return []
        return [self._describe(found, conductor=True)]

    def _policy(self, name: str) -> list[ComponentSpec]:
        """A Conductor of the package itself, read from its source like any other."""
        if name not in _POLICIES:
            return []
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        project = Project([os.path.dirname(package)])
        found = project.followed(f"symphony.conductor.{name}")
        return [Reader(project).describe(*found, conductor=True)] if found else []

    def _override(self, module: SourceModule, graph: SourceGraph, node: ast.expr) -> None:
        """Puts each replacement of a literal `overrides=` in the place of what provided its type."""
        specs = graph.specs
        node = self._literal(module, node)
        if not isinstance(node, ast.Dict):
            self._unknown = True
            self._note(module, node, "`overrides=` of this call is not a literal")
            return
        for key, value in zip(node.keys, node.values):
            name = self._qualify(module, key) if key is not None else None
            if name is None:
                self._unknown = True
                self._note(module, key or node, "a key of `overrides=`")
                continue
            stand = self._replacement(module, name, value)
            before = len(specs)
            replaced = stand_in(specs, name, stand)
            graph.replaced += replaced
            if not replaced and len(specs) > before:
                graph.apart.append((name, stand))

    def _replacement(self, module: SourceModule, key: str, value: ast.expr) -> ComponentSpec:
        """A class or function is a factory, so is what `factory(…)` marks; the rest is the instance."""
        marked = isinstance(value, ast.Call) and len(value.args) == 1
        if (
            marked
            and isinstance(value, ast.Call)
            and self._qualify(module, value.func) == "symphony.factory"
        ):
            value = value.args[0]
        target = self._qualify(module, value)
        found = self.project.definition(target) if target else None
        if found is not None:
            return self._describe(found, conductor=True)
        if isinstance(value, ast.Name) and value.id in self._local:
            self._note(module, value, f"what `overrides=` holds as `{value.id}`")
        spec = ComponentSpec(key.rpartition(".")[2], None, "instance", "", "")
        spec.file, spec.line, spec.column = module.place(value)
        if isinstance(value, ast.Call):
            # The class of the instance, where it is made on the spot.
            spec.made = self._qualify(module, value.func)
            made = self.project.definition(spec.made) if spec.made else None
            if made is not None and isinstance(made[1], ast.ClassDef):
                home, body = made
                spec.module, spec.qualname = home.name, body.name
                spec.file, spec.line, spec.column = home.place(body)
        return spec

    def _config(self, module: SourceModule, node: ast.expr | None) -> str | None:
        """The path of a literal `config=`, alone or in `SystemConfig.load(…)`, as seen from here."""
        if isinstance(node, ast.Call):
            made = self._qualify(module, node.func) or ""
            loads = made in (
                "symphony.SystemConfig",
                "symphony.config.SystemConfig",
                "symphony.load",
            )
            node = node.args[0] if loads and node.args else node
        node = None if node is None else self._literal(module, node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for folder in (os.getcwd(), *self.project.roots):
                path = os.path.join(folder, node.value)
                if os.path.isfile(path):
                    return path
        if node is not None and not is_none(node):
            self._note(module, node, "`config=` of this call")
        return None

    def _note(self, module: SourceModule, node: ast.AST, what: str) -> None:
        self.diagnostics.append(unfollowed(module.name, what, module.place(node)))

    def _qualify(self, module: SourceModule, node: ast.expr) -> str | None:
        """The full name of what stands in the call; nothing for what is a function's own."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root.id in self._local:
            return None
        return self.project.qualify(module, node)

    def _literal(self, module: SourceModule, node: ast.expr) -> ast.expr:
        """The literal that a name of the module stands for; another expression is itself."""
        if not isinstance(node, ast.Name) or node.id in self._local:
            return node
        bound = module.bindings.get(node.id)
        if isinstance(bound, (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict)):
            return bound
        return node
