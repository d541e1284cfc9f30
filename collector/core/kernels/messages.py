"""Which texts and messages lie inside an OTLP message, as a table, and one check that walks it.

The check wants of every message that is looked at later, at any depth: that its fields can be read and that its texts
are UTF-8. It keeps its own stack, since hostile bytes choose the depth.
"""

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.protobuf import BYTES, find_bad_utf8, read_size, read_tag, skip_field

NOTHING, TEXT = 0, 1
SPAN, EVENT, LINK, STATUS, RESOURCE, ENTITY_REF, SCOPE, KEY_VALUE, ANY_VALUE, ARRAY, KEY_VALUES = range(2, 13)

FIELDS: dict[int, dict[int, tuple[str, int]]] = {
    SPAN: {
        3: ("traceState", TEXT),
        5: ("name", TEXT),
        9: ("attributes", KEY_VALUE),
        11: ("events", EVENT),
        13: ("links", LINK),
        15: ("status", STATUS),
    },
    EVENT: {2: ("name", TEXT), 3: ("attributes", KEY_VALUE)},
    LINK: {3: ("traceState", TEXT), 4: ("attributes", KEY_VALUE)},
    STATUS: {2: ("message", TEXT)},
    RESOURCE: {1: ("attributes", KEY_VALUE), 3: ("entityRefs", ENTITY_REF)},
    ENTITY_REF: {1: ("schemaUrl", TEXT), 2: ("type", TEXT), 3: ("idKeys", TEXT), 4: ("descriptionKeys", TEXT)},
    SCOPE: {1: ("name", TEXT), 2: ("version", TEXT), 3: ("attributes", KEY_VALUE)},
    KEY_VALUE: {1: ("key", TEXT), 2: ("value", ANY_VALUE)},
    ANY_VALUE: {1: ("stringValue", TEXT), 5: ("arrayValue", ARRAY), 6: ("kvlistValue", KEY_VALUES)},
    ARRAY: {1: ("values", ANY_VALUE)},
    KEY_VALUES: {1: ("values", KEY_VALUE)},
}
"""Of each message the fields that hold texts or messages: name in OTLP/JSON, and what is inside."""

MAX_DEPTH = 100
"""Messages inside one another below a Span, a Resource or a Scope: the limit of protobuf's own runtimes, so that what
is accepted here can be read by them later. A list inside a list costs two, a key-value list three."""

NOT_UTF8 = 1
TOO_DEEP = 2

_FIELD_NUMBERS = 16
_INSIDE = np.zeros((KEY_VALUES + 1, _FIELD_NUMBERS), np.int64)
for _message, _fields in FIELDS.items():
    for _number, (_, _inside) in _fields.items():
        _INSIDE[_message, _number] = _inside
_DEPTHS = np.array([message in (EVENT, LINK, STATUS, KEY_VALUE) for message in range(KEY_VALUES + 1)], np.int64)
"""How deep below the outermost message those lie that are checked one by one."""


@inlined
def inside_of(message: int, number: int) -> int:
    """Return what is inside of field `number`: NOTHING, TEXT or a message."""
    return int(_INSIDE[message, number]) if number < _FIELD_NUMBERS else NOTHING


@step
def check_message(body: bytes, at: int, end: int, message: int, stack: NDArray[np.int64]) -> tuple[int, int]:
    """Check the bytes [at, end) as a `message`: a Resource, a scope, or one that hangs directly on a Span.

    Args:
        stack: room for MAX_DEPTH + 1 rows of two numbers; what it holds does not matter.
    Returns:
        The problem (0 none; NOT_UTF8; TOO_DEEP; an error code of `protobuf`) and its position in `body`.
    """
    depth = outermost = _DEPTHS[message]
    stack[depth, 0], stack[depth, 1] = end, message
    while True:
        if at >= end:
            if depth == outermost:
                return 0, at
            depth -= 1
            end, message = stack[depth, 0], stack[depth, 1]
            continue
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value, at
        if tag & 7 != BYTES:
            after = skip_field(body, value, end, tag)
            if after < 0:
                return after, at
            at = after
            continue
        size, content = read_size(body, value, end)
        if content < 0:
            return content, at
        inside = inside_of(message, tag >> 3)
        if inside <= TEXT:
            bad = find_bad_utf8(body, content, content + size) if inside == TEXT else -1
            if bad >= 0:
                return NOT_UTF8, bad
            at = content + size
        elif depth == MAX_DEPTH:
            return TOO_DEEP, at
        else:
            depth += 1
            at, end, message = content, content + size, inside
            stack[depth, 0], stack[depth, 1] = end, message
