"""`/openapi.json`: what the JSON twins hold, read off the dataclasses that they are, so that it cannot go stale."""

import types
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ui.views.page import Page

Schema = dict[str, Any]
_SIMPLE: dict[type, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number"},
}

_WAYS_IN: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "one of the server's read_tokens, where it has any"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "cpdd-session",
        "description": "as the form at /login gives it",
    },
}


def describe(pages: Iterable[Page], version: str) -> Schema:
    """Return the OpenAPI 3.1 document of the pages' twins."""
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
    paths = {_twin(page.address): {"get": _operation(page, schemas)} for page in pages}
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


def _twin(address: str) -> str:
    """`/journeys/<anything:journey>` to `/journeys/{journey}.json`."""
    for part in address.split("/"):
        if part.startswith("<"):
            address = address.replace(part, "{" + part.strip("<>").rpartition(":")[2] + "}")
    return f"{address}.json"


def _operation(page: Page, schemas: dict[str, Schema]) -> Schema:
    in_path = [part.strip("<>").rpartition(":")[2] for part in page.address.split("/") if part.startswith("<")]
    text = {"type": "string"}
    return {
        "operationId": page.name,
        "summary": page.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": text} for name in in_path),
            *(
                {"name": p.name, "in": "query", "required": False, "description": p.description, "schema": text}
                for p in page.parameters
            ),
        ],
        "responses": {
            "200": {"description": "the page's value", "content": _content(schema_of(page.value, schemas))},
            "304": {"description": "unchanged since the ETag in If-None-Match"},
            "400": {"description": "the address cannot be read", "content": _content(_reference("Problem"))},
            "401": {
                "description": "a token is needed",
                "content": _content(_reference("Problem")),
            },
            "404": {"description": "nothing is there", "content": _content(_reference("Problem"))},
        },
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
