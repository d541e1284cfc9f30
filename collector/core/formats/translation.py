"""What a translation gives: OTLP bytes, and the spans that could not be read, each with its place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.core.rejections import MAX_KEPT, Rejection, Rejections

__all__ = [
    "MAX_KEPT",
    "MAX_TIME_UNIX_NANO",
    "Rejection",
    "Rejections",
    "Translation",
    "Unreadable",
    "array_of",
    "nonzero_id",
    "padded_hex",
    "rejection_of",
    "shown",
    "text_of",
    "whole_number",
]

MAX_TIME_UNIX_NANO = 2**63 - 1
MAX_SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True)
class Translation:
    """An ExportTraceServiceRequest made of another format. `decode_traces` refuses nothing of `body`."""

    body: bytes
    rejected: int
    rejections: tuple[Rejection, ...]
    """The first `MAX_KEPT` of them."""


class Unreadable(ValueError):
    """A value that makes its span unreadable. The message says which, what it is, and what is expected."""

    def __init__(self, problem: str, hint: str = "") -> None:
        self.problem = problem
        self.hint = hint
        super().__init__(problem)


def rejection_of(odd: Unreadable, place: str, name: object, service: object) -> Rejection:
    """Return the rejection of a span; its name and service are told where they are text."""
    name, service = (x if isinstance(x, str) else "" for x in (name, service))
    hint = odd.hint.replace("{service}", f'"{service}"' if service else "these spans")
    return Rejection(odd.problem, place, name, service, hint)


def shown(value: object) -> str:
    """Return a value as it stands in JSON, cut where it is long, printable; containers by their kind."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            cut = value if len(value) <= MAX_SHOWN_CHARS else value[:MAX_SHOWN_CHARS] + "…"
            return '"' + "".join(c if c.isprintable() else "�" for c in cut) + '"'
        case _:
            return str(value)[:MAX_SHOWN_CHARS]


_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,20}")
_HEX = re.compile(r"[0-9a-fA-F]+")


def whole_number(name: str, value: object, low: int = -(2**63), high: int = 2**63 - 1) -> int:
    """Return a whole number within bounds that JSON may write as a number or as text; raises Unreadable."""
    if type(value) is int:
        number = value
    elif (type(value) is str and _WHOLE_NUMBER.fullmatch(value)) or (type(value) is float and value.is_integer()):
        number = int(value)
    else:
        raise Unreadable(f"{name} is {shown(value)}, a whole number expected")
    if number > high:
        raise Unreadable(f"{name} is {number}, above {high}")
    if number < low:
        raise Unreadable(f"{name} is {number}, below {low}")
    return number


def padded_hex(name: str, value: object, digits: int) -> str:
    """Return an id of which leading zeros may be missing, as Jaeger and Zipkin write it; raises Unreadable."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        problem = "is missing" if value is None else f"is {shown(value)}, up to {digits} hex digits expected"
        raise Unreadable(f"{name} {problem}")
    if len(value) > digits and value[:-digits].strip("0"):
        raise Unreadable(f"{name} has {len(value)} hex digits, {digits} at most expected")
    return value[-digits:].rjust(digits, "0").lower()


def nonzero_id(name: str, value: object, digits: int) -> str:
    """Return an id as `padded_hex` does; all zero is none."""
    text = padded_hex(name, value, digits)
    if not text.strip("0"):
        raise Unreadable(f"{name} is all zero")
    return text


def array_of(holder: Mapping[str, Any], name: str) -> list[Any]:
    """Return an array of a JSON object, empty where it is absent; raises Unreadable."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"{name} is {shown(value)}, an array expected")
    return value


def text_of(holder: Mapping[str, Any], name: str) -> str:
    """Return a text of a JSON object, "" where it is absent; raises Unreadable."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"{name} is {shown(value)}, text expected")
    return value
