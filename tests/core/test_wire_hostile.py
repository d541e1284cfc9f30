"""Bytes that mean harm: cut, flipped, oversized, bottomless. The answer is the reference's, memory is bounded."""

import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.core import kernels
from collector.core.rejections import Rejections
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from tests.core.otlp_strategies import BYTES, Field, deep_attribute, encode, fields_of, varint
from tests.core.reference_decode import expected_outcome, outcome

HOTROD = Path(__file__).parents[3] / "shared/data/otlp/hotrod.otlp.pb.gz"
HUGE = (2**7, 2**14, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Have the compiled kernels loaded, so that they decode whatever the size."""
    kernels.load("decode", work=kernels.PLAIN_LIMIT + 1)


def small_request() -> list[Field]:
    """Two spans that say something in every field, taken apart; short enough to try every byte."""
    span = Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, parent_span_id=b"\3" * 8, name="pay", flags=257)
    span.kind = Span.SPAN_KIND_CLIENT
    span.start_time_unix_nano, span.end_time_unix_nano, span.trace_state = 2**60, 2**60 + 1, "ot=th:8"
    span.attributes.add(key="http.response.status_code").value.int_value = 503
    span.attributes.add(key="server.address").value.string_value = "stöck"
    span.attributes.add(key="tags").value.array_value.values.add(string_value="a")
    span.events.add(name="retry").attributes.add(key="n").value.double_value = 1.5
    span.links.add(trace_id=b"\1" * 16, span_id=b"\3" * 8).attributes.add(key="k")
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "no"
    service = Field(1, BYTES, [Field(1, BYTES, b"service.name"), Field(2, BYTES, [Field(1, BYTES, b"till")])])
    scope = Field(1, BYTES, [Field(1, BYTES, b"lib"), Field(2, BYTES, b"1")])
    spans = [Field(2, BYTES, fields_of(span)) for _ in range(2)]
    return [Field(1, BYTES, [Field(1, BYTES, [service]), Field(2, BYTES, [scope, *spans, Field(3, BYTES, b"url")])])]


def one_span(*more: Field) -> bytes:
    """A request of one valid span that has these fields too."""
    ids = [Field(1, BYTES, b"\1" * 16), Field(2, BYTES, b"\2" * 8)]
    return encode([Field(1, BYTES, [Field(2, BYTES, [Field(2, BYTES, [*ids, *more])])])])


def attribute(key: bytes, value: bytes) -> Field:
    return Field(9, BYTES, [Field(1, BYTES, key), Field(2, BYTES, [Field(1, BYTES, value)])])


def test_request_cut_at_any_byte_gives_what_the_reference_gives() -> None:
    body = encode(small_request())

    cut = [body[:size] for size in range(len(body))]

    assert [outcome(each) for each in cut] == [expected_outcome(each) for each in cut]


def test_request_with_any_bit_flipped_gives_what_the_reference_gives() -> None:
    body = encode(small_request())

    for at in range(len(body)):
        for bit in range(8):
            flipped = body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :]
            assert outcome(flipped) == expected_outcome(flipped), (at, bit)


def test_any_byte_inserted_or_left_out_gives_what_the_reference_gives() -> None:
    body = encode(small_request())

    for at in range(len(body)):
        inserted = [body[:at] + bytes([byte]) + body[at:] for byte in (0, 0x0A, 0x80, 0xFF)]
        for changed in (body[:at] + body[at + 1 :], *inserted):
            assert outcome(changed) == expected_outcome(changed), at


@pytest.mark.parametrize("size", HUGE)
def test_any_size_replaced_by_a_huge_one_gives_what_the_reference_gives(size: int) -> None:
    bodies = list(with_each_size_replaced(small_request(), size))

    assert len(bodies) > 50
    for body in bodies:
        assert outcome(body) == expected_outcome(body)


def with_each_size_replaced(fields: list[Field], size: int) -> Iterator[bytes]:
    """The encoded fields again and again, each time another field of bytes claiming `size`."""
    for position, field in enumerate(fields):
        if field.wire_type != BYTES:
            continue
        before, behind = encode(fields[:position]), encode(fields[position + 1 :])
        tag = varint(field.number << 3 | BYTES)
        inner = encode(field.inside) if isinstance(field.inside, list) else field.inside
        assert isinstance(inner, bytes)
        yield before + tag + varint(size) + inner + behind
        if isinstance(field.inside, list):
            for changed in with_each_size_replaced(field.inside, size):
                yield before + tag + varint(len(changed)) + changed + behind


@pytest.mark.skipif(not HOTROD.exists(), reason="../shared/data is absent")
def test_real_request_cut_at_any_byte_never_gives_more_than_it_had() -> None:
    data = gzip.decompress(HOTROD.read_bytes())
    size, at = kernels.plain("protobuf").read_size(data, 0, len(data))
    body = data[at : at + size]
    whole, _ = decode_traces(body)

    for end in range(len(body)):
        answer = outcome(body[:end])
        assert answer == "malformed" or len(answer[0]) < len(whole)  # type: ignore[index]


@pytest.mark.parametrize("kind", ["kvlist", "array"])
@pytest.mark.parametrize("of", ["span", "resource", "scope", "event", "link"])
def test_value_ten_thousand_deep_costs_its_span(kind: str, of: str) -> None:
    bottomless = deep_attribute(kind, 10_000)
    at = {"span": 9, "resource": 1, "scope": 3, "event": 3, "link": 4}[of]
    inner = Field(at, BYTES, bottomless.inside)
    within = {"event": 11, "link": 13}.get(of)
    bad = Field(within, BYTES, [inner]) if within else inner
    body = one_span(bad) if of in ("span", "event", "link") else headed(of, bad)

    batch, rejections = decode_traces(body + one_span())

    assert (len(batch), rejections.count) == (1, 1)
    assert "more than 100 deep" in rejections.kept[0].problem
    assert len(str(rejections.kept[0])) < 1_000


def headed(of: str, inner: Field) -> bytes:
    """One span under a resource or a scope that has this field."""
    span = Field(2, BYTES, [Field(1, BYTES, b"\1" * 16), Field(2, BYTES, b"\2" * 8)])
    head = Field(1, BYTES, [inner])
    if of == "resource":
        return encode([Field(1, BYTES, [head, Field(2, BYTES, [span])])])
    return encode([Field(1, BYTES, [Field(2, BYTES, [head, span])])])


def test_a_million_attributes_on_one_span_are_read_to_the_last() -> None:
    ids = encode([Field(1, BYTES, b"\1" * 16), Field(2, BYTES, b"\2" * 8)])
    many = encode([attribute(b"key", b"value")]) * 1_000_000
    span = ids + many + encode([attribute(b"cpdd.journey", b"check out")])
    body = encode([Field(1, BYTES, [Field(2, BYTES, [Field(2, BYTES, span)])])])

    batch, rejections = decode_traces(body)

    assert not rejections
    assert batch.text(int(batch.journey[0])) == "check out"


@pytest.mark.parametrize("key", [b"peer.service", b"any"])
def test_text_of_ten_megabytes_is_checked_to_its_last_byte(key: bytes) -> None:
    long = "é".encode() * 5_000_000

    good, _ = decode_traces(one_span(Field(5, BYTES, long), attribute(key, long)))
    bad, rejections = decode_traces(one_span(Field(5, BYTES, long), attribute(key, long[:-1])))

    assert good.text(int(good.name[0])) == long.decode()
    assert len(bad) == 0
    assert "not UTF-8: byte 0xc3" in rejections.kept[0].problem
    assert len(str(rejections.kept[0])) < 1_000


def test_zero_bytes_belong_to_a_text() -> None:
    batch, _ = decode_traces(one_span(Field(5, BYTES, b"\0a\0"), attribute(b"peer.service", b"\0")))

    assert batch.text(int(batch.name[0])) == "\0a\0"
    assert batch.text(int(batch.peer_service[0])) == "\0"


@pytest.mark.parametrize(
    "item", [[], [Field(2, BYTES, b"")], [Field(2, BYTES, [Field(2, BYTES, b"")])]], ids=["resource", "scope", "span"]
)
def test_millions_of_empty_messages_take_no_memory(item: list[Field]) -> None:
    body = encode([Field(1, BYTES, item)]) * 2_000_000

    (batch, rejections), peak = traced(body)

    assert (len(batch), len(batch.resources), len(batch.scopes)) == (0, 0, 0)
    assert rejections.count in (0, 2_000_000)
    assert peak < 1_000_000


def test_memory_is_bounded_by_the_size_of_the_body() -> None:
    """The smallest span that counts, each under a resource and a scope of its own, all texts different."""
    rows = 20_000
    body = b"".join(one_span(Field(5, BYTES, b"%05d" % row)) for row in range(rows))

    (batch, _), peak = traced(body)

    assert len(batch) == len(batch.resources) == len(batch.scopes) == rows
    assert peak < 40 * len(body)


def traced(body: bytes) -> tuple[tuple[SpanBatch, Rejections], int]:
    """What is decoded, and how much memory that took at most; NumPy reports what it reserves, touched or not."""
    tracemalloc.start()
    try:
        return decode_traces(body), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_texts_that_all_collide_are_numbered_after_a_bounded_search() -> None:
    interning = kernels.load("interning", work=kernels.PLAIN_LIMIT + 1)
    words = [b"%04d" % number for number in range(500)]
    body = b"".join(words * 2)
    texts, counts = np.empty((3, 1_000), np.int64), np.zeros(2, np.int64)
    slots = np.zeros(1, np.int32)

    numbers = [interning.intern(body, at, at + 4, 0, slots, texts, counts) for at in range(0, len(body), 4)]

    assert [body[texts[0, n] : texts[1, n]] for n in numbers] == words * 2
    assert counts[1] == 998  # the first found its slot, and was found there again


def test_attribute_without_key_or_value_is_no_problem() -> None:
    keyed = Field(9, BYTES, [Field(1, BYTES, b"peer.service")])

    batch, rejections = decode_traces(one_span(keyed, Field(9, BYTES, b""), attribute(b"", b"value")))

    assert not rejections
    assert batch.peer_service.tolist() == [-1]
