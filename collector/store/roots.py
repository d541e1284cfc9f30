"""The root operations above an operation, by the call trees that were learned."""

from collector.core.sampling.roots import Root, Step, roots_of
from collector.store.dictionaries import CallPaths
from collector.store.engine import Store

MAX_PATHS = 10_000


class RootFinder:
    """Answers from the store's call paths. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._call_paths = CallPaths()

    def operations(self, service: str) -> list[str]:
        """Return the operations that traces of a service have shown."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT DISTINCT Operation FROM call_paths WHERE Service = {service:String} LIMIT {limit:UInt32}",
                {"service": service, "limit": MAX_PATHS},
            ).result_rows
        return [str(row[0]) for row in rows]

    def find(self, service: str, operation: str = "", below: str = "") -> list[Root]:
        """Return the root operations whose traces reach `operation` of `service` (any of it where empty).

        Args:
            below: only by way of this service: the caller's side of an edge.
        """
        with self._store.client() as client:
            rows = client.query(
                "SELECT DISTINCT Id FROM call_paths WHERE Service = {service:String}"
                + (" AND Operation = {operation:String}" if operation else "")
                + " LIMIT {limit:UInt32}",
                {"service": service, "operation": operation, "limit": MAX_PATHS},
            ).result_rows
            ids = [int(row[0]) for row in rows]
            known = self._call_paths.with_ancestors(client, ids)
        steps = {number: Step(step.parent, step.service, step.operation) for number, step in known.items()}
        return roots_of(ids, steps, below)
