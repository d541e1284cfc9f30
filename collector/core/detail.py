"""One span in full, as plain values: what a page, a file and the Jaeger API show of it.

The columns of a `SpanBatch` are for machines; a `SpanDetail` is for one reader of one span. It comes from the
bytes of a batch (`attributes.detail`) or from a row of the store, and is equal either way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.core.spans import AttributeValue, SpanBatch

_AT_A_TIME = 10_000
"""Rows of which outlines are held at once."""

Attributes = tuple[tuple[str, AttributeValue], ...]
"""Keys and values in the order in which they came; OTLP asks for unique keys but does not enforce them."""


@dataclass(frozen=True, slots=True)
class Event:
    time_unix_nano: int
    name: str
    attributes: Attributes = ()
    dropped_attributes_count: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    trace_id: str
    span_id: str
    trace_state: str = ""
    attributes: Attributes = ()
    dropped_attributes_count: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class ResourceDetail:
    attributes: Attributes = ()
    dropped_attributes_count: int = 0
    schema_url: str = ""


@dataclass(frozen=True, slots=True)
class ScopeDetail:
    name: str = ""
    version: str = ""
    attributes: Attributes = ()
    dropped_attributes_count: int = 0
    schema_url: str = ""


@dataclass(frozen=True, slots=True)
class SpanDetail:
    """All that OTLP says of a span beside the columns of its batch."""

    attributes: Attributes = ()
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    status_message: str = ""
    trace_state: str = ""
    dropped_attributes_count: int = 0
    dropped_events_count: int = 0
    dropped_links_count: int = 0
    resource: ResourceDetail = ResourceDetail()
    scope: ScopeDetail = ScopeDetail()

    @property
    def outline(self) -> "SpanOutline":
        return SpanOutline(
            self.attributes,
            self.resource.attributes,
            self.scope.name,
            tuple(event.time_unix_nano for event in self.events),
            tuple(LinkEnd(link.trace_id, link.span_id) for link in self.links),
        )


class LinkEnd(NamedTuple):
    """The span that a link leads to."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class SpanOutline:
    """What a list of spans needs of one, beside the columns of its batch."""

    attributes: Attributes
    resource: Attributes
    """The attributes of its resource."""
    scope: str
    """The name of its instrumentation scope."""
    events_unix_nano: tuple[int, ...]
    links: tuple[LinkEnd, ...]


@dataclass(frozen=True, slots=True)
class OutlinedSpans:
    """Columns for machines, and on demand what a list shows of every row."""

    batch: SpanBatch
    outlines: Callable[[Sequence[int]], Sequence[SpanOutline]]
    """Rows of `batch` to their outlines."""
    saying: Callable[[str], set[int]] | None = None
    """A quicker way to `rows_saying`, where what is stored has one."""

    def links(self) -> list[tuple[LinkEnd, ...]]:
        """Return of every row where its links lead."""
        return [outline.links for outline in self._all()]

    def rows_saying(self, text: str) -> set[int]:
        """Return the rows of which an attribute, or one of their resource, has a text in its `key=value`.

        Args:
            text: in lower case (`str.casefold`).
        """
        if self.saying:
            return self.saying(text)
        of_resources: dict[int, tuple[Attributes, bool]] = {}  # by identity: spans share a resource, and hold it

        def says(attributes: Attributes) -> bool:
            return any(text in f"{key}={value!s}".casefold() for key, value in attributes)

        found = set()
        for row, outline in enumerate(self._all()):
            resource = id(outline.resource)
            if resource not in of_resources:
                of_resources[resource] = outline.resource, says(outline.resource)
            if of_resources[resource][1] or says(outline.attributes):
                found.add(row)
        return found

    def _all(self) -> Iterator[SpanOutline]:
        slices = (range(len(self.batch))[begin : begin + _AT_A_TIME] for begin in range(0, len(self.batch), _AT_A_TIME))
        return (outline for rows in slices for outline in self.outlines(rows))


@dataclass(frozen=True, slots=True)
class DetailedSpans:
    """Columns for machines, and on demand every row in full."""

    batch: SpanBatch
    detail: Callable[[int], SpanDetail]
    """Row of `batch` to its detail."""
    several: Callable[[Sequence[int]], Sequence[SpanDetail]] | None = None
    """Rows to their details, where that is faster than one by one."""

    def details(self, rows: Sequence[int]) -> Sequence[SpanDetail]:
        """Return the details of some rows."""
        return self.several(rows) if self.several else [self.detail(row) for row in rows]

    @property
    def outlined(self) -> OutlinedSpans:
        """The same spans, of whose details only outlines are asked for."""
        return OutlinedSpans(self.batch, lambda rows: [detail.outline for detail in self.details(rows)])
