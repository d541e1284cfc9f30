"""One span in full: what it said, and why it is on the critical path or not."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from collector.core.catalog import Owner, owner_of
from collector.core.code import code_place, path_in_tree, source_tree, whose
from collector.core.detail import Attributes, DetailedSpans, SpanDetail, SpanOutline
from collector.core.explain import Explanation, PathNode
from collector.core.spans import OUTCOMES, REQUIREMENTS, AttributeValue
from ui.draw.text import LABEL_LENGTH, VALUE_LENGTH, shown
from ui.views.address import trace_address
from ui.views.logs_link import logs_link
from ui.views.page import UiSettings
from ui.views.room import Room
from ui.views.source_link import source_link
from ui.views.words import KINDS, STATUSES, flag_words, reason_words

ATTRIBUTES = 200
"""Rows of one table of attributes; the downloads have all."""
EVENTS = LINKS = SECTIONS = 100

SPAN_BYTES = 60_000
"""Of HTML that the attributes of a span take at most; those of its events, links and so on have room of their own. All
together 230,000, as a page is to transfer no more than 500 kB, whatever a span says."""
EVENTS_BYTES = 100_000
RESOURCE_BYTES, LINKS_BYTES, SCOPE_BYTES = 30_000, 20_000, 20_000


@dataclass(frozen=True, slots=True)
class AttributeRow:
    key: str
    type: str
    """As OTLP names it: `string`, `bool`, `int`, `double`, `bytes`, `array`, `map`, `none`."""
    text: str
    href: str
    """Where the value is a web address; empty otherwise."""
    preformatted: bool
    """It has several lines, as a stack trace has."""


@dataclass(frozen=True, slots=True)
class AttributeTable:
    rows: tuple[AttributeRow, ...]
    left_out: int
    """Attributes beyond those shown, and those for which a page has no room."""
    dropped: int
    """Attributes that the sender dropped before sending."""


@dataclass(frozen=True, slots=True)
class EventRow:
    name: str
    offset_ns: int
    """From the start of the trace."""
    in_span_ns: int
    """From the start of the span."""
    time_unix_nano: int
    attributes: AttributeTable


@dataclass(frozen=True, slots=True)
class LinkRow:
    trace_id: str
    span_id: str
    address: str
    attributes: AttributeTable


@dataclass(frozen=True, slots=True)
class SpanSection:
    offset_ns: int
    duration_ns: int
    reason: str
    words: str


@dataclass(frozen=True, slots=True)
class CodeLine:
    path: str
    """From the root of the repository where that is known, else as the span has it."""
    line: int
    """0 where the span does not say."""
    function: str
    revision: str
    href: str
    """Where the line can be read as it ran; empty where nobody knows."""


@dataclass(frozen=True, slots=True)
class OwnerLine:
    """Whom to call; empty texts where nobody said."""

    name: str
    contact: str
    url: str
    href: str
    """The address where it is safe to be a link."""


@dataclass(frozen=True, slots=True)
class SpanPanel:
    id: str
    parent_id: str
    service: str
    operation: str
    kind: str
    status: str
    status_message: str
    start_unix_nano: int
    offset_ns: int
    duration_ns: int
    time_ns: int
    time_min_ns: int
    time_max_ns: int
    slack_ns: int | None
    slack_max_ns: int | None
    drag_ns: int | None
    drag_min_ns: int | None
    drag_max_ns: int | None
    shift_ns: int
    blocking: bool
    requirement: str
    outcome: str
    why: str
    """Why it is on the path, or is not."""
    sections: tuple[SpanSection, ...]
    flags: tuple[str, ...]
    flag_words: tuple[str, ...]
    attributes: AttributeTable
    resource: AttributeTable
    scope_name: str
    scope_version: str
    scope: AttributeTable
    events: tuple[EventRow, ...]
    events_left_out: int
    links: tuple[LinkRow, ...]
    links_left_out: int
    dropped_events: int
    dropped_links: int
    trace_state: str
    code: CodeLine | None
    """The line it comes from; None where it does not say."""
    whose: str
    """Whose its own time is: `ours`, `library`, `dependency` or `unknown`."""
    owner: OwnerLine
    logs: str
    """Where its logs are; empty where nobody said."""


def span_panel(
    spans: DetailedSpans, explained: Explanation, position: int, begin_unix_nano: int, settings: UiSettings
) -> SpanPanel:
    """Return the panel of the node at a position of `explained.nodes`; offsets count from `begin_unix_nano`."""
    node = explained.nodes[position]
    batch, detail = spans.batch, spans.detail(node.row)
    sections = [section for section in explained.sections if section.node == position]
    return SpanPanel(
        id=node.id,
        parent_id=explained.nodes[node.parent].id if node.parent >= 0 else batch.parent_span_id_hex(node.row) or "",
        service=node.service,
        operation=node.operation,
        kind=KINDS[node.kind],
        status=STATUSES[int(batch.status_code[node.row])],
        status_message=shown(detail.status_message, VALUE_LENGTH),
        start_unix_nano=node.start_unix_nano,
        offset_ns=node.start_unix_nano - begin_unix_nano,
        duration_ns=node.end_unix_nano - node.start_unix_nano,
        time_ns=node.time_ns,
        time_min_ns=node.time_min_ns,
        time_max_ns=node.time_max_ns,
        slack_ns=node.slack_ns,
        slack_max_ns=node.slack_max_ns,
        drag_ns=node.drag_ns,
        drag_min_ns=node.drag_min_ns,
        drag_max_ns=node.drag_max_ns,
        shift_ns=node.shift_ns,
        blocking=node.blocking,
        requirement=REQUIREMENTS[int(batch.requirement[node.row])],
        outcome=OUTCOMES[int(batch.outcome[node.row])],
        why=_why(explained, node, position, bool(sections)),
        sections=tuple(
            SpanSection(s.start_unix_nano - begin_unix_nano, s.duration_ns, s.reason, reason_words(s.reason))
            for s in sections[:SECTIONS]
        ),
        flags=node.flags,
        flag_words=tuple(flag_words(flag) for flag in node.flags),
        attributes=_table(detail.attributes, detail.dropped_attributes_count, Room(SPAN_BYTES)),
        resource=_table(detail.resource.attributes, detail.resource.dropped_attributes_count, Room(RESOURCE_BYTES)),
        scope_name=shown(detail.scope.name),
        scope_version=shown(detail.scope.version),
        scope=_table(detail.scope.attributes, detail.scope.dropped_attributes_count, Room(SCOPE_BYTES)),
        events=tuple(_events(detail, node, begin_unix_nano)),
        events_left_out=max(0, len(detail.events) - EVENTS),
        links=tuple(_links(detail)),
        links_left_out=max(0, len(detail.links) - LINKS),
        dropped_events=detail.dropped_events_count,
        dropped_links=detail.dropped_links_count,
        trace_state=shown(detail.trace_state, VALUE_LENGTH),
        code=code_line(detail, settings.source_link),
        whose=whose_span(node.kind, detail.outline),
        owner=owner_line(settings.catalog.owner(node.service, owner_of(detail.resource.attributes))),
        logs=logs_link(
            settings.logs_link,
            batch.trace_id(node.row),
            node.id.partition("/")[0],
            node.service,
            node.start_unix_nano,
            node.end_unix_nano,
        ),
    )


def code_line(detail: SpanDetail, template: str) -> CodeLine | None:
    """Return the line of code that a span names, with its address where that can be known."""
    place, tree = code_place(detail.attributes), source_tree(detail.resource.attributes)
    if place is None:
        return None
    return CodeLine(
        path=shown(path_in_tree(place.path, tree.root) or place.path, VALUE_LENGTH),
        line=place.line,
        function=shown(place.function, VALUE_LENGTH),
        revision=shown(tree.revision),
        href=source_link(place, tree, template),
    )


def whose_span(kind: int, outline: SpanOutline) -> str:
    """Return whose the own time of a span is: `ours`, `library`, `dependency` or `unknown`."""
    return whose(kind, code_place(outline.attributes), source_tree(outline.resource).root, outline.scope)


def owner_line(owner: Owner) -> OwnerLine:
    return OwnerLine(shown(owner.name), shown(owner.contact), shown(owner.url, VALUE_LENGTH), web_address(owner.url))


def _why(explained: Explanation, node: PathNode, position: int, has_sections: bool) -> str:
    if has_sections and position == explained.target:
        return "It is the request itself: what no call took is its own."
    if has_sections:
        return "The request waited for it."
    if node.parent < 0:
        return "It stands outside the request: its caller is not in the trace."
    if not node.blocking:
        return "Its caller did not wait for it."
    ancestors_wait = _waited_for(explained, position)
    if not ancestors_wait:
        return "A call above it was not waited for."
    if _below_has_time(explained, position):
        return "The request waited for calls below it; all of its time was theirs."
    return "Other work ended later, so the request did not wait for it."


def _waited_for(explained: Explanation, position: int) -> bool:
    at = position
    while at >= 0 and at != explained.target:
        node = explained.nodes[at]
        if not node.blocking or node.parent < 0:
            return False
        at = node.parent
    return at == explained.target


def _below_has_time(explained: Explanation, position: int) -> bool:
    """Depth-first order: what is below a node follows it directly."""
    below = {position}
    for i in range(position + 1, len(explained.nodes)):
        node = explained.nodes[i]
        if node.parent not in below:
            return False
        if node.time_ns:
            return True
        below.add(i)
    return False


def _table(attributes: Attributes, dropped: int, room: Room) -> AttributeTable:
    found = (_attribute(key, value, room) for key, value in attributes[:ATTRIBUTES])
    rows = tuple(row for row in found if row)
    return AttributeTable(rows, len(attributes) - len(rows), dropped)


def _attribute(key: str, value: AttributeValue, room: Room) -> AttributeRow | None:
    """Return a row, None where there is no room for it."""
    text = value_text(value)
    length = min(len(text), 4 * VALUE_LENGTH)
    if not room.might_take(length):
        return None
    cut = "\n".join(shown(line, VALUE_LENGTH) for line in text[: 4 * VALUE_LENGTH].split("\n"))
    if len(text) > 4 * VALUE_LENGTH:
        cut += f"… ({len(text):,} characters)"
    row = AttributeRow(shown(key, LABEL_LENGTH), _type_of(value), cut, web_address(text), "\n" in text)
    return row if room.takes(length, row.key, row.text, row.href) else None


def _type_of(value: AttributeValue) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "double"
        case str():
            return "string"
        case bytes():
            return "bytes"
        case list():
            return "array"
        case dict():
            return "map"


def value_text(value: AttributeValue) -> str:
    """Return a value as people read it; bytes as hex, arrays and maps as JSON."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case bytes():
            return value.hex()
        case int() | float():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, default=lambda held: held.hex())


def web_address(text: str) -> str:
    """Return the text when it is safe to be a link: http and https, a host, nothing unseen, not too long."""
    if not text.startswith(("http://", "https://")) or len(text) > VALUE_LENGTH or shown(text, VALUE_LENGTH) != text:
        return ""
    try:
        return text if urlsplit(text).hostname and " " not in text else ""
    except ValueError:
        return ""


def _events(detail: SpanDetail, node: PathNode, begin_unix_nano: int) -> Iterable[EventRow]:
    room = Room(EVENTS_BYTES)
    for event in detail.events[:EVENTS]:
        at = event.time_unix_nano + node.shift_ns
        yield EventRow(
            name=shown(event.name),
            offset_ns=at - begin_unix_nano,
            in_span_ns=at - node.start_unix_nano,
            time_unix_nano=event.time_unix_nano,
            attributes=_table(event.attributes, event.dropped_attributes_count, room),
        )


def _links(detail: SpanDetail) -> Sequence[LinkRow]:
    room = Room(LINKS_BYTES)
    return [
        LinkRow(
            trace_id=link.trace_id,
            span_id=link.span_id,
            address=trace_address(link.trace_id, {"span": link.span_id}),
            attributes=_table(link.attributes, link.dropped_attributes_count, room),
        )
        for link in detail.links[:LINKS]
    ]
