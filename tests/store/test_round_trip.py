"""What goes in over OTLP comes out the same: columns and details, by way of the span table and of the arrivals.

OTLP bytes -> decode_traces -> encode -> Committer -> Reader.trace, Derived.read_arrivals
"""

import gzip
import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from collector.core.attributes import detailed
from collector.core.detail import DetailedSpans, OutlinedSpans
from collector.core.spans import STRING_COLUMNS, SpanBatch, concatenate
from collector.core.wire import decode_traces
from collector.store.derived import Derived
from collector.store.engine import Store, open_store, run
from collector.store.native import encode
from collector.store.reader import Reader
from collector.store.schema import Retention
from collector.store.writer import Committer
from tests.store import native_requests
from tests.store.reference_rows import requests_of

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
TRACES_OF_A_FILE = 20
_NUMBERS = (
    *("trace_id_high", "trace_id_low", "span_id", "kind", "parent_span_id", "start_time_unix_nano"),
    *("end_time_unix_nano", "flags", "status_code", "requirement", "outcome", "follows_from"),
    *("http_status", "rpc_status"),
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    importlib.import_module("collector.core.kernels.decode")
    importlib.import_module("collector.core.kernels.native")


def commit(store: Store, *batches: SpanBatch) -> None:
    committer = Committer(store, lanes=1, linger_ms=0)
    for batch in batches:
        committer.submit(encode(batch)).result(30)
    committer.close()


def empty(store: Store) -> None:
    with store.client() as client:
        for table in ("otel_traces", "otel_traces_trace_id_ts", "span_arrivals"):
            run(client, f"TRUNCATE TABLE {table}")


def columns(batch: SpanBatch) -> list[tuple[object, ...]]:
    """Rows as values, texts spelled out, in an order of their own."""
    return sorted((*_row(batch, row), *_hosts(batch, row)) for row in range(len(batch)))


def spans(found: DetailedSpans) -> list[str]:
    """Rows with everything that is known of them; as texts, for NaN is not equal to itself."""
    batch = found.batch
    return sorted(
        repr((_row(batch, row), _hosts(batch, row), _resource(batch, row), found.detail(row)))
        for row in range(len(batch))
    )


def outlines(found: OutlinedSpans) -> list[str]:
    """Rows with what a list of them says; as texts, likewise."""
    batch = found.batch
    rows = range(len(batch))
    said = zip(rows, found.outlines(rows), strict=True)
    return [repr((_row(batch, row), _hosts(batch, row), _resource(batch, row), outline)) for row, outline in said]


def _row(batch: SpanBatch, row: int) -> tuple[object, ...]:
    numbers = [int(getattr(batch, name)[row]) for name in _NUMBERS]
    return (*numbers, *(batch.text(getattr(batch, name)[row]) for name in STRING_COLUMNS))


def _hosts(batch: SpanBatch, row: int) -> tuple[str, ...]:
    return tuple(batch.text(index) for index in batch.resources.host[batch.resource[row]])


def _resource(batch: SpanBatch, row: int) -> tuple[str, ...]:
    resource, scope = batch.resource[row], batch.scope[row]
    indexes = (
        *(batch.resources.service[resource], batch.resources.schema_url[resource]),
        *(batch.scopes.name[scope], batch.scopes.version[scope], batch.scopes.schema_url[scope]),
    )
    return tuple(batch.text(index) for index in indexes)


def test_any_request_is_read_back_as_it_was_decoded(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path, Retention(0, 0, 0)) as store:

        @settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
        @given(native_requests.requests())
        def check(body: bytes) -> None:
            batch, _ = decode_traces(body)
            empty(store)

            commit(store, batch)

            trace_ids = {str(batch.trace_id(row)) for row in range(len(batch))}
            found = [trace for trace_id in trace_ids if (trace := Reader(store).trace(trace_id))]
            # Sets: spans that differ in a key-value list's hidden pair alone read the same, and are two.
            assert {span for trace in found for span in spans(trace)} == set(spans(detailed(batch)))
            for trace in found:
                shown = Reader(store).stored(trace.batch.trace_id(0))
                assert shown is not None
                assert outlines(shown.spans) == outlines(trace.outlined)
            assert columns(Derived(store).read_arrivals({}).spans) == columns(batch)

        check()


@pytest.mark.parametrize(
    "name", ["nezha-ob-base", "nezha-tt-base", "hotrod", "smartthings-mobile", "zipkin-small", "opensearch-orders-1"]
)
def test_recorded_traces_are_read_back_as_they_were_sent(store: Store, name: str) -> None:
    path = DATA / f"{name}.otlp.pb.gz"
    if not path.exists():
        pytest.skip(f"no trace data beside the repository: {path.name}")
    sent = [decode_traces(body)[0] for body in requests_of(gzip.decompress(path.read_bytes()))]
    commit(store, concatenate(sent))
    reader = Reader(store)

    for trace_id, expected in list(by_trace(concatenate(sent)).items())[:TRACES_OF_A_FILE]:
        found = reader.trace(trace_id)

        assert found is not None
        assert spans(found) == sorted(set(spans(detailed(expected))))
        shown = reader.stored(trace_id)
        assert shown is not None
        assert outlines(shown.spans) == outlines(found.outlined)
        for text in ("http.", "=2", "service.name=", "zebra"):
            assert shown.spans.rows_saying(text) == found.outlined.rows_saying(text), text


def by_trace(batch: SpanBatch) -> dict[str, SpanBatch]:
    rows: dict[str, list[int]] = {}
    for row in range(len(batch)):
        rows.setdefault(str(batch.trace_id(row)), []).append(row)
    return {trace_id: batch.take(np.array(which)) for trace_id, which in rows.items()}
