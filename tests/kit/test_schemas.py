"""What each operation takes and gives, as JSON Schema: of an extension in Python, of a library, of servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kit_processes import running
from workshop import IDE, write

SCRIPTED = Path(__file__).parents[1] / "servers" / "scripted"
TYPED = '''
import datetime
from dataclasses import dataclass
from enum import Enum, Flag
from typing import Annotated, Dict, Iterator, List, Literal, NamedTuple, Optional, Tuple, TypedDict

class Color(Enum):
    RED = "red"
    BLUE = "blue"

class Access(Flag):
    READ = 1
    WRITE = 2

@dataclass
class Point:
    x: int
    y: float = 0.0
    next: "Optional[Point]" = None

class Found(TypedDict, total=False):
    name: str

class Pair(NamedTuple):
    first: int
    second: str = ""

@extension.operation
def typed(
    number: int, points: "List[Point]", color: Color = Color.RED, kind: Literal["a", "b"] = "a",
    table: Dict[str, Found] = None, day: Optional[datetime.date] = None, raw: bytes = b"",
    label: Annotated[str, "what it is called"] = "none", both: Tuple[int, str] = (1, ""), pair: Pair = None,
    access: Access = Access.READ,
) -> List[Found]:
    """Does everything.

    And more.
    """
    return []

@extension.operation
def count(to: int) -> Iterator[int]:
    yield from range(to)

@extension.operation
def loose(value, **rest):
    return value

@extension.operation
def unread(value: "Nowhere") -> "Nowhere":
    return value
'''


@pytest.fixture(scope="module")
def system(shared_workshop):
    if not (IDE / "extensions/words/libwords.so").exists():
        subprocess.run(["sh", str(IDE / "build.sh")], check=True)
    shared_workshop.system("", f'["extensions/*", "{IDE}/extensions/words"]')
    shared_workshop.extension("lab", TYPED)
    for protocol in ("mcp", "lsp"):
        write(
            shared_workshop.folder / "extensions" / protocol / "Symphony.toml",
            f"""
            [extension]
            name = "{protocol}"
            protocol = "{protocol}"
            command = ["{sys.executable}", "{SCRIPTED}/{protocol}_server.py"]
            [extension.permissions]
            read = ["{SCRIPTED}"]
            """,
        )
    with running(shared_workshop) as system:
        yield system


def test_annotations_become_schemas(system):
    schema = system.kit.extension("lab").schema()
    typed = schema["typed"]
    assert typed["description"] == "Does everything.\n\nAnd more."
    taken = typed["input"]
    assert taken["required"] == ["number", "points"]
    assert taken["additionalProperties"] is False
    point = {"$ref": "#/$defs/Point"}
    assert taken["properties"] == {
        "number": {"type": "integer"},
        "points": {"type": "array", "items": point},
        "color": {"enum": ["red", "blue"]},
        "kind": {"enum": ["a", "b"], "default": "a"},
        "table": {
            "anyOf": [
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/Found"}},
                {"type": "null"},
            ]
        },
        "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "raw": {"type": "string", "contentEncoding": "base64"},
        "label": {"type": "string", "description": "what it is called", "default": "none"},
        "both": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "pair": {"anyOf": [{"$ref": "#/$defs/Pair"}, {"type": "null"}]},
        "access": {},
    }
    assert taken["$defs"]["Point"] == {
        "title": "Point",
        "type": "object",
        "properties": {
            "x": {"type": "integer"},
            "y": {"type": "number"},
            "next": {"anyOf": [point, {"type": "null"}]},
        },
        "required": ["x"],
        "additionalProperties": False,
    }
    assert taken["$defs"]["Pair"]["minItems"] == 1
    # A dict that is a result may hold more than its class says.
    found = {"title": "Found", "type": "object", "properties": {"name": {"type": "string"}}}
    assert typed["output"]["$defs"]["Found"] == found
    assert typed["output"]["items"] == {"$ref": "#/$defs/Found"}


def test_a_stream_gives_the_list_of_its_values(system):
    count = system.kit.extension("lab").schema()["count"]
    assert count["output"] == {"type": "array", "items": {"type": "integer"}}


def test_what_says_nothing_allows_everything(system):
    schema = system.kit.extension("lab").schema()
    assert schema["loose"]["input"] == {
        "type": "object",
        "properties": {"value": {}},
        "required": ["value"],
    }
    assert schema["unread"]["input"]["properties"] == {"value": {}}
    assert "output" not in schema["unread"]


def test_a_tool_has_the_schemas_of_its_server(system):
    schema = system.kit.extension("mcp").schema()
    tool = schema["add"]["input"]
    assert set(tool["properties"]) == {"a", "b"}
    assert schema["read_resource"]["input"]["required"] == ["uri"]


def test_a_language_servers_inputs_are_typed(system):
    schema = system.kit.extension("lsp").schema()
    taken = schema["definition"]["input"]
    assert taken["properties"]["line"] == {"type": "integer", "minimum": 0}
    assert taken["required"] == ["path", "line", "character"]
    assert set(schema) == set(system.kit.extension("lsp").operations())


def test_one_that_knows_no_schemas_has_those_of_its_handshake(system):
    schema = system.kit.extension("words").schema()
    assert schema["words"]["input"]["type"] == "object"
    assert set(schema) == set(system.kit.extension("words").operations())


def test_who_is_asked_is_started(system):
    handle = system.kit.extension("lab")
    assert "typed" in handle.schema()
    assert handle.state == "ready"
