"""The kernels and `formats.jaeger` make the same bytes of Jaeger's JSON, or the kernels leave it alone."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from collector.core.formats import MalformedDocument, translate_jaeger
from collector.core.formats.jaeger_quick import Translator, translate_quickly, translate_with, translator

DATA = Path(__file__).parents[3] / "../shared/data"
FORMATS = DATA / "formats"
needs_data = pytest.mark.skipif(not FORMATS.is_dir(), reason="../shared/data is absent")
JAEGER_FILES = (
    "dsb-socialnetwork.jaeger.json.gz",
    "hotrod.jaeger.json.gz",
    "jaeger-ui-export.dsb.json.gz",
    "nezha-tt-contacts-cpu.jaeger.json.gz",
)


@cache
def plain() -> Translator:
    return translator(compiled=False)


def slowly(body: bytes) -> bytes | None:
    """What `formats.jaeger` makes of it; None where it refuses some."""
    try:
        translation = translate_jaeger(body)
    except MalformedDocument:
        return None
    return None if translation.rejected else translation.body


def agrees(body: bytes) -> bool:
    """Whether the kernels give the bytes of the slow reader; what it refuses, they have to leave alone."""
    quickly = translate_with(plain(), [body])[0]
    return quickly is None or quickly == slowly(body)


# Values as tracers write them, and as nobody should

ids = st.sampled_from(["1", "00000000000000a1", "A1", "a1" * 16, "0", "", "f" * 33, "xyz"])
texts = (
    st.sampled_from(["", "a", "GET /", "é€𝄞", '\n\t"\\/\b\f\r\x01', "true", "ERROR", "OK", "503", "٣٣٣", "-7"])
    | st.text()
)
numbers = st.integers(-(2**70), 2**70) | st.integers(0, 2**50) | st.sampled_from([0, -1, 2**63 - 1, -(2**63), 10**18])
reals = st.floats() | st.sampled_from([0.5, 1e22, 1e23, -0.0, 0.1 + 0.2, 1e-7])
known_keys = (
    "span.kind error otel.status_code otel.status_description otel.scope.name otel.scope.version w3c.tracestate "
    "http.status_code http.status_message otel.dropped_events_count event"
)
keys = st.sampled_from([*known_keys.split(), "k", "é"])
tags = st.fixed_dictionaries({"key": keys, "type": st.just("string"), "value": texts}) | st.fixed_dictionaries(
    {
        "key": keys,
        "type": st.sampled_from(["string", "int64", "bool", "float64", "binary", "STRING"]),
        "value": texts | st.integers(0, 600) | numbers | reals | st.booleans() | st.none(),
    }
)
few_tags = st.lists(tags, max_size=4)
references = st.fixed_dictionaries(
    {"refType": st.sampled_from(["CHILD_OF", "FOLLOWS_FROM"]), "traceID": ids, "spanID": ids}
)
some_ids = st.sampled_from(["1", "00000000000000a1", "A1"])
spans = st.fixed_dictionaries(
    {"traceID": some_ids, "spanID": some_ids, "startTime": st.integers(0, 2**50), "processID": st.sampled_from("pq")},
    optional={
        "operationName": texts | st.none(),
        "duration": st.integers(0, 2**40) | numbers,
        "references": st.lists(references, max_size=3) | st.none(),
        "parentSpanID": ids,
        "tags": few_tags | st.none(),
        "logs": st.lists(st.fixed_dictionaries({"timestamp": st.integers(0, 2**50), "fields": few_tags}), max_size=2),
        "warnings": st.none() | st.lists(texts, max_size=1),
        "flags": st.integers(-1, 3) | reals,
        "process": st.none(),
    },
)
processes = st.fixed_dictionaries({"serviceName": texts | st.none()}, optional={"tags": few_tags})
traces = st.fixed_dictionaries(
    {
        "traceID": ids,
        "spans": st.lists(spans, max_size=4),
        "processes": st.fixed_dictionaries({"p": processes, "q": processes}),
    }
)
documents = st.fixed_dictionaries({"data": st.lists(traces, min_size=1, max_size=2)}, optional={"errors": st.none()})


@given(documents, st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=150)
def test_both_readers_make_the_same_bytes_of_any_document(document: Any, ascii_only: bool, indent: int | None):
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")

    assert agrees(body)


SMALL = (
    b'{"data":[{"traceID":"1","spans":[{"traceID":"1","spanID":"2","operationName":"caf\\u00e9 \\ud834\\udd1e",'
    b'"startTime":5,"duration":7,"references":[{"refType":"FOLLOWS_FROM","traceID":"1","spanID":"1"}],"processID":"p","flags":1,'
    b'"tags":[{"key":"n","type":"float64","value":2.5e-3},{"key":"span.kind","type":"string","value":"client"}],'
    b'"logs":[{"timestamp":6,"fields":[{"key":"event","type":"string","value":"x"}]}]}],'
    b'"processes":{"p":{"serviceName":"s","tags":[{"key":"hostname","type":"string","value":"h"}]}}}]}'
)


def test_an_ordinary_span_needs_no_slow_reader():
    assert translate_with(plain(), [SMALL])[0] == slowly(SMALL) is not None


@given(st.integers(0, len(SMALL) - 1), st.binary(max_size=2) | st.sampled_from([b'"', b"\\", b"{", b"]", b"null"]))
@example(len(SMALL) - 1, b"")
@settings(max_examples=200)
def test_damage_is_left_to_the_reader_that_can_name_it(at: int, piece: bytes):
    body = SMALL[:at] + piece + SMALL[at + 1 :]

    assert agrees(body)


@pytest.mark.parametrize("cut", range(0, len(SMALL), 7))
def test_a_document_cut_anywhere_is_not_read_beyond_its_end(cut: int):
    assert translate_with(plain(), [SMALL[:cut]])[0] is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"data":[]}',
        b'{"data":[{}]}',
        b'{"data":[1],"spans":[]}',
        b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"data":[{"spans":[],"processes":{' + b'"a":1,' * 300 + b'"a":1}}]}',
        b'\xef\xbb\xbf{"data":[]}',
    ],
)
def test_what_is_no_plain_document_is_left_alone(body: bytes):
    assert translate_with(plain(), [body])[0] is None


@pytest.mark.parametrize("name", JAEGER_FILES)
@needs_data
def test_recorded_documents_become_the_same_bytes(name: str):
    body = gzip.decompress((FORMATS / name).read_bytes())

    quickly = translate_with(translator(compiled=True), [body])[0]

    assert quickly == slowly(body) is not None


def test_little_json_is_not_worth_loading_kernels(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("collector.core.kernels.is_compiled", lambda name: False)

    assert translate_quickly(SMALL) is None
