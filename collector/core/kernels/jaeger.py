"""Jaeger's JSON to OTLP protobuf, the same bytes as `formats.jaeger` makes of it. Called by `formats.jaeger_quick`.

    text --json_tape--> tape --each span--> Span messages, behind one another, each with its group
                             --each trace--> ResourceSpans by process, in them ScopeSpans by scope

Many documents are translated in one call: a small one costs what its bytes cost, and no call from Python.

Only what is plain is done here: for whatever is refused, or rare, the answer is UNUSUAL, and `formats.jaeger` reads
the document from the beginning. Few layers, because LLVM optimizes whatever a function calls again with it.
"""

from typing import NamedTuple

import numpy as np

from collector.core.kernels import inlined, kernel, step
from collector.core.kernels.jaeger_values import (
    BOOL,
    INT64,
    KEY,
    MAX_TAGS,
    NUMBER,
    STRING,
    TAKEN,
    TYPE,
    VALUE,
    Bytes,
    Numbers,
    Tags,
    attributes_size,
    fits,
    raw_size,
    read_fields,
    read_id,
    read_integer,
    read_tags,
    same_text,
    store_attributes,
    store_text,
    take_count,
    take_text,
    text_size,
)
from collector.core.kernels.json_tape import (
    ARRAY,
    BEGIN,
    END,
    ESCAPED,
    INTEGER,
    KIND,
    MAX_DEPTH,
    NULL,
    OBJECT,
    PAST,
    TEXT,
    TRUE,
    UNUSUAL,
    Tape,
    scan,
)
from collector.core.kernels.names import find_name, name_table
from collector.core.kernels.texts import store_bytes, store_varint, store_word, varint_size

MAX_GROUPS = 256
"""Of a trace; processes and references of a span are as many at most: they are looked through one after another."""

DATA = 0
_DOCUMENT_FIELDS = name_table(
    [b"data", b"resourceSpans", b"resource_spans", b"batches", b"result", b"trace", b"traceID", b"spans"]
)
"""All but the first make another format of a document, or another form."""
_TRACE_FIELDS = name_table([b"spans", b"processes"])
(
    _TRACE_ID, _SPAN_ID, _OPERATION, _REFERENCES, _START, _DURATION, _TAGS, _LOGS, _PROCESS_ID, _WARNINGS, _FLAGS,
    _PARENT,
) = range(12)  # fmt: skip
_SPAN_FIELDS = name_table(
    b"traceID spanID operationName references startTime duration tags logs processID warnings flags "
    b"parentSpanID".split()
)
_REFERENCE_FIELDS = name_table([b"refType", b"traceID", b"spanID"])
_REFERENCE_TYPES = name_table([b"CHILD_OF", b"FOLLOWS_FROM"])
_LOG_FIELDS = name_table([b"timestamp", b"fields"])
_PROCESS_FIELDS = name_table([b"serviceName", b"tags"])

_KINDS = name_table([b"", b"internal", b"server", b"client", b"producer", b"consumer"])
_SERVER = 2
_STATUS_CODES = name_table([b"UNSET", b"OK", b"ERROR"])
_OK, _ERROR = 1, 2
_TRUE = name_table([b"true"])
(
    _MEANT_KIND, _MEANT_ERROR, _MEANT_CODE, _MEANT_DESCRIPTION, _MEANT_SCOPE, _MEANT_VERSION, _MEANT_STATE,
    _MEANT_HTTP, _MEANT_HTTP_MESSAGE, _MEANT_DROPPED, _MEANT_EVENT,
) = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12)  # fmt: skip
_MEANT = name_table(
    b"span.kind error otel.status_code otel.status_description otel.scope.name otel.scope.version w3c.tracestate "
    b"http.status_code http.status_message otel.dropped_attributes_count otel.dropped_events_count "
    b"otel.dropped_links_count event".split()
)
_DROPPED_TAGS = np.array([0x50, 0x60, 0x70])

_CHILD_LINK = b'""\n\x14opentracing.ref_type\x12\n\n\x08child_of'
_FOLLOWS_LINK = b'"&\n\x14opentracing.ref_type\x12\x0e\n\x0cfollows_from'
"""Attributes of a link."""
_SERVICE_NAME = b"\n\x0cservice.name\x12"

_MAX_MICROSECONDS = (2**63 - 1) // 2000
"""Of which two, in ns, can be added."""
_FIXED_SIZE = 256
"""What a span takes at most beside texts, tags, logs and links."""
_LINK_SIZE = 80
_EVENT_SIZE = 32
_LEAST_VALUES = 8
"""Of a span: four names without which none is read, and their values."""

PROCESS, SCOPE_NAME, SCOPE_VERSION, FIRST, LAST, SIZE = range(6)
GROUP_COLUMNS = 6
"""Of a scope of a process: rows of the tape (-1 for no text), its first and last span, and how many bytes they take."""
AT, MESSAGE_SIZE, NEXT = range(3)
SPAN_COLUMNS = 3
"""Where the message of a span lies in `messages`, and the next span of its group, -1 for none."""
REFERENCE_BYTES = 25
"""Trace id, span id, and 1 for CHILD_OF."""


class Room(NamedTuple):
    """What a document is translated in. Sizes that it does not state are bounds which are minded."""

    tape: Tape
    holders: Numbers
    """Shape (MAX_DEPTH,)."""
    messages: Bytes
    out: Bytes
    spans: Numbers
    """Shape (any, SPAN_COLUMNS)."""
    groups: Numbers
    """Shape (MAX_GROUPS, GROUP_COLUMNS)."""
    processes: Numbers
    """Shape (MAX_GROUPS,): rows of the keys in the tape."""
    references: Bytes
    """Shape (1 + MAX_GROUPS) * REFERENCE_BYTES: the trace id of the span, then its references."""
    fields: Numbers
    """Rows of the values of a span, by name; of a document before."""
    few: Numbers
    """Shape (3,): fields of something small."""
    meant: Numbers
    """Positions of tags that mean something, -1 for none."""
    tags: Tags


def make_room(total: int, longest: int, values: int) -> Room:
    """Return room for documents of so many bytes in all, the longest of so many bytes and values."""
    real = np.empty(1, np.float64)
    tags = Tags(np.empty((MAX_TAGS, 4), np.int64), real, real.view(np.int64), np.empty(3, np.int64))
    return Room(
        tape=np.empty((values, 4), np.int32),
        holders=np.empty(MAX_DEPTH, np.int64),
        messages=np.empty(2 * longest + 1024, np.uint8),
        out=np.empty(2 * total + 1024, np.uint8),
        spans=np.empty((values // _LEAST_VALUES + 1, SPAN_COLUMNS), np.int64),
        groups=np.empty((MAX_GROUPS, GROUP_COLUMNS), np.int64),
        processes=np.empty(MAX_GROUPS, np.int64),
        references=np.empty((1 + MAX_GROUPS) * REFERENCE_BYTES, np.uint8),
        fields=np.empty(len(_SPAN_FIELDS), np.int64),
        few=np.empty(3, np.int64),
        meant=np.empty(len(_MEANT), np.int64),
        tags=tags,
    )


@kernel
def store_documents(body: bytes, edges: Numbers, room: Room, behind: Numbers) -> None:
    """Translate documents that stand behind one another in the body, number i being [edges[i], edges[i + 1]).

    `behind[i]` becomes the position in `room.out` behind its requests, or UNUSUAL; then it stores nothing.
    """
    tape = room.tape
    first = 0
    for document in range(len(behind)):
        at, trace, end = first, 0, 0
        if scan(body, edges[document], edges[document + 1], tape, room.holders) >= 0:
            trace, end = _find_traces(body, room)
        if trace == end:
            at = UNUSUAL
        while at >= 0 and trace < end:
            at = _store_trace(body, room, trace, at)
            trace = int(tape[trace, PAST])
        behind[document] = at
        first = max(first, at)


@step
def _find_traces(body: bytes, room: Room) -> tuple[int, int]:
    """Return the row of the first trace, and that behind the last; `room.tape` is filled. Equal where there is none."""
    if room.tape[0, KIND] != OBJECT:
        return 0, 0
    read_fields(body, room.tape, 0, _DOCUMENT_FIELDS, room.fields)
    data = room.fields[DATA]
    for other in range(DATA + 1, len(_DOCUMENT_FIELDS)):
        if room.fields[other] >= 0:
            return 0, 0
    if data < 0 or room.tape[data, KIND] != ARRAY:
        return 0, 0
    return data + 1, int(room.tape[data, PAST])


@step
def _store_trace(body: bytes, room: Room, trace: int, at: int) -> int:
    """Store the resource spans of a trace: processes in order of first use, in each its scopes likewise.

    Returns:
        The position behind in `room.out`, or UNUSUAL.
    """
    tape = room.tape
    if tape[trace, KIND] != OBJECT:
        return UNUSUAL
    read_fields(body, tape, trace, _TRACE_FIELDS, room.few)
    spans, processes = room.few[0], room.few[1]
    if spans < 0 or processes < 0 or tape[spans, KIND] != ARRAY or tape[processes, KIND] != OBJECT:
        return UNUSUAL
    known = _list_processes(room, processes)
    if known < 0:
        return UNUSUAL
    number, groups, end = 0, 0, 0
    span = spans + 1
    while span < tape[spans, PAST]:
        if number == len(room.spans):
            return UNUSUAL
        behind = _store_span(body, room, span, end)
        if behind < 0:
            return UNUSUAL
        process = _find_process(body, room, room.fields[_PROCESS_ID], known)
        name, version = room.few[0], room.few[1]
        group = _find_group(body, room, process, name, version, groups) if process >= 0 else UNUSUAL
        if group < 0:
            return UNUSUAL
        groups = max(groups, group + 1)
        _add_to_group(room, group, number, end, behind - end)
        number += 1
        end = behind
        span = tape[span, PAST]
    for first in range(groups):
        process, before = room.groups[first, PROCESS], 0
        while room.groups[before, PROCESS] != process:
            before += 1
        if before == first:
            at = _store_resource_spans(body, room, process, first, groups, at)
        if at < 0:
            return UNUSUAL
    return at


# Processes and scopes


@step
def _list_processes(room: Room, holder: int) -> int:
    """List the keys of an object of processes; return how many there are."""
    count, key = 0, holder + 1
    while key < room.tape[holder, PAST]:
        if count == MAX_GROUPS:
            return UNUSUAL
        room.processes[count] = key
        count += 1
        key = room.tape[key + 1, PAST]
    return count


@inlined
def _find_process(body: bytes, room: Room, named: int, known: int) -> int:
    """Return the row of the process that a span names; of several with one key the last counts."""
    if named < 0 or room.tape[named, KIND] != TEXT:
        return UNUSUAL
    for index in range(known - 1, -1, -1):
        if same_text(body, room.tape, named, room.processes[index]):
            return int(room.processes[index] + 1)
    return UNUSUAL


@inlined
def _find_group(body: bytes, room: Room, process: int, name: int, version: int, count: int) -> int:
    """Return the position of a group among the first `count`, or make it the next."""
    for index in range(count):
        group = room.groups[index]
        if group[PROCESS] != process or not same_text(body, room.tape, group[SCOPE_NAME], name):
            continue
        if same_text(body, room.tape, group[SCOPE_VERSION], version):
            return index
    if count == MAX_GROUPS:
        return UNUSUAL
    group = room.groups[count]
    group[PROCESS], group[SCOPE_NAME], group[SCOPE_VERSION] = process, name, version
    group[FIRST], group[LAST], group[SIZE] = -1, -1, 0
    return count


@inlined
def _add_to_group(room: Room, index: int, number: int, at: int, size: int) -> None:
    span, group = room.spans[number], room.groups[index]
    span[AT], span[MESSAGE_SIZE], span[NEXT] = at, size, -1
    if group[LAST] >= 0:
        room.spans[group[LAST], NEXT] = number
    else:
        group[FIRST] = number
    group[LAST] = number
    group[SIZE] += 1 + varint_size(size) + size


@step
def _store_resource_spans(body: bytes, room: Room, process: int, first: int, groups: int, at: int) -> int:
    tape = room.tape
    if tape[process, KIND] != OBJECT:
        return UNUSUAL
    read_fields(body, tape, process, _PROCESS_FIELDS, room.few)
    service = _absent_if_null(tape, room.few[0])
    name_size = text_size(body, tape, service)
    tags = read_tags(body, tape, room.few[1], room.tags)
    if tags < 0 or name_size < 0:
        return UNUSUAL
    value = 1 + varint_size(name_size) + name_size
    pair = len(_SERVICE_NAME) + varint_size(value) + value
    resource = (1 + varint_size(pair) + pair if name_size else 0) + attributes_size(tape, room.tags, tags)
    total = 1 + varint_size(resource) + resource
    for index in range(first, groups):
        if room.groups[index, PROCESS] == process:
            scoped = _scope_size(body, tape, room.groups[index])
            total += 1 + varint_size(scoped) + scoped
    if not fits(room.out, at, total + 8):
        return UNUSUAL
    out = room.out
    at = _store_head(out, at, 0x0A, total)
    at = _store_head(out, at, 0x0A, resource)
    if name_size:
        at = _store_head(out, at, 0x0A, pair)
        at = store_bytes(out, at, _SERVICE_NAME, 0, len(_SERVICE_NAME))
        at = store_varint(out, at, value)
        out[at] = 0x0A
        at = store_text(body, tape, service, name_size, out, at + 1)
    at = store_attributes(body, tape, room.tags, tags, 0x0A, out, at)
    for index in range(first, groups):
        if room.groups[index, PROCESS] == process:
            at = _store_scope_spans(body, room, room.groups[index], at)
    return at


@step
def _scope_size(body: bytes, tape: Tape, group: Numbers) -> int:
    """Return the size of a ScopeSpans."""
    scope = _texts_size(tape, group)
    return (1 + varint_size(scope) + scope if scope else 0) + group[SIZE]


@step
def _texts_size(tape: Tape, group: Numbers) -> int:
    total = 0
    for column in range(SCOPE_NAME, SCOPE_VERSION + 1):
        size = raw_size(tape, group[column])
        total += 1 + varint_size(size) + size if size else 0
    return total


@step
def _store_scope_spans(body: bytes, room: Room, group: Numbers, at: int) -> int:
    tape, out = room.tape, room.out
    at = _store_head(out, at, 0x12, _scope_size(body, tape, group))
    scope = _texts_size(tape, group)
    if scope:
        at = _store_head(out, at, 0x0A, scope)
        for column in range(SCOPE_NAME, SCOPE_VERSION + 1):
            size = raw_size(tape, group[column])
            if size:
                out[at] = 0x0A if column == SCOPE_NAME else 0x12
                at = store_text(body, tape, group[column], size, out, at + 1)
    number = group[FIRST]
    while number >= 0:
        span = room.spans[number]
        at = _store_head(out, at, 0x12, span[MESSAGE_SIZE])
        at = _copy(out, at, room.messages, span[AT], span[MESSAGE_SIZE])
        number = span[NEXT]
    return at


@step
def _store_head(out: Bytes, at: int, tag: int, size: int) -> int:
    """Store the tag of a field and the size of what follows."""
    out[at] = tag
    return store_varint(out, at + 1, size)


# Spans


@step
def _store_span(body: bytes, room: Room, span: int, at: int) -> int:
    """Store a Span message; `room.few` says what its scope is, `room.fields` the rest."""
    tape, out, fields = room.tape, room.messages, room.fields
    if tape[span, KIND] != OBJECT:
        return UNUSUAL
    read_fields(body, tape, span, _SPAN_FIELDS, fields)
    operation = _absent_if_null(tape, fields[_OPERATION])
    name_size = text_size(body, tape, operation)
    tags = read_tags(body, tape, fields[_TAGS], room.tags)
    if name_size < 0 or tags < 0 or not fits(out, at, name_size + _FIXED_SIZE):
        return UNUSUAL
    if read_id(body, tape, fields[_TRACE_ID], 16, room.references, 0) != 1:
        return UNUSUAL
    start, end = _read_times(body, tape, fields)
    references = _read_references(body, room, fields[_REFERENCES])
    if start < 0 or references < 0 or not _is_empty(tape, fields[_WARNINGS]):
        return UNUSUAL

    out[at], out[at + 1] = 0x0A, 16
    at = _copy(out, at + 2, room.references, 0, 16)
    out[at], out[at + 1] = 0x12, 8
    if read_id(body, tape, fields[_SPAN_ID], 8, out, at + 2) != 1:
        return UNUSUAL
    at += 10
    _find_meant(body, tape, room.tags, tags, room.meant)
    kind = _take_kind(body, tape, room)
    status, message = _take_status(body, tape, room, kind)
    dropped_attributes = take_count(room.tags, room.meant[_MEANT_DROPPED])
    dropped_events = take_count(room.tags, room.meant[_MEANT_DROPPED + 1])
    dropped_links = take_count(room.tags, room.meant[_MEANT_DROPPED + 2])
    room.few[0] = take_text(room.tags, room.meant[_MEANT_SCOPE])
    room.few[1] = take_text(room.tags, room.meant[_MEANT_VERSION])
    state = take_text(room.tags, room.meant[_MEANT_STATE])
    if kind < 0 or status < 0 or _is_escaped(tape, room.few[0]) or _is_escaped(tape, room.few[1]):
        return UNUSUAL
    state_size, message_size = text_size(body, tape, state), text_size(body, tape, message)
    attributes = attributes_size(tape, room.tags, tags)
    if not fits(out, at, _FIXED_SIZE + name_size + state_size + attributes + message_size):
        return UNUSUAL

    if state_size:
        out[at] = 0x1A
        at = store_text(body, tape, state, state_size, out, at + 1)
    at, parent = _store_parent(body, room, references, at)
    if at < 0:
        return UNUSUAL
    out[at] = 0x2A
    at = store_text(body, tape, operation, name_size, out, at + 1)
    if kind:
        out[at], out[at + 1] = 0x30, kind
        at += 2
    out[at] = 0x39
    store_word(out, at + 1, start)
    out[at + 9] = 0x41
    store_word(out, at + 10, end)
    at = store_attributes(body, tape, room.tags, tags, 0x4A, out, at + 18)
    at = _store_count(out, at, 0x50, dropped_attributes)
    at = _store_count(out, at, 0x60, dropped_events)
    at = _store_count(out, at, 0x70, dropped_links)
    at = _store_events(body, room, fields[_LOGS], at)
    if at >= 0:
        at = _store_links(room, references, parent, at)
    if at < 0 or not fits(out, at, message_size + 32):
        return UNUSUAL
    at = _store_status(body, tape, status, message, message_size, out, at)
    return _store_flags(body, tape, fields[_FLAGS], out, at)


@step
def _absent_if_null(tape: Tape, row: int) -> int:
    return -1 if row >= 0 and tape[row, KIND] == NULL else row


@step
def _is_empty(tape: Tape, row: int) -> bool:
    """Return whether an array is absent, null or empty."""
    return row < 0 or tape[row, KIND] == NULL or (tape[row, KIND] == ARRAY and tape[row, PAST] == row + 1)


@step
def _is_escaped(tape: Tape, row: int) -> bool:
    return row >= 0 and tape[row, KIND] == ESCAPED


@step
def _copy(out: Bytes, at: int, source: Bytes, first: int, size: int) -> int:
    """Copy bytes by words where there are words; whoever calls has checked that there is room."""
    if at < 0 or first < 0:
        return at
    done = 0
    while done + 8 <= size:
        for index in range(8):
            out[at + done + index] = source[first + done + index]
        done += 8
    for index in range(done, size):
        out[at + index] = source[first + index]
    return at + size


@inlined
def _read_times(body: bytes, tape: Tape, fields: Numbers) -> tuple[int, int]:
    """Return start and end in ns; negative where `formats.jaeger` has to look at them."""
    start = _read_microseconds(body, tape, fields[_START])
    duration = _read_microseconds(body, tape, fields[_DURATION]) if fields[_DURATION] >= 0 else 0
    if start < 0 or duration < 0:
        return UNUSUAL, UNUSUAL
    return start * 1000, (start + duration) * 1000


@step
def _read_microseconds(body: bytes, tape: Tape, row: int) -> int:
    if row < 0 or tape[row, KIND] != INTEGER:
        return UNUSUAL
    value, known = read_integer(body, tape, row)
    return value if known and 0 <= value <= _MAX_MICROSECONDS else UNUSUAL


@step
def _store_count(out: Bytes, at: int, tag: int, count: int) -> int:
    if count == 0:
        return at
    out[at] = tag
    return store_varint(out, at + 1, count)


@inlined
def _store_status(body: bytes, tape: Tape, code: int, message: int, size: int, out: Bytes, at: int) -> int:
    content = (1 + varint_size(size) + size if size else 0) + (2 if code else 0)
    if content == 0:
        return at
    at = _store_head(out, at, 0x7A, content)
    if size:
        out[at] = 0x12
        at = store_text(body, tape, message, size, out, at + 1)
    if code:
        out[at], out[at + 1] = 0x18, code
        at += 2
    return at


@inlined
def _store_flags(body: bytes, tape: Tape, row: int, out: Bytes, at: int) -> int:
    """Store that a span is sampled: bit 0 of a whole number."""
    if row < 0 or (tape[row, KIND] != INTEGER and tape[row, KIND] != TRUE):
        return at
    flags, known = read_integer(body, tape, row)
    if not known:
        return UNUSUAL
    if flags & 1:
        out[at], out[at + 1], out[at + 2] = 0x85, 0x01, 1
        out[at + 3], out[at + 4], out[at + 5] = 0, 0, 0
        at += 6
    return at


# Tags that mean something


@inlined
def _find_meant(body: bytes, tape: Tape, tags: Tags, count: int, meant: Numbers) -> None:
    """Set the position of the first tag of each name."""
    for name in range(len(meant)):
        meant[name] = -1
    for index in range(count - 1, -1, -1):
        key = tags.rows[index, KEY]
        name = find_name(body, tape[key, BEGIN], tape[key, END], _MEANT)
        if name >= 0:
            meant[name] = index


@inlined
def _take_kind(body: bytes, tape: Tape, room: Room) -> int:
    row = take_text(room.tags, room.meant[_MEANT_KIND])
    if row < 0:
        return 0
    kind = find_name(body, tape[row, BEGIN], tape[row, END], _KINDS)
    return UNUSUAL if tape[row, KIND] == ESCAPED else max(0, kind)


@inlined
def _take_status(body: bytes, tape: Tape, room: Room, kind: int) -> tuple[int, int]:
    """Return the status code and the row of the message, -1 for none."""
    tags, meant = room.tags, room.meant
    said = take_text(tags, meant[_MEANT_CODE])
    code = 0
    if said >= 0:
        code = find_name(body, tape[said, BEGIN], tape[said, END], _STATUS_CODES)
        if code < 0:
            return UNUSUAL, -1
    error = meant[_MEANT_ERROR]
    failed = False
    if error >= 0 and tags.rows[error, TYPE] == STRING:
        row = tags.rows[error, VALUE]
        if tape[row, KIND] == ESCAPED:
            return UNUSUAL, -1
        failed = find_name(body, tape[row, BEGIN], tape[row, END], _TRUE) >= 0
    elif error >= 0 and tags.rows[error, TYPE] == BOOL and tags.rows[error, NUMBER] == 1:
        tags.rows[error, TYPE] = TAKEN
        failed = True
    if failed:
        message = take_text(tags, meant[_MEANT_DESCRIPTION])
        return _ERROR, message if raw_size(tape, message) else _message(tags, meant)
    if said >= 0:
        return code, take_text(tags, meant[_MEANT_DESCRIPTION])
    by_http = _failed_by_http(body, tape, tags, meant[_MEANT_HTTP], kind)
    return (by_http, -1) if by_http <= 0 else (_ERROR, _message(tags, meant))


@step
def _message(tags: Tags, meant: Numbers) -> int:
    index = meant[_MEANT_HTTP_MESSAGE]
    return tags.rows[index, VALUE] if index >= 0 and tags.rows[index, TYPE] == STRING else -1


@step
def _failed_by_http(body: bytes, tape: Tape, tags: Tags, index: int, kind: int) -> int:
    """Return 1 where an HTTP status is an error by OpenTelemetry's conventions, else 0."""
    if index < 0:
        return 0
    value = 0
    if tags.rows[index, TYPE] == INT64:
        value = tags.rows[index, NUMBER]
    elif tags.rows[index, TYPE] == STRING:
        row = tags.rows[index, VALUE]
        if tape[row, KIND] == ESCAPED:
            return UNUSUAL
        for position in range(tape[row, BEGIN], tape[row, END]):
            if (body[position] & 0xFF) >= 0x80:  # digits of other scripts
                return UNUSUAL
        number, known = read_integer(body, tape, row)
        value = number if known and raw_size(tape, row) == 3 else 0
    return int(500 <= value < 600 or (400 <= value < 500 and kind != _SERVER))


# Logs and references


@inlined
def _store_events(body: bytes, room: Room, logs: int, at: int) -> int:
    tape = room.tape
    if logs < 0 or tape[logs, KIND] == NULL:
        return at
    if tape[logs, KIND] != ARRAY:
        return UNUSUAL
    log = logs + 1
    while log < tape[logs, PAST]:
        at = _store_event(body, room, log, at)
        if at < 0:
            return UNUSUAL
        log = tape[log, PAST]
    return at


@step
def _store_event(body: bytes, room: Room, log: int, at: int) -> int:
    tape, out, tags = room.tape, room.messages, room.tags
    if tape[log, KIND] != OBJECT:
        return UNUSUAL
    read_fields(body, tape, log, _LOG_FIELDS, tags.fields)
    time, items = _read_microseconds(body, tape, tags.fields[0]), tags.fields[1]
    count = read_tags(body, tape, items, tags)
    if time < 0 or count < 0:
        return UNUSUAL
    _find_meant(body, tape, tags, count, room.meant)
    dropped = take_count(tags, room.meant[_MEANT_DROPPED])
    name = take_text(tags, room.meant[_MEANT_EVENT])
    name_size = text_size(body, tape, name)
    content = 10 + varint_size(name_size) + name_size + attributes_size(tape, tags, count)
    content += 1 + (varint_size(dropped) if dropped < 2**31 else 5) if dropped else 0
    if not fits(out, at, content + _EVENT_SIZE):
        return UNUSUAL
    at = _store_head(out, at, 0x5A, content)
    out[at] = 0x09
    store_word(out, at + 1, time * 1000)
    out[at + 9] = 0x12
    at = store_text(body, tape, name, name_size, out, at + 10)
    at = store_attributes(body, tape, tags, count, 0x1A, out, at)
    return _store_count(out, at, 0x20, dropped)


@inlined
def _read_references(body: bytes, room: Room, holder: int) -> int:
    """Read the references of a span; return how many there are."""
    tape, out = room.tape, room.references
    if holder < 0 or tape[holder, KIND] == NULL:
        return 0
    if tape[holder, KIND] != ARRAY:
        return UNUSUAL
    count, item = 0, holder + 1
    while item < tape[holder, PAST]:
        if count == MAX_GROUPS or tape[item, KIND] != OBJECT:
            return UNUSUAL
        read_fields(body, tape, item, _REFERENCE_FIELDS, room.few)
        type_, trace, span = room.few[0], room.few[1], room.few[2]
        if type_ < 0 or tape[type_, KIND] != TEXT:
            return UNUSUAL
        follows = find_name(body, tape[type_, BEGIN], tape[type_, END], _REFERENCE_TYPES)
        count += 1
        at = count * REFERENCE_BYTES
        if follows < 0 or read_id(body, tape, trace, 16, out, at) < 0 or read_id(body, tape, span, 8, out, at + 16) < 0:
            return UNUSUAL
        out[at + 24] = 1 - follows
        item = tape[item, PAST]
    return count


@step
def _same(out: Bytes, one: int, other: int, size: int) -> bool:
    index = 0
    while index < size and out[one + index] == out[other + index]:
        index += 1
    return index == size


@inlined
def _store_parent(body: bytes, room: Room, references: int, at: int) -> tuple[int, int]:
    """Store the parent, if there is one: the first CHILD_OF of the trace, else its first FOLLOWS_FROM.

    Returns:
        The position behind, and where in `references` the parent's lies, 0 for none.
    """
    out, known = room.messages, room.references
    if references == 0:
        return _store_parent_span_id(body, room, at), 0
    parent = 0
    for index in range(references, 0, -1):
        spot = index * REFERENCE_BYTES
        if _same(known, spot, 0, 16) and (parent == 0 or known[spot + 24] >= known[parent + 24]):
            parent = spot
    if parent:
        out[at], out[at + 1] = 0x22, 8
        at = _copy(out, at + 2, known, parent + 16, 8)
    return at, parent


@step
def _store_parent_span_id(body: bytes, room: Room, at: int) -> int:
    """Store the parent of a span without references, as old versions write it."""
    row = _absent_if_null(room.tape, room.fields[_PARENT])
    if row < 0 or (room.tape[row, KIND] == TEXT and raw_size(room.tape, row) == 0):
        return at
    found = read_id(body, room.tape, row, 8, room.messages, at + 2)
    if found == 1:
        room.messages[at], room.messages[at + 1] = 0x22, 8
        at += 10
    return at if found >= 0 else UNUSUAL


@inlined
def _store_links(room: Room, references: int, parent: int, at: int) -> int:
    """Store every reference but the parent's, and that one too where it is no CHILD_OF."""
    out, known = room.messages, room.references
    for index in range(1, references + 1):
        spot = index * REFERENCE_BYTES
        is_child = known[spot + 24] == 1
        if is_child and parent and _same(known, spot, parent, 24):
            continue
        if not fits(out, at, _LINK_SIZE):
            return UNUSUAL
        attributes = _CHILD_LINK if is_child else _FOLLOWS_LINK
        at = _store_head(out, at, 0x6A, 30 + len(attributes))
        out[at], out[at + 1] = 0x0A, 16
        at = _copy(out, at + 2, known, spot, 16)
        out[at], out[at + 1] = 0x12, 8
        at = _copy(out, at + 2, known, spot + 16, 8)
        out[at], out[at + 1] = 0x1A, 0
        at = store_bytes(out, at + 2, attributes, 0, len(attributes))
    return at
