"""A language server that defines each word where it first stands.

Arguments: `utf-8`, `utf-16`, `utf-32` are its units (default: the first of the client), `banner` prints junk first,
`pull` has its diagnostics asked for, `sloppy` writes wrong lengths before some answers,
`dies` ends at its first message, `shuts` when it is to shut down.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from rpc import read_framed, write_framed, write_raw

MODES = set(sys.argv[1:])
documents: dict[str, str] = {}
heard: list[str] = []
targets: list[dict[str, Any]] = []
"""Where the next definition is, whatever was asked."""
answers: dict[Any, Any] = {}
units = ["utf-16"]


def counted(text: str) -> int:
    if units[0] == "utf-32":
        return len(text)
    return len(text.encode("utf-8")) if units[0] == "utf-8" else len(text.encode("utf-16-le")) // 2


def points(line: str, character: int) -> int:
    for index in range(len(line) + 1):
        if counted(line[:index]) >= character:
            return index
    return len(line)


def place(line: int, text: str, start: int, end: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": counted(text[:start])},
        "end": {"line": line, "character": counted(text[:end])},
    }


def words(uri: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (found.group(), place(number, line, *found.span()))
        for number, line in enumerate(documents[uri].split("\n"))
        for found in re.finditer(r"\w+", line)
    ]


def word_at(params: dict[str, Any]) -> str:
    position = params["position"]
    line = documents[params["textDocument"]["uri"]].split("\n")[position["line"]]
    at = points(line, position["character"])
    return next(f.group() for f in re.finditer(r"\w+", line) if f.start() <= at <= f.end())


def found_faults(uri: str) -> list[dict[str, Any]]:
    return [
        {"range": where, "message": f"`{word}` is wrong", "severity": 1}
        for word, where in words(uri)
        if word.startswith("bad")
    ]


def publish(uri: str, version: int) -> None:
    if "pull" not in MODES:
        told = {"uri": uri, "version": version, "diagnostics": found_faults(uri)}
        write_framed({"method": "textDocument/publishDiagnostics", "params": told})


def asks(method: str, params: Any) -> Any:
    write_framed({"id": f"ask {method}", "method": method, "params": params})
    while True:
        message = read_framed()
        if message and message.get("id") == f"ask {method}":
            return message.get("result", message.get("error"))


def answer(method: str, params: dict[str, Any], number: Any) -> Any:
    uri = params.get("textDocument", {}).get("uri", "")
    if method == "textDocument/definition":
        if targets:
            return targets.pop()
        word = word_at(params)
        return {"uri": uri, "range": next(where for known, where in words(uri) if known == word)}
    if method == "textDocument/references":
        word = word_at(params)
        return [{"uri": uri, "range": where} for known, where in words(uri) if known == word]
    if method == "textDocument/hover":
        return {"contents": {"kind": "markdown", "value": f"the word {word_at(params)}"}}
    if method == "textDocument/rename":
        word = word_at(params)
        edits = [
            {"range": w, "newText": params["newName"]} for known, w in words(uri) if known == word
        ]
        return {"changes": {uri: edits}}
    if method == "textDocument/diagnostic":
        return {"kind": "full", "items": found_faults(uri)}
    if method == "textDocument/completion":
        return {"isIncomplete": False, "items": [{"label": word} for word, _ in words(uri)]}
    if method == "test/point":
        targets[:] = [params]
        return None
    if method == "test/heard":
        return heard
    if method == "test/documents":
        return documents
    if method == "test/ask":
        return asks(params["method"], params.get("params"))
    if method == "test/crash":
        print("the language server crashes", file=sys.stderr, flush=True)
        os._exit(9)
    if method == "test/silent":
        return ...
    if method == "test/half":
        write_raw(params["header"].encode())
        return "whole"
    if method == "test/huge":
        write_framed({"id": number, "result": "x" * (64 << 20)})
        return ...
    if method == "test/twice":
        write_framed({"id": number, "result": "one"})
        return "two"
    if method == "test/late":
        while read_framed() != {
            "jsonrpc": "2.0",
            "method": "$/cancelRequest",
            "params": {"id": number},
        }:
            pass
        return "nobody waits"
    if method == "test/cut":
        write_raw(b'Content-Length: 400\r\n\r\n{"jsonrpc": "2.0", "id"')
        os._exit(9)
    if method == "test/soon":
        write_framed({"id": number, "result": os.getpid()})
        os._exit(9)
    raise KeyError(method)


def main() -> None:
    if "banner" in MODES:
        write_raw(b"Welcome to the language server\nversion 1\n")
    while (message := read_framed()) is not None:
        method, params = message.get("method"), message.get("params") or {}
        number = message.get("id")
        heard.append(method)
        if "dies" in MODES or ("shuts" in MODES and method == "shutdown"):
            print("the language server crashes", file=sys.stderr, flush=True)
            os._exit(9)
        if method == "initialize":
            offered = params["capabilities"]["general"]["positionEncodings"]
            units[0] = next((mode for mode in MODES if mode.startswith("utf")), offered[0])
            able: dict[str, Any] = {"positionEncoding": units[0], "textDocumentSync": 1}
            if "pull" in MODES:
                able["diagnosticProvider"] = {}
            write_framed({"id": number, "result": {"capabilities": able}})
        elif method == "textDocument/didOpen":
            document = params["textDocument"]
            documents[document["uri"]] = document["text"]
            publish(document["uri"], document["version"])
        elif method == "textDocument/didChange":
            document = params["textDocument"]
            documents[document["uri"]] = params["contentChanges"][-1]["text"]
            publish(document["uri"], document["version"])
        elif method == "textDocument/didClose":
            documents.pop(params["textDocument"]["uri"], None)
        elif method == "shutdown":
            write_framed({"id": number, "result": None})
        elif method == "exit":
            sys.exit(0)
        elif number is not None and method is not None:
            try:
                result = answer(method, params, number)
            except KeyError:
                fault = {"code": -32601, "message": f"unknown {method}"}
                write_framed({"id": number, "error": fault})
                continue
            if result is ...:
                continue
            if "sloppy" in MODES and method == "textDocument/hover":
                write_framed({"id": number, "result": result}, length=10)
                continue
            write_framed({"id": number, "result": result})


main()
