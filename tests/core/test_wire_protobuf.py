"""The primitives of the wire format: compiled and plain give one answer, and a hostile number never a wrong read."""

import importlib
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core import kernels

NAME = "collector.core.kernels.protobuf"
PLAIN = kernels._plain(NAME)
COMPILED = importlib.import_module(NAME)

BOTH = pytest.mark.parametrize("protobuf", [PLAIN, COMPILED], ids=["plain", "compiled"])

HOSTILE_BYTES = st.lists(st.sampled_from([0, 1, 0x0A, 0x7F, 0x80, 0xC2, 0xE0, 0xED, 0xF4, 0xFF]) | st.integers(0, 255))
HOSTILE = HOSTILE_BYTES.map(bytes)
READERS = ("read_varint", "read_tag", "read_size", "read_fixed64", "read_fixed32", "is_ascii", "find_bad_utf8")


def varint(value: int) -> bytes:
    """The shortest varint of a number from 0 to 2^64-1."""
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def first_bad_byte(body: bytes) -> int:
    """Where Python's decoder stops, -1 where it does not."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1


@given(body=HOSTILE, reader=st.sampled_from(READERS))
def test_compiled_and_plain_readers_agree_on_any_bytes(body: bytes, reader: str) -> None:
    compiled = getattr(COMPILED, reader)(body, 0, len(body))

    assert getattr(PLAIN, reader)(body, 0, len(body)) == compiled


@given(value=st.integers(0, 2**64 - 1), behind=st.binary(max_size=3))
def test_varint_is_read_as_twos_complement(value: int, behind: bytes) -> None:
    body = varint(value) + behind

    read, after = PLAIN.read_varint(body, 0, len(body))

    assert read == (value if value < 2**63 else value - 2**64)
    assert body[after:] == behind


@BOTH
@pytest.mark.parametrize(
    ("reader", "body", "error"),
    [
        ("read_varint", b"", "TRUNCATED"),
        ("read_varint", b"\xff", "TRUNCATED"),
        ("read_varint", b"\xff" * 9, "TRUNCATED"),
        ("read_varint", b"\xff" * 10, "LONG_VARINT"),
        ("read_varint", b"\x80" * 10 + b"\x00", "LONG_VARINT"),
        ("read_tag", b"\x00", "BAD_TAG"),
        ("read_tag", b"\x07", "BAD_TAG"),
        ("read_tag", varint(2**32 | 8), "BAD_TAG"),
        ("read_tag", b"\x8a\x80\x80\x80\x80\x00", "BAD_TAG"),
        ("read_tag", b"\x0b", "BAD_WIRE_TYPE"),
        ("read_tag", b"\x0c", "BAD_WIRE_TYPE"),
        ("read_tag", b"\x0e", "BAD_WIRE_TYPE"),
        ("read_tag", b"\x0f", "BAD_WIRE_TYPE"),
        ("read_size", b"\x02a", "TRUNCATED"),
        ("read_size", varint(2**63 - 1) + b"a", "TRUNCATED"),
        ("read_size", varint(2**63) + b"a", "TRUNCATED"),
        ("read_size", varint(2**64 - 1) + b"a", "TRUNCATED"),
        ("read_fixed64", b"1234567", "TRUNCATED"),
        ("read_fixed32", b"123", "TRUNCATED"),
    ],
)
def test_what_cannot_be_read_is_an_error_code(protobuf: ModuleType, reader: str, body: bytes, error: str) -> None:
    _, after = getattr(protobuf, reader)(body, 0, len(body))

    assert after == getattr(protobuf, error)


@BOTH
@pytest.mark.parametrize("wire_type", [0, 1, 2, 5])
def test_field_that_ends_where_its_message_ends_is_skipped_and_a_byte_less_is_truncated(
    protobuf: ModuleType, wire_type: int
) -> None:
    value = {0: b"\xac\x02", 1: b"12345678", 2: b"\x03abc", 5: b"1234"}[wire_type]
    body = value + b"behind"

    assert protobuf.skip_field(body, 0, len(value), 8 | wire_type) == len(value)
    assert protobuf.skip_field(body, 0, len(value) - 1, 8 | wire_type) == protobuf.TRUNCATED


@BOTH
def test_group_is_not_skipped(protobuf: ModuleType) -> None:
    assert protobuf.skip_field(b"\x0c", 0, 1, 0x0B) == protobuf.BAD_WIRE_TYPE


@given(before=st.binary(max_size=3), word=st.binary(min_size=8, max_size=8))
def test_words_are_loaded_at_any_position_in_both_orders(before: bytes, word: bytes) -> None:
    body = before + word

    little = COMPILED.load_word(body, len(before)), PLAIN.load_word(body, len(before))
    big = COMPILED.load_big_endian(body, len(before)), PLAIN.load_big_endian(body, len(before))

    assert set(little) == {int.from_bytes(word, "little", signed=True)}
    assert set(big) == {int.from_bytes(word, "big", signed=True)}


@given(text=st.text() | HOSTILE.map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_utf8_is_what_python_says_it_is(text: str) -> None:
    body = text.encode("utf-8", "surrogateescape")

    bad_at = COMPILED.find_bad_utf8(body, 0, len(body))

    assert bad_at == first_bad_byte(body)


@BOTH
@pytest.mark.parametrize("size", range(20))
def test_one_high_bit_anywhere_is_not_ascii(protobuf: ModuleType, size: int) -> None:
    text = b"x" * size
    spoiled = [text[:i] + b"\x80" + text[i + 1 :] for i in range(size)]

    assert protobuf.is_ascii(text, 0, size)
    assert not any(protobuf.is_ascii(body, 0, size) for body in spoiled)


@BOTH
def test_equals_compares_sizes_and_bytes(protobuf: ModuleType) -> None:
    body = b"-net.peer.name-"

    assert protobuf.equals(body, 1, 14, b"net.peer.name")
    assert not protobuf.equals(body, 1, 13, b"net.peer.name")
    assert not protobuf.equals(body, 1, 14, b"net.peer.namE")
