"""Attributes whose values become columns: which keys they have and how their values are read.

A value lands in `found`, a row of numbers that describes one span or resource: for a text the position of its first
byte and the position behind it, else a number. Nothing is looked at twice: the first usable value of a key counts, and
a preferred key wins over the one it replaced.
"""

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.messages import KEY_VALUE, NOT_UTF8, check_message
from collector.core.kernels.names import NOT_NAMED, find_name, name_table
from collector.core.kernels.protobuf import (
    BYTES,
    FIXED64,
    find_bad_utf8,
    is_ascii,
    load_word,
    read_size,
    read_tag,
    read_varint,
    skip_field,
)

JOURNEY, PEER_SERVICE, SERVER_ADDRESS, DB_SYSTEM, DB_NAMESPACE, MESSAGING_SYSTEM, MESSAGING_DESTINATION = range(7)
HTTP_STATUS, RPC_STATUS, REQUIREMENT, OUTCOME = range(7, 11)
TEXT_COLUMNS = 7
COLUMNS = 11
SEEN = 2 * COLUMNS
"""Entry of `found` behind the columns: one bit for each key that has been used."""

KEYS: tuple[tuple[bytes, ...], ...] = (
    (b"cpdd.journey",),
    (b"service.peer.name", b"peer.service"),
    (b"server.address", b"net.peer.name"),
    (b"db.system.name", b"db.system", b"db.type"),
    (b"db.namespace", b"db.name", b"db.instance"),
    (b"messaging.system",),
    (b"messaging.destination.name", b"messaging.destination"),
    (b"http.response.status_code", b"http.status_code"),
    (b"rpc.grpc.status_code", b"rpc.response.status_code"),
    (b"cpdd.call.requirement",),
    (b"cpdd.call.outcome", b"response_flags"),
)
"""The keys of each column, preferred ones first; the third are OpenTracing's. A key's number is RANKS * column, and one
more for the second, two for the third."""
RANKS = 3

_GRPC_CODES = (
    b"OK",
    b"CANCELLED",
    b"UNKNOWN",
    b"INVALID_ARGUMENT",
    b"DEADLINE_EXCEEDED",
    b"NOT_FOUND",
    b"ALREADY_EXISTS",
    b"PERMISSION_DENIED",
    b"RESOURCE_EXHAUSTED",
    b"FAILED_PRECONDITION",
    b"ABORTED",
    b"OUT_OF_RANGE",
    b"UNIMPLEMENTED",
    b"INTERNAL",
    b"UNAVAILABLE",
    b"DATA_LOSS",
    b"UNAUTHENTICATED",
)
_RPC_CODES = name_table([*_GRPC_CODES, *map(bytes.lower, _GRPC_CODES)])
"""gRPC's spelling, and the small letters that Connect's instrumentations write."""
_REQUIREMENTS = name_table([b"", b"mandatory", b"optional"])
_OUTCOMES = name_table(
    [b"", b"ok", b"failed", b"timed_out", b"cancelled", b"fallback_used", b"not_awaited", b"injected"]
)
"""Rows are the column's values, as `spans.REQUIREMENTS` and `spans.OUTCOMES`."""
_INJECTED = 7
_RESPONSE_FLAGS = RANKS * OUTCOME + 1
"""The number of Envoy's key: short words between commas, of which FI and DI are injected faults and delays."""

NO_RPC_STATUS = -1
MAX_RPC_STATUS = 32_767

OTHER_VALUE, STRING_VALUE, INT_VALUE = 0, 1, 3
"""What an attribute's value is, by its field number in AnyValue; the rest makes no column."""

_KEY_TAG, _VALUE_TAG = 1 << 3 | BYTES, 2 << 3 | BYTES
_STRING_TAG, _BOOL_TAG, _INT_TAG, _DOUBLE_TAG = 1 << 3 | BYTES, 2 << 3, 3 << 3, 4 << 3 | FIXED64
_ARRAY_TAG, _KEY_VALUES_TAG, _BYTES_TAG, _STRING_INDEX_TAG = 5 << 3 | BYTES, 6 << 3 | BYTES, 7 << 3 | BYTES, 8 << 3

_NUMBERED = [(RANKS * column + rank, key) for column, keys in enumerate(KEYS) for rank, key in enumerate(keys)]
_SORTED = sorted((len(key), number, key) for number, key in _NUMBERED)
_MAX_KEY = _SORTED[-1][0]
_FIRST_OF_SIZE = np.array([sum(size < wanted for size, _, _ in _SORTED) for wanted in range(_MAX_KEY + 2)])
_KEY_NUMBERS = np.array([number for _, number, _ in _SORTED])
_LAST_WORDS = np.array([int.from_bytes(key[-8:].rjust(8, b"\0"), "little") for _, _, key in _SORTED])
_LAST_MASKS = np.array([-1 << 8 * (8 - min(size, 8)) for size, _, _ in _SORTED])
_WORDS = np.array([[int.from_bytes(key[at : at + 8], "little") for at in (0, 8, 16)] for _, _, key in _SORTED])
"""The keys by size, as words to compare: the last eight bytes (a shorter key's under a mask), then from the front."""


@inlined
def find_key(body: bytes, at: int, size: int) -> int:
    """Return the number of the key at `at`, -1 where it makes no column. At least one byte of `body` comes before."""
    if size > _MAX_KEY:
        return -1
    for candidate in range(_FIRST_OF_SIZE[size], _FIRST_OF_SIZE[size + 1]):
        if (load_word(body, at + size - 8) & _LAST_MASKS[candidate]) != _LAST_WORDS[candidate]:
            continue
        index = 0
        while 8 * index < size - 8 and load_word(body, at + 8 * index) == _WORDS[candidate, index]:
            index += 1
        if 8 * index >= size - 8:
            return int(_KEY_NUMBERS[candidate])
    return -1


@inlined
def read_attribute(
    body: bytes, at: int, end: int, found: NDArray[np.int64], stack: NDArray[np.int64]
) -> tuple[int, int]:
    """Check the KeyValue [at, end) of a span and keep its value if it makes a column.

    What nearly all are (short, a key, then one text or whole number) is read here without a detour: all sizes are one
    byte, because the whole is smaller than 0x80 and each size is what is left. Whatever differs goes the long way.

    Returns:
        The problem (0 none) and its position, as `check_message`.
    """
    if not 6 <= end - at < 0x80 or body[at] != _KEY_TAG:
        return read_long_attribute(body, at, end, found, stack)
    key = at + 2
    key_end = key + (body[at + 1] & 0xFF)
    if end - key_end < 4 or body[key_end] != _VALUE_TAG or (body[key_end + 1] & 0xFF) != end - key_end - 2:
        return read_long_attribute(body, at, end, found, stack)
    value = key_end + 3
    if body[key_end + 2] == _STRING_TAG and (body[value] & 0xFF) == end - value - 1:
        if not is_ascii(body, key, end):  # tags and sizes between the texts are below 0x80
            bad = _find_bad_text(body, key, key_end, value + 1, end)
            if bad >= 0:
                return NOT_UTF8, bad
        number = find_key(body, key, key_end - key)
        if number >= 0:
            _keep_value(body, STRING_VALUE, value + 1, end, number, found)
        return 0, end
    if body[key_end + 2] == _INT_TAG:
        integer, after = read_varint(body, value, end)
        if after == end and is_ascii(body, key, key_end):
            number = find_key(body, key, key_end - key)
            if number >= 0:
                _keep_value(body, INT_VALUE, integer, 0, number, found)
            return 0, end
    return read_long_attribute(body, at, end, found, stack)


@step
def _find_bad_text(body: bytes, key: int, key_end: int, text: int, text_end: int) -> int:
    bad = find_bad_utf8(body, key, key_end)
    return bad if bad >= 0 else find_bad_utf8(body, text, text_end)


@step
def read_long_attribute(
    body: bytes, at: int, end: int, found: NDArray[np.int64], stack: NDArray[np.int64]
) -> tuple[int, int]:
    """Do the work of `read_attribute` for fields of any size and value, in any order, repeated, missing or unknown."""
    message = int(np.int64(KEY_VALUE))  # no constant to Numba, which would compile another copy for it
    problem, problem_at = check_message(body, at, end, message, stack)
    if problem != 0:
        return problem, problem_at
    key, key_end, kind, value, value_end = read_key_value(body, at, end)
    number = find_key(body, key, key_end - key)
    if number >= 0:
        _keep_value(body, kind, value, value_end, number, found)
    return 0, end


@step
def read_key_value(body: bytes, at: int, end: int) -> tuple[int, int, int, int, int]:
    """Return key and value of a checked KeyValue: key, behind the key, the value's kind, value, behind the value.

    As protobuf merges messages: the last key counts, and of all values the last field.
    """
    key, key_end = at, at
    kind, value, value_end = OTHER_VALUE, 0, 0
    while 0 <= at < end:
        tag, inside = read_tag(body, at, end)
        at = skip_field(body, inside, end, tag)
        if tag == _KEY_TAG:
            size, key = read_size(body, inside, end)
            key_end = key + size
        elif tag == _VALUE_TAG:
            _, inside = read_size(body, inside, end)
            seen, new_value, new_value_end = _read_any_value(body, inside, at)
            if seen >= 0:
                kind, value, value_end = seen, new_value, new_value_end
    return key, key_end, kind, value, value_end


@step
def _read_any_value(body: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return kind, value, behind the value; kind -1 where it says nothing."""
    kind, value, value_end = -1, 0, 0
    while 0 <= at < end:
        tag, inside = read_tag(body, at, end)
        at = skip_field(body, inside, end, tag)
        if tag == _STRING_TAG:
            _, value = read_size(body, inside, end)
            kind, value_end = STRING_VALUE, at
        elif tag == _INT_TAG:
            value, _ = read_varint(body, inside, end)
            kind = INT_VALUE
        elif _is_other_value(tag):
            kind = OTHER_VALUE
    return kind, value, value_end


@inlined
def _is_other_value(tag: int) -> bool:
    """Return whether a tag is one of AnyValue's remaining fields."""
    return tag in (_BOOL_TAG, _DOUBLE_TAG, _ARRAY_TAG, _KEY_VALUES_TAG, _BYTES_TAG, _STRING_INDEX_TAG)


@step
def _keep_value(body: bytes, kind: int, first: int, second: int, number: int, found: NDArray[np.int64]) -> None:
    """Keep the value of key `number` unless it is empty, unusable, or comes too late.

    Args:
        kind, first, second: as `read_key_value` returns them.
    """
    column = number // RANKS
    if kind == INT_VALUE:
        _keep_code(first, number, found)
    elif kind != STRING_VALUE or first == second:
        return
    elif column < TEXT_COLUMNS:
        _keep(first, second, number, found)
    elif column == HTTP_STATUS:
        _keep_code(_digits(body, first, second), number, found)
    elif column == RPC_STATUS:
        code = _digits(body, first, second)
        name = find_name(body, first, second, _RPC_CODES) if code < 0 else NOT_NAMED
        _keep_code(code if name < 0 else name % len(_GRPC_CODES), number, found)
    elif number == _RESPONSE_FLAGS:
        if _names_injection(body, first, second):
            _keep(_INJECTED, 0, number, found)
    else:
        value = find_name(body, first, second, _REQUIREMENTS if column == REQUIREMENT else _OUTCOMES)
        if value > 0:
            _keep(value, 0, number, found)


@step
def _keep_code(value: int, number: int, found: NDArray[np.int64]) -> None:
    """Keep a status code where key `number` is that of one and the code is possible."""
    column = number // RANKS
    if (column == HTTP_STATUS and 100 <= value <= 999) or (column == RPC_STATUS and 0 <= value <= MAX_RPC_STATUS):
        _keep(value, 0, number, found)


@step
def _keep(first: int, second: int, number: int, found: NDArray[np.int64]) -> None:
    column = number // RANKS
    seen = int(found[SEEN])
    for better in range(RANKS * column, number + 1):
        if seen >> better & 1:
            return
    found[SEEN] = seen | 1 << number
    found[2 * column], found[2 * column + 1] = first, second


@step
def _names_injection(body: bytes, at: int, end: int) -> bool:
    """Return whether FI or DI is one of the flags between commas."""
    size = 0
    injected = False
    for place in range(at, end):
        byte = body[place] & 0xFF
        if byte == 0x2C:  # a comma
            if injected and size == 2:
                return True
            size = 0
            injected = False
            continue
        size += 1
        if size == 1:
            injected = byte == 0x46 or byte == 0x44  # F, D
        elif byte != 0x49:  # I
            injected = False
    return injected and size == 2


@step
def _digits(body: bytes, at: int, end: int) -> int:
    """Return the number that one to five digits spell, -1 for anything else."""
    if not 1 <= end - at <= 5:
        return -1
    value = 0
    while 0 <= at < end:
        digit = (body[at] & 0xFF) - 0x30
        if digit < 0 or digit > 9:
            return -1
        value = 10 * value + digit
        at += 1
    return value
