"""What lies between the scan of OTLP messages and the writer of blocks: arrays, and the meaning of their rows.

Messages --scan--> Records, Lists --number--> Texts, Dictionaries --measure, write--> blocks
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# What holds attributes.
SPAN, RESOURCE, SCOPE, EVENT, LINK = range(5)
HOLDERS = 5

# Records: what is true of every holder; then what is true of a span, of an event, of a link.
ATTRIBUTES_END, TYPES, DROPPED = range(3)
HOLDER_ROWS = 3
(
    STATE_AT,
    STATE_SIZE,
    MESSAGE_AT,
    MESSAGE_SIZE,
    DROPPED_EVENTS,
    DROPPED_LINKS,
    EVENTS_END,
    LINKS_END,
    WEIGHT,
) = range(3, 12)
SPAN_ROWS = 12
EVENT_NAME_AT, EVENT_NAME_SIZE, EVENT_NAME = range(3, 6)
EVENT_ROWS = 6
TRACE_ID_AT, TRACE_ID_SIZE, SPAN_ID_AT, SPAN_ID_SIZE, LINK_STATE_AT, LINK_STATE_SIZE, LINK_FLAGS = range(3, 10)
LINK_ROWS = 10

# Attributes.
KEY_AT, KEY_SIZE, VALUE_AT, VALUE_SIZE, KEY = range(5)
ATTRIBUTE_ROWS = 5
STRING, BOOL, INT, DOUBLE, BYTES_VALUE, ARRAY, MAP, NO_VALUE = b"sbidyamn"

# Values whose text is made outside the kernels.
RARE_LETTER, RARE_AT, RARE_SIZE = range(3)
RARE_ROWS = 3

# Lists: the attributes of each kind of holder, then these.
EVENTS, LINKS, RARE = range(HOLDERS, 8)
LISTS = 8
LIST_BASE, LIST_CAPACITY, LIST_COUNT = range(3)
LIST_COLUMNS = 3

# Dictionaries: keys by holder, types by holder, then these.
KEYS, TYPE_NAMES = 0, HOLDERS
EVENT_NAMES, WEIGHTS = 10, 11
DICTIONARIES = 12
TEXT_BASE, TEXT_CAPACITY, TEXT_COUNT, SLOT_BASE, SLOT_CAPACITY, SLOT_MASK = range(6)
DICTIONARY_COLUMNS = 6
FIRST_SLOTS = 64
TEXT_AT, TEXT_SIZE, TEXT_HASH = range(3)
ENTRY_ROWS = 3

# The batch: rows of `ints` (then come its texts), of `longs`, of the tables of resources and scopes.
RESOURCE_OF, SCOPE_OF, TRACE_FLAGS, KIND, STATUS = range(5)
FIRST_TEXT = 5
TRACE_ID_HIGH, TRACE_ID_LOW, SPAN_ID, PARENT_SPAN_ID, START, END, AT, SIZE = range(8)
TABLE_AT, TABLE_SIZE, TABLE_SCHEMA = range(3)
RESOURCE_HOST = 3
SCOPE_NAME, SCOPE_VERSION = 3, 4

# Texts of a span that are positions in the strings of the batch, in the order of spans.STRING_COLUMNS; then those that
# it has from its resource and its scope.
NAME, SERVICE = 0, 1
SPAN_TEXTS = 9
HOST, RESOURCE_SCHEMA, SCOPE_SCHEMA = range(9, 12)
TEXTS = 12


class Messages(NamedTuple):
    """Where the messages of a batch lie in its body, and what its columns say of them: a column each."""

    ints: NDArray[np.int32]
    longs: NDArray[np.int64]
    resources: NDArray[np.int32]
    scopes: NDArray[np.int32]


class Records(NamedTuple):
    """What the scan found: a column for each span, resource, scope, event and link. TYPES tells first whether there are
    other values than strings, later which number their types have; KEY, EVENT_NAME and WEIGHT are numbers, too."""

    spans: NDArray[np.int32]
    resources: NDArray[np.int32]
    scopes: NDArray[np.int32]
    events: NDArray[np.int32]
    event_times: NDArray[np.int64]
    links: NDArray[np.int32]


class Lists(NamedTuple):
    """What the records point at. Several lists share an array, each its own stretch of it."""

    lists: NDArray[np.int64]
    """Shape (LISTS, LIST_COLUMNS): where in its array a list begins, room for how many, how many there are."""
    attributes: NDArray[np.int32]
    """Rows: where the key is and its size; where the value is and how many bytes its text has in the block; the key's
    number.

    A string's place is that of its first byte, an int's that of its varint, that of bytes the varint of their size; a
    bool is 0 or 1 itself, a double, an array and a map the number of a rare value.
    """
    letters: bytearray
    """The type of each attribute."""
    rare: NDArray[np.int32]
    """Rows: the letter; where the eight bytes of a double or else the KeyValue begins; how long it is."""


class Dictionaries(NamedTuple):
    """The texts of LowCardinality columns that come from the messages. They share arrays, like lists."""

    dictionaries: NDArray[np.int64]
    """Shape (DICTIONARIES, DICTIONARY_COLUMNS): where in `entries` its texts begin (the first place stays free), room
    for how many, how many there are without the empty one; where its slots begin, room for how many (a power of two),
    how many are in use less one."""
    entries: NDArray[np.int32]
    """Rows: where a text lies in its source, its size, its hash."""
    slots: NDArray[np.int32]
    """The hash tables: numbers of texts, 0 for a free slot."""


class Texts(NamedTuple):
    """The strings of a batch and the dictionaries of the columns that use them."""

    text: bytes
    ends: NDArray[np.int64]
    """Shape (strings + 1,): where each begins, and where the last ends."""
    numbers: NDArray[np.int32]
    """Shape (TEXTS, spans): number of a span's text in the column's dictionary, 0 for the empty one."""
    seen: NDArray[np.int32]
    """Shape (strings,): number of each string in the column at hand."""
    order: NDArray[np.int32]
    """Shape (TEXTS, most distinct texts + 1): the string of each number."""
    counts: NDArray[np.int64]
    """Shape (TEXTS,): numbers given, without 0."""


class RareTexts(NamedTuple):
    """The texts of rare values, one behind the other."""

    text: bytes
    ends: NDArray[np.int64]


class Shared(NamedTuple):
    """What spans share: the values of a resource or scope are made once and copied for its other spans."""

    sizes: NDArray[np.int64]
    """Shape (2, resources or scopes): how many bytes the values take."""
    stored_at: NDArray[np.int64]
    """Likewise: where they were stored first, -1 before that."""
    taken: NDArray[np.int32]
    """Shape (spans,): a column of the resources or the scopes, spread over the spans."""
    slots: NDArray[np.int32]
    """A hash table of traces, its length a power of two, at least twice the number of spans."""
    traces: NDArray[np.int64]
    """Shape (3, spans): of each trace a row, its first and its last start in seconds."""


class Heads(NamedTuple):
    """What stands before the values of a table's columns, one behind the other."""

    text: bytes
    ends: NDArray[np.int64]


class Found(NamedTuple):
    """All that a block is made of."""

    messages: Messages
    texts: Texts
    records: Records
    lists: Lists
    dictionaries: Dictionaries
    rare: RareTexts
    shared: Shared
