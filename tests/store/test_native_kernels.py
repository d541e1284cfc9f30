"""The kernels behind the blocks: compiled, plain and loaded from the cache they do the same, whatever the bytes."""

import base64
import hashlib
import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core import kernels
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from collector.store import native
from tests.store.native_requests import NOON, odd_requests, requests

PLAIN = kernels.plain("native")
COMPILED = importlib.import_module("collector.core.kernels.native")
TEXTS = {
    "plain": kernels.plain("texts"),
    "compiled": importlib.import_module("collector.core.kernels.texts"),
}
BOTH = pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS.keys())
ROOT = Path(__file__).parents[2]


def blocks(module: ModuleType, batch: SpanBatch) -> native.EncodedBatch | str:
    """What `encode` gives with these kernels, or the kind of its refusal."""
    try:
        return native.encode_with(module, batch, native.MAX_BLOCK_BYTES)
    except native.UnreadableBatch as error:
        return type(error).__name__


@settings(max_examples=40)
@given(body=requests() | odd_requests())
def test_plain_and_compiled_kernels_make_the_same_bytes(body: bytes) -> None:
    batch = decode_traces(body)[0]

    if len(batch):
        assert blocks(PLAIN, batch) == blocks(COMPILED, batch)


@settings(max_examples=60)
@given(body=requests() | odd_requests(), data=st.data())
def test_body_that_changed_is_refused_or_read_within_its_bounds(body: bytes, data: st.DataObject) -> None:
    batch = decode_traces(body)[0]
    changed = bytearray(body)
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)) if body else []:
        changed[position] = data.draw(st.sampled_from([0, 1, 0x0A, 0x4A, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    spoiled = replace(batch, body=bytes(changed[: data.draw(st.integers(0, len(body)))] or changed))

    if len(batch):
        assert blocks(PLAIN, spoiled) == blocks(COMPILED, spoiled)


@pytest.mark.parametrize("module", [PLAIN, COMPILED], ids=["plain", "compiled"])
def test_list_that_cannot_be_read_is_refused(module: ModuleType) -> None:
    message = ExportTraceServiceRequest.FromString(request(1, 0))
    attribute = message.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="k")
    attribute.value.array_value.values.add(string_value="abcdef")
    body = message.SerializeToString()
    group_instead_of_text = body.replace(b"\x0a\x06abcdef", b"\x0b\x06abcdef")

    refused = blocks(module, replace(decode_traces(body)[0], body=group_instead_of_text))

    assert refused == "UnreadableBatch"


def test_blocks_do_not_depend_on_what_the_thread_encoded_before() -> None:
    many = request(400, 60)
    few = request(3, 2)
    first = native.encode(decode_traces(few)[0])

    native.encode(decode_traces(many)[0])

    assert native.encode(decode_traces(few)[0]) == first


def test_kernels_loaded_from_the_cache_make_the_same_bytes() -> None:
    body = request(50, 10)
    digest = hashlib.sha256(native.encode_with(COMPILED, decode_traces(body)[0], 1 << 30).spans).hexdigest()
    program = (
        "import hashlib, importlib, sys\n"
        "importlib.import_module('collector.core.kernels.native')\n"
        "from collector.core.wire import decode_traces\n"
        "from collector.store.native import encode\n"
        "print(hashlib.sha256(encode(decode_traces(sys.stdin.buffer.read())[0]).spans).hexdigest())\n"
    )

    other = subprocess.run([sys.executable, "-c", program], input=body, capture_output=True, check=True, cwd=ROOT)

    assert other.stdout.decode().strip() == digest


def request(spans: int, attributes: int) -> bytes:
    """A request without chance in it."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add().scope_spans.add()
    for number in range(1, spans + 1):
        span = group.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=f"operation {number}",
            start_time_unix_nano=NOON,
        )
        for position in range(attributes):
            attribute = span.attributes.add(key=f"key {position} of {number}")
            attribute.value.int_value = number * position
        span.events.add(name=f"event {number}").attributes.add(key="k").value.double_value = number / 3
    body: bytes = message.SerializeToString()
    return body


# --- texts


def stored(texts: ModuleType, writer: str, *arguments: object) -> bytes:
    """What a writer stores, and that it says so."""
    out = np.zeros(400, np.uint8)
    end = getattr(texts, writer)(out, 3, *arguments)
    return out[3:end].tobytes()


@BOTH
@settings(max_examples=60)
@given(value=st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000))
def test_integers_are_written_as_python_writes_them(texts: ModuleType, value: int) -> None:
    assert stored(texts, "store_decimal", value) == str(value).encode()
    assert texts.decimal_size(value) == len(str(value))
    assert stored(texts, "store_hex_word", value) == f"{value & (2**64 - 1):016x}".encode()


@BOTH
@pytest.mark.parametrize("exponent", range(63))
def test_integers_beside_powers_of_two_and_ten_are_written_right(texts: ModuleType, exponent: int) -> None:
    for around in {2**exponent, 10 ** (exponent % 19)}:
        for value in (around - 1, around, around + 1, -around, -around - 1):
            assert stored(texts, "store_decimal", value) == str(value).encode()
            assert texts.decimal_size(value) == len(str(value))


@BOTH
@settings(max_examples=60)
@given(before=st.binary(max_size=9), content=st.binary(max_size=40), behind=st.binary(max_size=20))
def test_bytes_anywhere_in_a_source_are_written_whole(
    texts: ModuleType, before: bytes, content: bytes, behind: bytes
) -> None:
    place = (before + content + behind, len(before), len(content))

    assert stored(texts, "store_bytes", *place) == content
    assert stored(texts, "store_short_bytes", *place) == content
    assert stored(texts, "store_text", *place) == bytes([len(content)]) + content
    assert stored(texts, "store_hex", *place) == content.hex().encode()
    assert stored(texts, "store_base64", *place) == base64.b64encode(content)
    assert texts.base64_size(len(content)) == len(base64.b64encode(content))


@BOTH
@pytest.mark.parametrize("value", [0, 127, 128, 2**14 - 1, 2**14, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 2**31 - 1])
def test_size_of_a_varint_is_known_before_it_is_written(texts: ModuleType, value: int) -> None:
    written = stored(texts, "store_varint", value)

    assert len(written) == texts.varint_size(value)
    assert sum((byte & 127) << 7 * place for place, byte in enumerate(written)) == value


@BOTH
@pytest.mark.parametrize("times", [1, 2, 3, 7, 64, 100])
def test_run_repeats_what_stands_before_it(texts: ModuleType, times: int) -> None:
    out = np.zeros(400, np.uint8)
    out[5:8] = list(b"abc")

    end = texts.store_run(out, 8, 5, times)

    assert out[5:end].tobytes() == b"abc" * times
