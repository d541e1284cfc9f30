"""What traces have cost lately, by their root operation: spans, and bytes by the size of a usual span."""

from collector.core.sampling.costs import Cost, Costs
from collector.core.sampling.roots import Root
from collector.store.engine import Store

LATELY_S = 600
SAMPLE = 5_000
"""Spans of which the size is taken."""
MAX_ROOTS = 2_000


class TraceCosts:
    """Answers from the traces of the last minutes. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Costs:
        """Return sums by root operation; bytes as they are in memory, before compression."""
        with self._store.client() as client:
            ((size,),) = client.query(
                "SELECT avg(byteSize(*)) FROM (SELECT * FROM otel_traces "
                "WHERE Timestamp >= now() - {lately:UInt32} LIMIT {sample:UInt32})",
                {"lately": LATELY_S, "sample": SAMPLE},
            ).result_rows
            rows = client.query(
                "SELECT RootService, RootOperation, count(), sum(Spans) FROM traces FINAL "
                "WHERE Start >= now() - {lately:UInt32} AND Weight > 0 "
                "GROUP BY ALL ORDER BY count() DESC LIMIT {most:UInt32}",
                {"lately": LATELY_S, "most": MAX_ROOTS},
            ).result_rows
        bytes_a_span = float(size) if size and size == size else 0.0
        return {
            Root(str(service), str(operation)): Cost(float(traces), float(spans), float(spans) * bytes_a_span)
            for service, operation, traces, spans in rows
        }
