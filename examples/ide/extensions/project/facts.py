"""What a project's review needs of one file, kept until the file changes."""

from __future__ import annotations

import ast
import tokenize
import warnings
from pathlib import Path

BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)


class FileFacts:
    """The facts of one file.

    Attributes:
        size: Bytes.
        lines: Lines in all.
        code: The lines that hold code: number, text without indentation.
        parsed: Whether the file parses; what follows is empty otherwise.
        functions: Qualified name, line, cyclomatic complexity.
        classes: How many classes.
        imports: What is imported while the module is: level, module, names.
    """

    __slots__ = ("classes", "code", "functions", "imports", "lines", "parsed", "size")

    def __init__(self, data: bytes) -> None:
        """Read the facts from a file's bytes."""
        text = decode(data)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        self.size = len(data)
        self.lines = len(lines)
        self.code = [
            (number, line.strip())
            for number, line in enumerate(lines, 1)
            if len(line.strip()) > 1 and not line.lstrip().startswith("#")
        ]
        self.functions: list[tuple[str, int, int]] = []
        self.classes = 0
        self.imports: list[tuple[int, str, tuple[str, ...]]] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.parsed = False
            return
        self.parsed = True
        self._read_tree(tree)

    def _read_tree(self, tree: ast.Module) -> None:
        waiting: list[tuple[ast.AST, str, bool]] = [(tree, "", True)]
        while waiting:
            node, prefix, runs_at_import = waiting.pop()
            if isinstance(node, SCOPES):
                name = prefix + node.name
                prefix = name + "."
                if isinstance(node, ast.ClassDef):
                    self.classes += 1
                else:
                    self.functions.append((name, node.lineno, complexity_of(node)))
                    runs_at_import = False
            elif runs_at_import and isinstance(node, ast.Import):
                self.imports += [(0, alias.name, ()) for alias in node.names]
            elif runs_at_import and isinstance(node, ast.ImportFrom):
                names = tuple(alias.name for alias in node.names)
                self.imports.append((node.level, node.module or "", names))
            if isinstance(node, ast.If) and is_elsewhere(node.test):
                waiting += [(child, prefix, False) for child in node.body]
                waiting += [(child, prefix, runs_at_import) for child in node.orelse]
            elif isinstance(node, (ast.stmt, ast.mod, ast.ExceptHandler)) or has_statements(node):
                children = ast.iter_child_nodes(node)
                waiting += [(child, prefix, runs_at_import) for child in children]


def has_statements(node: ast.AST) -> bool:
    """Recognise a `case` of `match`, which came with Python 3.10."""
    return type(node).__name__ == "match_case"


def is_elsewhere(test: ast.expr) -> bool:
    """Recognise `TYPE_CHECKING` and `__name__ == "__main__"`: what an import does not run."""
    if isinstance(test, ast.Compare):
        return isinstance(test.left, ast.Name) and test.left.id == "__name__"
    name = test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")
    return name == "TYPE_CHECKING"


def complexity_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Measure McCabe's complexity, without the functions and classes inside."""
    value = 1
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, SCOPES):
            continue
        if isinstance(node, BRANCHES):
            value += 1
        elif isinstance(node, ast.BoolOp):
            value += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            value += 1 + len(node.ifs)
        elif has_statements(node):
            value += 1
        waiting += ast.iter_child_nodes(node)
    return value


def decode(data: bytes) -> str:
    """Decode source by PEP 263, else as UTF-8 with replacements."""
    lines = iter(data.splitlines(keepends=True)[:2])
    try:
        encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
        text = data.decode(encoding)
    except (SyntaxError, LookupError, UnicodeError):
        text = data.decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


_known: dict[Path, tuple[tuple[int, int], FileFacts]] = {}


def facts_of(root: str, file: str) -> FileFacts | None:
    """Read a file's facts, or return those read before while the file is unchanged.

    Args:
        root: The project's folder.
        file: The file, relative to `root`.

    Returns:
        The facts; None where the file vanished since it was listed, or may not be read.
    """
    path = Path(root, file)
    try:
        status = path.stat()
        state = (status.st_mtime_ns, status.st_size)
        known = _known.get(path)
        if known is not None and known[0] == state:
            return known[1]
        facts = FileFacts(path.read_bytes())
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        return None
    _known[path] = (state, facts)
    return facts
