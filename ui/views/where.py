"""`where=key=value` of an address: a journey's figures over the traces that have an attribute, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass

from ui.draw.text import shown
from ui.views.address import Parameters
from ui.views.errors import BadAddress
from ui.views.page import Parameter, Visit

WHERE = Parameter(
    "where",
    "key=value: only traces with a span, or a resource, that has the attribute; the newest 10,000. Reads the spans of "
    "the range for it",
)


@dataclass(frozen=True, slots=True)
class Where:
    """A condition, and the traces of a journey that meet it."""

    key: str
    value: str
    trace_ids: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.key}={self.value}"

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        return ((self.key, self.value),)


def where_of(visit: Visit, journey: str) -> Where | None:
    """Return the condition of the address, None where there is none; raises BadAddress where it is no condition."""
    text = visit.query.get(WHERE.name, "").strip()
    if not text:
        return None
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise BadAddress(f"where={shown(text)} is no condition", hint="write key=value, such as http.route=/pay")
    return Where(key, value, visit.reader.choose(journey, visit.range.window, ((key, value),)))


def chosen_by(where: Where | None) -> tuple[str, ...] | None:
    """Return the traces that count, None for all."""
    return where.trace_ids if where else None


def kept_of(query: Mapping[str, str]) -> Parameters:
    """Return the condition as links keep it."""
    text = query.get(WHERE.name, "").strip()
    return {WHERE.name: text} if text else {}
