"""The drawing language: what the tests of the path rest on must itself be right."""

import doctest

import numpy as np
import pytest

from collector.core.spans import (
    DTYPES,
    HOST_KEYS,
    KIND_CLIENT,
    KIND_INTERNAL,
    KIND_SERVER,
    NO_STRING,
    OUTCOMES,
    STATUS_ERROR,
    SpanBatch,
)
from tests.core import drawing
from tests.core.drawing import EPOCH_NS, MISSING_PARENT, DrawingError, draw, node_labels, read_spans, read_trace


def test_the_example_of_the_house_style_is_three_spans() -> None:
    batch = read_trace("checkout 0-100; stock 10-40 in checkout; payment 50-90 in checkout")

    assert [batch.text(name) for name in batch.name] == ["checkout", "stock", "payment"]
    assert [batch.text(service) for service in batch.service] == ["checkout", "stock", "payment"]
    assert batch.span_id.tolist() == [1, 2, 3]
    assert batch.parent_span_id.tolist() == [0, 1, 1]
    assert (batch.start_time_unix_nano - EPOCH_NS).tolist() == [0, 10, 50]
    assert (batch.end_time_unix_nano - EPOCH_NS).tolist() == [100, 40, 90]
    assert batch.body == b""


def test_columns_have_the_types_of_the_contract_even_without_spans() -> None:
    for batch in (read_trace(""), read_trace("a 0-1")):
        assert {name: column.dtype.type for name, column in batch.columns().items()} == DTYPES


def test_a_slash_parts_service_and_operation_and_a_hash_only_tells_labels_apart() -> None:
    batch = read_trace('shop/GET /x 0-100; stock#1 10-20 in "shop/GET /x"; stock#2 30-40 in "shop/GET /x"')

    assert [batch.text(service) for service in batch.service] == ["shop", "stock", "stock"]
    assert [batch.text(name) for name in batch.name] == ["GET /x", "stock", "stock"]
    assert batch.span_id.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "start_ns", "end_ns"),
    [
        ("a 10-40", 10, 40),
        ("a 10-40ms", 10_000_000, 40_000_000),
        ("a 10us-40ms", 10_000, 40_000_000),
        ("a 1.5-1_000us", 1_500, 1_000_000),
        ("a -5-10", -5, 10),
        ("a 40-10", 40, 10),
        ("a -5--2s", -5_000_000_000, -2_000_000_000),
    ],
)
def test_times_are_exact_and_carry_units(text: str, start_ns: int, end_ns: int) -> None:
    (span,) = read_spans(text)

    assert span.start_time_unix_nano - EPOCH_NS == start_ns
    assert span.end_time_unix_nano - EPOCH_NS == end_ns


def test_a_unit_given_for_the_text_holds_for_numbers_without_one() -> None:
    batch = read_trace("a 10-40; b 10-40us", unit="ms")

    assert (batch.end_time_unix_nano - EPOCH_NS).tolist() == [40_000_000, 40_000]


def test_a_missing_end_is_the_zero_of_otlp() -> None:
    assert read_trace("a 10-?").end_time_unix_nano.tolist() == [0]


def test_clauses_fill_their_columns() -> None:
    batch = read_trace("""
        shop 0-100 server error journey=buy http_status=500   # a comment
        pay  10-90 client in shop calls payments optional outcome timed_out
        log  20-30 follows shop not-awaited
    """)

    assert batch.kind.tolist() == [KIND_SERVER, KIND_CLIENT, KIND_INTERNAL]
    assert batch.status_code.tolist() == [STATUS_ERROR, 0, 0]
    assert batch.http_status.tolist() == [500, 0, 0]
    assert batch.rpc_status.tolist() == [-1, -1, -1]
    assert batch.text(int(batch.journey[0])) == "buy"
    assert batch.text(int(batch.peer_service[1])) == "payments"
    assert batch.requirement.tolist() == [0, 2, 0]
    assert [OUTCOMES[outcome] for outcome in batch.outcome] == ["", "timed_out", "not_awaited"]
    assert batch.follows_from.tolist() == [0, 0, 1]
    assert batch.journey.tolist()[1:] == [NO_STRING, NO_STRING]


def test_hosts_are_values_of_the_resource() -> None:
    batch = read_trace("a 0-9 on alpha; a#2 0-9 on host.id=7 on k8s.pod.name=p; a#3 0-9")

    hosts = [
        {HOST_KEYS[column]: batch.text(value) for column, value in enumerate(row) if value != NO_STRING}
        for row in batch.resources.host[batch.resource]
    ]
    assert hosts == [{"host.name": "alpha"}, {"host.id": "7", "k8s.pod.name": "p"}, {}]
    assert [batch.text(service) for service in batch.resources.service[batch.resource]] == ["a", "a", "a"]


def test_ids_may_be_shared_repeated_circular_or_missing() -> None:
    spans = read_spans("""
        shop 0-100 in shop                 # its own parent
        pay/call 10-90 client id 7 in shop
        pay/serve 20-80 server id 7 in shop
        late 30-40 in ahead
        ahead 30-40 in late
        lost 50-60 orphan
        lost 50-61 orphan                  # a second copy
    """)

    assert [span.span_id for span in spans] == [1, 7, 7, 2, 3, 4, 4]
    assert [span.parent_span_id for span in spans] == [1, 1, 1, 3, 2, MISSING_PARENT, MISSING_PARENT]
    assert node_labels(spans)[f"{7:016x}"] == "pay/call"
    assert node_labels(spans)[f"{7:016x}/server"] == "pay/serve"


def test_links_are_in_the_body_where_otlp_keeps_them() -> None:
    trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    batch = read_trace("a 0-10; b 20-30 links a; c 40-50 links a links b")

    def links(row: int) -> list[int]:
        message = trace_pb2.Span.FromString(batch.body[batch.at[row] : batch.at[row] + batch.size[row]])
        return [int.from_bytes(link.span_id, "big") for link in message.links]

    assert [links(row) for row in range(3)] == [[], [1], [1, 2]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "a label and START-END expected"),
        ("0-10", "a label and START-END expected"),
        ("a 0-10 in b", 'no span is called "b"'),
        ("a 0-10 wobbly", "no such clause: wobbly"),
        ("a 0-10 on host.nmae=x", "no such host key: host.nmae"),
        ("a 0-10 in", '"in" wants a word behind it'),
        ('a 0-10 in "b', "quote without its partner"),
        ("a 0-1.5", "not a whole number of ns"),
        ("a 0-1 id 1; a 0-1 id 2", "drawn with another id before"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, problem: str) -> None:
    with pytest.raises(DrawingError, match=problem):
        read_trace(text)


def test_drawing_and_reading_again_gives_the_same_batch() -> None:
    text = """
        a/x#1 0-100 client on host.id=h; a/y#2 10-? in a/x#1 links a/x#1 calls b; b/z#9 5-3 follows a/y#2 id 9 server
        c/z#4 7-8 orphan trace 2 error
    """

    again = read_trace(draw(read_spans(text)))

    assert_equal_batches(again, read_trace(text))


def test_the_examples_of_the_docstrings_hold() -> None:
    assert doctest.testmod(drawing).failed == 0


def assert_equal_batches(one: SpanBatch, other: SpanBatch) -> None:
    assert one.strings == other.strings
    assert one.body == other.body
    for name, column in one.columns().items():
        assert np.array_equal(column, getattr(other, name)), name
    for name, column in one.resources.columns().items():
        assert np.array_equal(column, getattr(other.resources, name)), name
