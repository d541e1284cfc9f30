"""`/openapi.json`: what the JSON twins hold, read off the dataclasses that they are, so that it cannot go stale.

Files that are downloaded are described by their kind alone: their forms are other people's, or words.
"""

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ui.views.page import Page

Schema = dict[str, Any]
_SIMPLE: dict[type, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number"},
}

_TEXT: Schema = {"type": "string"}
_WAYS_IN: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "one of the server's read_tokens, where it has any"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "cpdd-session",
        "description": "as the form at /login gives it",
    },
}


@dataclass(frozen=True, slots=True)
class Download:
    """What is at an address of its own beside the pages, in a form that is not ours to describe in full."""

    name: str
    address: str
    """As Flask writes rules."""
    summary: str
    media_type: str
    schema: Mapping[str, str]


def describe(pages: Iterable[Page], downloads: Iterable[Download], version: str) -> Schema:
    """Return the OpenAPI 3.1 document of the pages' twins and of what is downloaded."""
    schemas: dict[str, Schema] = {
        "Problem": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["problem", "hint", "address"],
                    "properties": {name: {"type": "string"} for name in ("problem", "hint", "address")},
                }
            },
        }
    }
    paths = {_in_braces(f"{page.address}.json"): {"get": _operation(page, schemas)} for page in pages}
    paths |= {_in_braces(each.address): {"get": _of_download(each)} for each in downloads}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cpdd",
            "version": version or "0",
            "description": "Every page answers at its own address with .json. Times are nanoseconds; "
            "`offset_ns` counts from the start of the trace. Beside these there is the Jaeger query API v1 under /api.",
        },
        "paths": paths,
        "security": [{}, {"token": []}, {"session": []}],
        "components": {"schemas": schemas, "securitySchemes": _WAYS_IN},
    }


_PART = re.compile(r"<(?:\w+:)?(\w+)>")


def _in_braces(address: str) -> str:
    """`/journeys/<anything:journey>.json` to `/journeys/{journey}.json`."""
    return _PART.sub(r"{\1}", address)


def _operation(page: Page, schemas: dict[str, Schema]) -> Schema:
    return {
        "operationId": page.name,
        "summary": page.summary,
        "parameters": [
            *_in_path(page.address),
            *(
                {"name": p.name, "in": "query", "required": False, "description": p.description, "schema": _TEXT}
                for p in page.parameters
            ),
        ],
        "responses": {
            "200": {"description": "the page's value", "content": _content(schema_of(page.value, schemas))},
            "304": {"description": "unchanged since the ETag in If-None-Match"},
            **_refusals(),
        },
    }


def _of_download(download: Download) -> Schema:
    content = {download.media_type: {"schema": dict(download.schema)}}
    return {
        "operationId": download.name,
        "summary": download.summary,
        "parameters": _in_path(download.address),
        "responses": {"200": {"description": "the file", "content": content}, **_refusals()},
    }


def _in_path(address: str) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in _PART.findall(address)]


def _refusals() -> Schema:
    said = {"400": "the address cannot be read", "401": "a token is needed", "404": "nothing is there"}
    return {
        status: {"description": words, "content": _content(_reference("Problem"))} for status, words in said.items()
    }


def _content(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def schema_of(kind: Any, schemas: dict[str, Schema]) -> Schema:
    """Return the JSON schema of a type; dataclasses are added to `schemas` and referred to."""
    if kind in _SIMPLE:
        return dict(_SIMPLE[kind])
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(part, schemas) for part in arguments]}
    if kind is type(None):
        return {"type": "null"}
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return {"type": "array", "items": schema_of(arguments[0], schemas)}
    if origin is tuple:
        return {"type": "array", "prefixItems": [schema_of(part, schemas) for part in arguments]}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], schemas)}
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, schemas)
    raise TypeError(f"{kind} has no JSON schema: a page's value is made of dataclasses, tuples, dicts and plain values")


def _dataclass(kind: type, schemas: dict[str, Schema]) -> Schema:
    if kind.__name__ not in schemas:
        schemas[kind.__name__] = {}  # holds the place while its own fields refer to it
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        schemas[kind.__name__] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().split("\n")[0] if not _is_generated(kind) else "",
            "required": names,
            "properties": {name: schema_of(hints[name], schemas) for name in names},
        }
    return _reference(kind.__name__)


def _is_generated(kind: type) -> bool:
    """A dataclass without a docstring is given its signature as one."""
    return (kind.__doc__ or "").startswith(f"{kind.__name__}(")
