"""Roots to the spans that called them: what a balancer learns too late to say. Called by `assemble`; pure.

GET    SERVER nginx |------------|     no trace came in, so nginx starts none; the application does, and its answer
GET    CLIENT nginx  |----------|      says which: nginx's spans join it, and this one links to the application's
GET /  SERVER shop    |--------|       with `cpdd.link.type` = adopted. That is a call like any other.
"""

from dataclasses import replace

import numpy as np

from collector.core.spans import KIND_SERVER, LINK_ADOPTED, IdColumn, SpanBatch

_ODD_1, _ODD_2 = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xC2B2_AE3D_27D4_EB4F)


def with_adopted_roots(batch: SpanBatch) -> SpanBatch:
    """Return the batch with each SERVER root that a span of its trace adopts below that span; work O(n).

    Of several that adopt one root the first in the batch is its parent.
    """
    adopting = np.flatnonzero(
        (batch.link_type == LINK_ADOPTED)
        & (batch.link_trace_id_high == batch.trace_id_high)
        & (batch.link_trace_id_low == batch.trace_id_low)
    )
    roots = np.flatnonzero((batch.parent_span_id == 0) & (batch.kind == KIND_SERVER)) if len(adopting) else adopting
    if not len(roots):
        return batch
    wanted = _keys(batch.trace_id_high[adopting], batch.trace_id_low[adopting], batch.link_span_id[adopting])
    order = np.argsort(wanted, kind="stable")
    adopting, wanted = adopting[order], wanted[order]
    keys = _keys(batch.trace_id_high[roots], batch.trace_id_low[roots], batch.span_id[roots])
    by = adopting[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)]
    is_adopted = (
        (batch.link_span_id[by] == batch.span_id[roots])
        & (batch.trace_id_low[by] == batch.trace_id_low[roots])
        & (batch.trace_id_high[by] == batch.trace_id_high[roots])
    )
    parents = batch.parent_span_id.copy()
    parents[roots[is_adopted]] = batch.span_id[by[is_adopted]]
    return replace(batch, parent_span_id=parents)


def _keys(high: IdColumn, low: IdColumn, span: IdColumn) -> IdColumn:
    """One number for the three; equal ones are compared again."""
    keys: IdColumn = span ^ low * _ODD_1 ^ high * _ODD_2
    return keys
