"""One review out of many analyses: a score, the worst places, and a document to keep."""

from __future__ import annotations

import json

from symphony.extension import Extension

extension = Extension("rank", "0.1.0")

GRADES = ((90, "A"), (75, "B"), (60, "C"), (45, "D"))
TOO_COMPLEX = 10


@extension.operation
def review(
    path: str,
    lines: int,
    *,
    outline: list[dict[str, object]] | None = None,
    imports: list[dict[str, object]] | None = None,
    complexity: list[dict[str, object]] | None = None,
    docstrings: dict[str, object] | None = None,
    annotations: dict[str, object] | None = None,
    todos: list[dict[str, object]] | None = None,
    naming: list[dict[str, object]] | None = None,
    duplicates: list[dict[str, object]] | None = None,
    dead_imports: list[dict[str, object]] | None = None,
    tokens: dict[str, object] | None = None,
    secrets: list[dict[str, object]] | None = None,
    pitfalls: list[dict[str, object]] | None = None,
    lint: dict[str, object] | None = None,
    line_counts: dict[str, object] | None = None,
    words: dict[str, object] | None = None,
    limit: int = 5,
) -> dict[str, object]:
    """Rank one file. Every analysis may be absent; what is absent costs nothing and is named.

    Args:
        path: The file.
        lines: How many lines it has.
        outline: Result of `outline.outline`, and so on for the other extensions.
        imports: Result of `imports.imports`.
        complexity: Result of `complexity.complexity`.
        docstrings: Result of `docstrings.docstrings`.
        annotations: Result of `annotations.annotations`.
        todos: Result of `todos.todos`.
        naming: Result of `naming.naming`.
        duplicates: Result of `duplicates.duplicates`.
        dead_imports: Result of `dead-imports.dead_imports`.
        tokens: Result of `tokens.tokens`.
        secrets: Result of `secrets.scan`.
        pitfalls: Result of `pitfalls.pitfalls`.
        lint: Result of `lint.lint`.
        line_counts: Result of `lines.count`.
        words: Result of `words.words`.
        limit: How many places to list of a kind.

    Returns:
        `path`, `lines`, `score` (0 to 100), `grade` (A to F), `functions`, `most_complex`,
        `documentation` and `annotation` (0 to 1, or None), `findings` (a count for each
        analysis), `places` (what to look at first, with `file:line`), `absent` analyses, and
        `document`: all this as JSON, the same text for the same results.
    """
    analyses: dict[str, object] = {
        "outline": outline,
        "imports": imports,
        "complexity": complexity,
        "docstrings": docstrings,
        "annotations": annotations,
        "todos": todos,
        "naming": naming,
        "duplicates": duplicates,
        "dead-imports": dead_imports,
        "tokens": tokens,
        "secrets": secrets,
        "pitfalls": pitfalls,
        "lint": lint,
        "lines": line_counts,
        "words": words,
    }
    functions = complexity or []
    documentation = coverage_of(docstrings)
    annotation = coverage_of(annotations)
    findings = {
        "todos": len(todos or []),
        "naming": len(naming or []),
        "duplicates": len(duplicates or []),
        "dead-imports": len(dead_imports or []),
        "secrets": len(secrets or []),
        "pitfalls": len(pitfalls or []),
        "lint": int(number(lint or {}, "count")),
    }
    repeated = sum(int(number(block, "lines")) for block in duplicates or [])
    score = score_of(
        lines,
        functions,
        documentation=documentation,
        annotation=annotation,
        findings=findings,
        repeated=repeated,
    )
    result: dict[str, object] = {
        "path": path,
        "lines": lines,
        "score": score,
        "grade": grade_of(score),
        "functions": len(functions),
        "symbols": count_symbols(outline or []),
        "imports": len({str(entry.get("module")) for entry in imports or []}),
        "most_complex": [
            {
                "name": entry.get("name"),
                "place": f"{path}:{entry.get('line')}",
                "complexity": entry.get("complexity"),
                "rank": entry.get("rank"),
            }
            for entry in functions[: max(limit, 0)]
        ],
        "documentation": documentation,
        "annotation": annotation,
        "findings": findings,
        "places": places_of(
            path,
            limit,
            secrets=secrets,
            pitfalls=pitfalls,
            dead_imports=dead_imports,
            functions=functions,
        ),
        "measures": {
            "tokens": int(number(tokens or {}, "total")),
            "code": int(number(line_counts or {}, "code")),
            "readability": number(words or {}, "readability") if words else None,
        },
        "absent": sorted(name for name, value in analyses.items() if value is None),
    }
    result["document"] = json.dumps(result, sort_keys=True, indent=1, ensure_ascii=False)
    return result


@extension.operation
def project(
    root: str,
    totals: dict[str, object] | None = None,
    modules: dict[str, object] | None = None,
    hotspots: list[dict[str, object]] | None = None,
    clones: list[dict[str, object]] | None = None,
) -> dict[str, object]:
    """Rank a whole project from the analyses of `project`.

    Args:
        root: The project's folder.
        totals: Result of `project.totals`.
        modules: Result of `project.modules`.
        hotspots: Result of `project.hotspots`.
        clones: Result of `project.clones`.

    Returns:
        `root`, `score`, `grade`, the analyses themselves, `advice` (sentences, the weightiest
        first) and `document`: all this as JSON, the same text for the same results.
    """
    cycles = listed((modules or {}).get("cycles"))
    too_complex = int(number(totals or {}, "too_complex"))
    functions = int(number(totals or {}, "functions"))
    code_lines = int(number(totals or {}, "code")) or 1
    repeated = sum(int(number(clone, "lines")) for clone in clones or [])
    share = too_complex / functions if functions else 0.0
    score = 100.0 - min(40.0, 200 * share) - min(30.0, 3.0 * len(cycles))
    score -= min(20.0, 200 * repeated / code_lines)
    advice: list[str] = []
    if cycles:
        modules_in = max(cycles, key=lambda cycle: len(listed(cycle)))
        size = len(listed(modules_in))
        advice.append(f"{len(cycles)} import cycles; the largest holds {size} modules")
    if hotspots:
        worst = hotspots[0]
        advice.append(
            f"`{worst.get('name')}` at {worst.get('place')} has complexity "
            f"{worst.get('complexity')}; {too_complex} functions are above {TOO_COMPLEX}"
        )
    if clones:
        clone = clones[0]
        advice.append(
            f"{clone.get('first')} and {clone.get('second')} share {clone.get('lines')} lines"
        )
    result: dict[str, object] = {
        "root": root,
        "score": round(max(score, 0.0), 1),
        "grade": grade_of(score),
        "totals": totals,
        "modules": modules,
        "most_complex": hotspots,
        "clones": clones,
        "advice": advice,
    }
    result["document"] = json.dumps(result, sort_keys=True, indent=1, ensure_ascii=False)
    return result


def score_of(
    lines: int,
    functions: list[dict[str, object]],
    *,
    documentation: float | None,
    annotation: float | None,
    findings: dict[str, int],
    repeated: int,
) -> float:
    """Weigh the analyses: each takes away no more than its share of 100."""
    size = max(lines, 50)  # Two findings in a ten-line file are not a disaster.
    too_complex = sum(1 for entry in functions if number(entry, "complexity") > TOO_COMPLEX)
    score = 100.0
    score -= min(30.0, 60.0 * too_complex / len(functions)) if functions else 0.0
    score -= 20.0 * (1 - documentation) if documentation is not None else 0.0
    score -= 10.0 * (1 - annotation) if annotation is not None else 0.0
    weighty = findings["pitfalls"] + findings["dead-imports"] + findings["lint"]
    score -= min(15.0, 300.0 * weighty / size)
    score -= min(5.0, 100.0 * (findings["naming"] + findings["todos"]) / size)
    score -= min(10.0, 50.0 * repeated / size)
    score -= min(20.0, 10.0 * findings["secrets"])
    return round(max(score, 0.0), 1)


def places_of(
    path: str,
    limit: int,
    *,
    secrets: list[dict[str, object]] | None,
    pitfalls: list[dict[str, object]] | None,
    dead_imports: list[dict[str, object]] | None,
    functions: list[dict[str, object]],
) -> list[dict[str, object]]:
    """List what to look at first, the weightiest kinds first."""
    found: list[tuple[object, str]] = []
    found += [(entry.get("line"), f"credential ({entry.get('rule')})") for entry in secrets or []]
    found += [(entry.get("line"), str(entry.get("message"))) for entry in pitfalls or []]
    found += [
        (entry.get("line"), f"`{entry.get('name')}` has complexity {entry.get('complexity')}")
        for entry in functions
        if number(entry, "complexity") > 2 * TOO_COMPLEX
    ]
    found += [
        (entry.get("line"), f"`{entry.get('name')}` is imported and never used")
        for entry in dead_imports or []
    ]
    return [{"place": f"{path}:{line}", "what": text} for line, text in found[: 2 * max(limit, 0)]]


def grade_of(score: float) -> str:
    """Name a score."""
    for limit, grade in GRADES:
        if score >= limit:
            return grade
    return "F"


def coverage_of(result: dict[str, object] | None) -> float | None:
    """Read a coverage; None where the analysis is absent or the file did not parse."""
    return number(result, "coverage") if result and result.get("parsed") else None


def number(entry: dict[str, object], key: str) -> float:
    """Read a number of a result; 0 where there is none."""
    value = entry.get(key)
    return value if isinstance(value, (int, float)) else 0


def listed(value: object) -> list[object]:
    """Read a list of a result; empty where there is none."""
    return value if isinstance(value, list) else []


def count_symbols(outline: list[dict[str, object]]) -> int:
    """Count the symbols of an outline, the nested ones too."""
    count = 0
    waiting: list[object] = list(outline)
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            count += 1
            waiting += listed(entry.get("children"))
    return count
