"""Nothing is left to compile when the first span arrives."""

import pkgutil
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from collector.core import kernels
from collector.core.analysis import analyze_traces
from collector.core.explain import explain
from collector.core.population.whatif import WhatIf
from collector.core.spans import concatenate
from collector.core.wire import decode_traces
from collector.store.engine import open_store
from collector.store.native import arrivals_block, encode
from collector.store.reader import Reader
from collector.store.writer import Committer
from collector.warm import request, warm
from tests.load import RequestMaker
from tests.store import spans


def test_the_first_real_requests_find_every_kernel_compiled():
    warm(lambda text: None)
    before = compiled()

    for body in (RequestMaker(1_024).make(1_790_000_000 * 10**9), request(), b""):
        batch, _ = decode_traces(body)
        encoded = encode(batch)
        arrivals_block(encoded.arrivals, encoded.rows, lane=1, first_sequence=7, arrived_at_unix_milli=1)
        if len(batch):
            stored = concatenate([batch, batch])
            analyze_traces(stored, ("",) * len(stored), version=1, settles_at_unix_nano=0)

    assert before
    assert compiled() == before


def test_pages_about_stored_traces_compile_nothing_after_the_start(tmp_path: Path):
    warm(lambda text: None)
    store = open_store("chdb://", tmp_path)
    committer = Committer(store, linger_ms=0)
    drawn = [spans.Span(1, 1), spans.Span(1, 2, 1, kind=3), spans.Span(1, 3, 2, service="bank")]
    committer.submit(spans.encode(drawn)).result()
    stored = Reader(store).trace(f"{1:032x}")
    before = compiled()

    assert stored is not None
    explain(stored.batch)
    explain(stored.batch, target="trace", links=lambda row: stored.detail(row).links)
    WhatIf(stored.batch).rank()
    after = compiled()
    committer.close()
    store.close()

    assert after == before


def compiled() -> dict[str, int]:
    """For how many types of arguments each kernel is compiled."""
    modules = [kernels.load(module.name, kernels.PLAIN_LIMIT + 1) for module in pkgutil.iter_modules(kernels.__path__)]
    return {
        f"{module.__name__}.{name}": len(value.signatures)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.signatures
    }
