"""How much of an operation's traffic its rarest journey is: where an operation serves several, it has to keep more."""

from collections.abc import Mapping

from collector.core.sampling.roots import Root
from collector.store.engine import Store

LATELY_S = 600
MAX_ROOTS = 2_000


class JourneyShares:
    """Answers from the traces of the last minutes. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Mapping[Root, float]:
        """Return the share of the rarest journey, 0 to 1, by root operation."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT RootService, RootOperation, min(Weighed) / sum(Weighed) FROM ("
                "SELECT RootService, RootOperation, Journey, sum(Weight) AS Weighed FROM traces FINAL "
                "WHERE Start >= now() - {lately:UInt32} AND Weight > 0 GROUP BY ALL) "
                "GROUP BY ALL ORDER BY sum(Weighed) DESC LIMIT {most:UInt32}",
                {"lately": LATELY_S, "most": MAX_ROOTS},
            ).result_rows
        return {Root(str(service), str(operation)): float(share) for service, operation, share in rows}
