"""OTLP's ExportTraceServiceRequest to columns, in two passes: `measure` counts, `decode` fills. Called by `wire`.

    request: ResourceSpans*    ResourceSpans: Resource, ScopeSpans*, schema URL    ScopeSpans: scope, Span*, schema URL

Fields come in any order, so resource and scope are looked up before the spans below them are read.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.attributes import (
    HTTP_STATUS,
    OUTCOME,
    REQUIREMENT,
    RPC_STATUS,
    STRING_VALUE,
    TEXT_COLUMNS,
    read_key_value,
)
from collector.core.kernels.interning import intern
from collector.core.kernels.messages import MAX_DEPTH, NOT_UTF8, RESOURCE, SCOPE, check_message
from collector.core.kernels.names import find_name, name_table
from collector.core.kernels.protobuf import (
    BYTES,
    find_bad_utf8,
    load_big_endian,
    read_size,
    read_tag,
    skip_field,
)
from collector.core.kernels.span import (
    END,
    FLAGS,
    FOLLOWS_FROM,
    FOUND_SIZE,
    KIND,
    LINK_SPAN_AT,
    LINK_TRACE_AT,
    LINK_TYPE,
    NAME_AT,
    NAME_END,
    PARENT_AT,
    PARENT_SIZE,
    SPAN_AT,
    START,
    STATUS_CODE,
    TRACE_AT,
    read_span,
)

HOST_KEYS = (b"host.id", b"host.name", b"k8s.pod.name", b"container.id", b"service.instance.id", b"hostname", b"ip")
HOSTS = len(HOST_KEYS)
_RESOURCE_KEYS = name_table([b"service.name", *HOST_KEYS, b"service.version"])

MIN_SPAN_BYTES = 28
"""Two ids with tags and sizes: a shorter span is refused in any case and needs no row."""

WRONG_WIRE_TYPE = -5
"""Error code, after those of `protobuf`: spans, or what holds them, are not written as messages."""

OF_SPAN, OF_RESOURCE, OF_RESOURCE_SCHEMA, OF_SCOPE, OF_SCOPE_SCHEMA = range(5)
"""What a problem is a problem of."""

SPAN_COUNT, RESOURCE_COUNT, SCOPE_COUNT, REJECTED_COUNT = range(2, 6)
COUNTS = 6
"""Entries of `counts`; the first ones belong to `interning`."""

LONGS = 11
"""Rows of `longs`: trace id (2), span id, parent span id, start, end, at, size, the link's trace id (2) and span id."""
INTS = 5 + TEXT_COLUMNS
"""Rows of `ints`: flags, name, service, resource, scope, then the text columns of `attributes`."""
SHORTS = 2
"""Rows of `shorts`: HTTP status, RPC status."""
TINIES = 6
"""Rows of `tinies`: kind, status code, requirement, outcome, follows from, the link's type."""
RESOURCE_TEXTS = 3 + HOSTS
"""Columns of `resource_texts`: schema URL, service, hosts, version."""
SCOPE_TEXTS = 3
"""Columns of `scope_texts`: schema URL, name, version."""
REJECTION_FACTS = 16
"""Columns of `rejected`: problem, its fact, of what; the place (3); where the span, the resource, its schema URL, the
scope and its schema URL lie (from, to: two positions in `body` each)."""

HEAD, HEAD_END, SCHEMA, SCHEMA_END = range(4)
ITEMS, LARGE_ITEMS = 4, 5
SURVEY_FACTS = 6
"""Columns of `surveys`, a row for each resource spans and scope spans in the order in which they begin: from where to
where head (resource or scope) and schema URL lie; how many items there are, and how many large enough for a span."""
SPARE = 64
"""Rows of `surveys`. Requests have few; all others share one more row, and `decode` surveys them again."""

NEXT, LAST, SPANS_BEFORE, PROBLEM, FACT, OF = range(4, 10)
FRAME_FACTS = 10
"""Columns of `frame`: head and schema URL as in `surveys`; where the level goes on and ends; why spans are refused."""

_ITEMS = np.array([1, 2, 2])
"""Field numbers of resource spans in a request, of scope spans in those, of spans in these."""
_HEAD, _SCHEMA_URL = 1 << 3 | BYTES, 3 << 3 | BYTES
_RESOURCE_ATTRIBUTE = 1 << 3 | BYTES
_SCOPE_NAME, _SCOPE_VERSION = 1 << 3 | BYTES, 2 << 3 | BYTES


class Output(NamedTuple):
    """What `decode` fills. Spans are columns, so that each row of the first four arrays is one; -1 means no text."""

    longs: NDArray[np.int64]
    ints: NDArray[np.int32]
    shorts: NDArray[np.int16]
    tinies: NDArray[np.int8]
    resources: NDArray[np.int64]
    """Columns: at, size."""
    resource_texts: NDArray[np.int32]
    scopes: NDArray[np.int64]
    """Columns: at, size."""
    scope_texts: NDArray[np.int32]
    texts: NDArray[np.int64]
    slots: NDArray[np.int32]
    rejected: NDArray[np.int64]


class Scratch(NamedTuple):
    """Room to work in, of the shapes in SCRATCH; what it holds does not matter."""

    found: NDArray[np.int64]
    held: NDArray[np.int64]
    """From where to where the service name, the hosts and the version of a resource lie."""
    stack: NDArray[np.int64]
    frame: NDArray[np.int64]
    surveys: NDArray[np.int64]
    """The only one that matters: as `measure` has filled it."""


SCRATCH = ((FOUND_SIZE,), (2 + HOSTS, 2), (MAX_DEPTH + 1, 2), (3, FRAME_FACTS), (SPARE + 1, SURVEY_FACTS))


@step
def measure(
    body: bytes, counts: NDArray[np.int64], place: NDArray[np.int64], surveys: NDArray[np.int64]
) -> tuple[int, int]:
    """Count the spans that may get a row, and the resources and scopes that have any, into `counts`.

    Args:
        place: becomes the indexes of resource spans, scope spans and span that were begun last, -1 for none.
        surveys: of `Scratch`; what `decode` then need not look for again.
    Returns:
        The error code that makes the whole body unreadable (0 none) and its position.
    """
    counts[:] = 0
    place[:] = -1
    at, end, frames = 0, len(body), 0
    while at < end:
        group, group_end = _next_message(body, at, end, _ITEMS[0])
        if group_end < 0:
            return group_end, at
        at = group_end
        if group < 0:
            continue
        place[0], place[1], place[2] = place[0] + 1, -1, -1
        survey = surveys[min(frames, SPARE)]
        problem, problem_at = _survey(body, group, group_end, _ITEMS[1], survey)
        if problem != 0:
            place[1] = survey[ITEMS] - 1
            return problem, problem_at
        frames += 1
        spans_before = counts[SPAN_COUNT]
        while group < group_end:
            scoped, group = _next_message(body, group, group_end, _ITEMS[1])
            if scoped < 0:
                continue
            place[1] += 1
            survey = surveys[min(frames, SPARE)]
            problem, problem_at = _survey(body, scoped, group, _ITEMS[2], survey)
            place[2] = survey[ITEMS] - 1
            if problem != 0:
                return problem, problem_at
            frames += 1
            counts[SPAN_COUNT] += survey[LARGE_ITEMS]
            counts[SCOPE_COUNT] += survey[LARGE_ITEMS] > 0
        counts[RESOURCE_COUNT] += counts[SPAN_COUNT] > spans_before
    return 0, at


@step
def _survey(body: bytes, at: int, end: int, number: int, survey: NDArray[np.int64]) -> tuple[int, int]:
    """Go through the fields of resource spans or scope spans, the items of which have this field `number`.

    Fills `survey`: where resource (or scope) and schema URL lie, the last of each, and how many items there are.
    """
    survey[HEAD], survey[HEAD_END], survey[SCHEMA], survey[SCHEMA_END] = at, at, at, at
    items, large_items = 0, 0
    problem = 0
    while at < end:
        tag, value = read_tag(body, at, end)
        after = value if value < 0 else skip_field(body, value, end, tag)
        if tag >> 3 == number and tag & 7 != BYTES:
            after = WRONG_WIRE_TYPE
        if after < 0:
            problem = after
            break
        if tag >> 3 == number:
            items += 1
            large_items += after - value > MIN_SPAN_BYTES
        elif tag == _HEAD:
            _, survey[HEAD] = read_size(body, value, end)
            survey[HEAD_END] = after
        elif tag == _SCHEMA_URL:
            _, survey[SCHEMA] = read_size(body, value, end)
            survey[SCHEMA_END] = after
        at = after
    survey[ITEMS], survey[LARGE_ITEMS] = items, large_items
    return problem, at


@inlined
def _next_message(body: bytes, at: int, end: int, number: int) -> tuple[int, int]:
    """Read one field. Return where the content begins of a message of field `number`, -1 for other fields, and where
    the field ends, an error code if it cannot be read."""
    tag, value = read_tag(body, at, end)
    if value < 0:
        return -1, value
    if tag >> 3 != number:
        return -1, skip_field(body, value, end, tag)
    if tag & 7 != BYTES:
        return -1, WRONG_WIRE_TYPE
    size, content = read_size(body, value, end)
    return content, content if content < 0 else content + size


@step
def decode(
    body: bytes, seed: int, counts: NDArray[np.int64], place: NDArray[np.int64], out: Output, scratch: Scratch
) -> None:
    """Fill `out` with the spans of a body that `measure` could read, and `counts` with how much of it was filled.

    Request, resource spans and scope spans are three levels, each with its facts in a row of `scratch.frame`.

    Args:
        seed: of the hashes, 0 to 2^62-1.
        out: with room for as many spans, resources and scopes as `measure` counted.
    """
    counts[:] = 0
    place[:] = -1
    found, held, stack, frame, surveys = scratch
    frame[:] = 0
    level, at, end, frames = 0, 0, len(body), 0
    while True:
        if not 0 <= at < end:  # below 0: never, since `measure` has read the same bytes
            if level == 0:
                return
            if counts[SPAN_COUNT] > frame[level, SPANS_BEFORE]:
                if level == 1:
                    _store_resource(body, seed, frame[1], held, counts, out)
                else:
                    _store_scope(body, seed, frame[2], counts, out)
            level -= 1
            at, end = frame[level, NEXT], frame[level, LAST]
            continue
        content, after = _next_message(body, at, end, _ITEMS[level])
        if content < 0:
            at = after
        elif level < 2:
            place[level] += 1
            place[level + 1] = -1
            frame[level, NEXT], frame[level, LAST] = after, end
            level += 1
            at, end = content, after
            frame[level, SPANS_BEFORE] = counts[SPAN_COUNT]
            survey = surveys[min(frames, SPARE)]
            if frames >= SPARE:
                _survey(body, at, end, _ITEMS[level], survey)
            frames += 1
            _open(body, survey, level, frame, stack)
        else:
            at = after
            place[2] += 1
            if frame[2, PROBLEM] != 0:
                _reject(frame[2, PROBLEM], frame[2, FACT], frame[2, OF], content, after, place, frame, counts, out)
                continue
            problem, fact = read_span(body, content, after, found, stack)
            if problem != 0:
                _reject(problem, fact, OF_SPAN, content, after, place, frame, counts, out)
            else:
                _store_span(body, content, after, seed, found, counts, out)


@step
def _open(
    body: bytes, survey: NDArray[np.int64], level: int, frame: NDArray[np.int64], stack: NDArray[np.int64]
) -> None:
    """Check the head of resource spans (level 1) or scope spans (2); the outer one's trouble counts inside."""
    head, head_end, schema, schema_end = survey[HEAD], survey[HEAD_END], survey[SCHEMA], survey[SCHEMA_END]
    frame[level, HEAD], frame[level, HEAD_END] = head, head_end
    frame[level, SCHEMA], frame[level, SCHEMA_END] = schema, schema_end
    if level == 2 and frame[1, PROBLEM] != 0:
        for fact in range(PROBLEM, OF + 1):
            frame[2, fact] = frame[1, fact]
        return
    of = OF_RESOURCE if level == 1 else OF_SCOPE
    problem, problem_at = check_message(body, head, head_end, RESOURCE if level == 1 else SCOPE, stack)
    if problem == 0:
        problem_at = find_bad_utf8(body, schema, schema_end)
        problem = NOT_UTF8 if problem_at >= 0 else 0
        of += 1
    frame[level, PROBLEM], frame[level, FACT], frame[level, OF] = problem, problem_at, of


@step
def _store_resource(
    body: bytes,
    seed: int,
    facts: NDArray[np.int64],
    held: NDArray[np.int64],
    counts: NDArray[np.int64],
    out: Output,
) -> None:
    _read_resource(body, facts[HEAD], facts[HEAD_END], held)
    row = counts[RESOURCE_COUNT]
    counts[RESOURCE_COUNT] = row + 1
    out.resources[row, 0], out.resources[row, 1] = facts[HEAD], facts[HEAD_END] - facts[HEAD]
    texts = out.resource_texts[row]
    texts[0] = _intern(body, facts[SCHEMA], facts[SCHEMA_END], seed, counts, out)
    for which in range(2 + HOSTS):
        texts[1 + which] = _intern(body, held[which, 0], held[which, 1], seed, counts, out)
    for span in range(facts[SPANS_BEFORE], counts[SPAN_COUNT]):
        out.ints[2, span] = texts[1]


@step
def _store_scope(body: bytes, seed: int, facts: NDArray[np.int64], counts: NDArray[np.int64], out: Output) -> None:
    name, name_end, version, version_end = _read_scope(body, facts[HEAD], facts[HEAD_END])
    row = counts[SCOPE_COUNT]
    counts[SCOPE_COUNT] = row + 1
    out.scopes[row, 0], out.scopes[row, 1] = facts[HEAD], facts[HEAD_END] - facts[HEAD]
    texts = out.scope_texts[row]
    texts[0] = _intern(body, facts[SCHEMA], facts[SCHEMA_END], seed, counts, out)
    texts[1] = _intern(body, name, name_end, seed, counts, out)
    texts[2] = _intern(body, version, version_end, seed, counts, out)


@step
def _read_resource(body: bytes, at: int, end: int, held: NDArray[np.int64]) -> None:
    """Put into `held` from where to where service name, hosts and version lie; 0, 0 where there is none."""
    held[:] = 0
    while 0 <= at < end:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag != _RESOURCE_ATTRIBUTE:
            continue
        _, pair = read_size(body, value, end)
        key, key_end, kind, text, text_end = read_key_value(body, pair, at)
        which = find_name(body, key, key_end, _RESOURCE_KEYS)
        if which >= 0 and kind == STRING_VALUE and held[which, 0] == held[which, 1]:
            held[which, 0], held[which, 1] = text, text_end


@step
def _read_scope(body: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Return from where to where name and version lie."""
    name, name_end, version, version_end = at, at, at, at
    while 0 <= at < end:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag == _SCOPE_NAME:
            _, name = read_size(body, value, end)
            name_end = at
        elif tag == _SCOPE_VERSION:
            _, version = read_size(body, value, end)
            version_end = at
    return name, name_end, version, version_end


@inlined
def _store_span(
    body: bytes, at: int, end: int, seed: int, found: NDArray[np.int64], counts: NDArray[np.int64], out: Output
) -> None:
    row = counts[SPAN_COUNT]
    counts[SPAN_COUNT] = row + 1
    out.longs[0, row] = load_big_endian(body, found[TRACE_AT])
    out.longs[1, row] = load_big_endian(body, found[TRACE_AT] + 8)
    out.longs[2, row] = load_big_endian(body, found[SPAN_AT])
    out.longs[3, row] = load_big_endian(body, found[PARENT_AT]) if found[PARENT_SIZE] > 0 else 0
    out.longs[4, row], out.longs[5, row] = found[START], found[END]
    out.longs[6, row], out.longs[7, row] = at, end - at
    out.ints[0, row] = (int(found[FLAGS]) ^ 0x8000_0000) - 0x8000_0000  # the same 32 bits, as a signed number
    out.ints[1, row] = intern(body, found[NAME_AT], found[NAME_END], seed, out.slots, out.texts, counts)
    out.ints[3, row], out.ints[4, row] = counts[RESOURCE_COUNT], counts[SCOPE_COUNT]
    for column in range(TEXT_COLUMNS):
        out.ints[5 + column, row] = _intern(body, found[2 * column], found[2 * column + 1], seed, counts, out)
    out.shorts[0, row], out.shorts[1, row] = found[2 * HTTP_STATUS], found[2 * RPC_STATUS]
    out.tinies[0, row], out.tinies[1, row] = found[KIND], found[STATUS_CODE]
    out.tinies[2, row], out.tinies[3, row] = found[2 * REQUIREMENT], found[2 * OUTCOME]
    out.tinies[4, row], out.tinies[5, row] = found[FOLLOWS_FROM], found[LINK_TYPE]
    linked = found[LINK_TYPE] > 0
    out.longs[8, row] = load_big_endian(body, found[LINK_TRACE_AT]) if linked else 0
    out.longs[9, row] = load_big_endian(body, found[LINK_TRACE_AT] + 8) if linked else 0
    out.longs[10, row] = load_big_endian(body, found[LINK_SPAN_AT]) if linked else 0


@inlined
def _intern(body: bytes, at: int, end: int, seed: int, counts: NDArray[np.int64], out: Output) -> int:
    """Return the number of a text, -1 for an empty one, which says as much as none."""
    return -1 if at == end else intern(body, at, end, seed, out.slots, out.texts, counts)


@step
def _reject(
    problem: int,
    fact: int,
    of: int,
    span: int,
    span_end: int,
    place: NDArray[np.int64],
    frame: NDArray[np.int64],
    counts: NDArray[np.int64],
    out: Output,
) -> None:
    """Count a span that is refused, and keep the facts of the first ones."""
    number = counts[REJECTED_COUNT]
    counts[REJECTED_COUNT] = number + 1
    if number >= len(out.rejected):
        return
    facts = out.rejected[number]
    facts[0], facts[1], facts[2] = problem, fact, of
    facts[3], facts[4], facts[5] = place[0], place[1], place[2]
    facts[6], facts[7] = span, span_end
    for level in range(1, 3):
        facts[4 + 4 * level], facts[5 + 4 * level] = frame[level, HEAD], frame[level, HEAD_END]
        facts[6 + 4 * level], facts[7 + 4 * level] = frame[level, SCHEMA], frame[level, SCHEMA_END]
