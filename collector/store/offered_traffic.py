"""How many traces begin a second, kept or not, by their root operation: by the weights of those that were kept.

For services whose clients poll and report nothing, so that budgets hold for them too.
"""

from collections.abc import Mapping

from collector.core.sampling.roots import Root
from collector.store.engine import Store

UNTIL_S = 30
"""Ago: what began later may not be analyzed yet."""
WINDOW_S = 120
MAX_ROOTS = 2_000


class OfferedTraffic:
    """Answers from the traces of the last minutes. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Mapping[Root, float]:
        """Return traces per second by root operation, the busiest."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT RootService, RootOperation, sum(Weight) AS traces FROM traces FINAL "
                "WHERE Start >= now() - {begin:UInt32} AND Start < now() - {end:UInt32} AND Weight > 0 "
                "GROUP BY ALL ORDER BY traces DESC LIMIT {most:UInt32}",
                {"begin": UNTIL_S + WINDOW_S, "end": UNTIL_S, "most": MAX_ROOTS},
            ).result_rows
        return {Root(str(service), str(operation)): float(traces) / WINDOW_S for service, operation, traces in rows}
