"""What the ids of call paths and edges stand for; kept in memory, since an id never changes its meaning."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from collector.store.engine import ONE_THREAD
from collector.store.values import Node, TraceQuery

MAX_KNOWN = 200_000
_AT_ONCE = 2_000


class PathStep(NamedTuple):
    """One position of a call tree."""

    parent: int
    service: str
    operation: str
    kind: str


class EdgeEnds(NamedTuple):
    """The two ends of an edge, and its kind."""

    caller: Node
    callee: Node
    kind: str


class CallPaths:
    """Call paths by id. Thread-safe: entries are only ever added, or all forgotten."""

    def __init__(self) -> None:
        self._known: dict[int, PathStep] = {}

    def known(self, client: Client, ids: Collection[int]) -> dict[int, PathStep]:
        """Return the call paths of `ids`; an id that nobody explained is left out."""
        found = {number: step for number in ids if (step := self._known.get(number))}
        rows = _explain(
            client,
            "SELECT Id, any(Parent), any(Service), any(Operation), any(Kind) FROM call_paths",
            [number for number in ids if number not in found],
        )
        new = {int(row[0]): PathStep(int(row[1]), str(row[2]), str(row[3]), str(row[4])) for row in rows}
        if len(self._known) + len(new) > MAX_KNOWN:
            self._known = {}
        self._known.update(new)
        return found | new

    def with_ancestors(self, client: Client, ids: Iterable[int]) -> dict[int, PathStep]:
        """Return the call paths of `ids` and of everything above them, so that they make whole trees."""
        found: dict[int, PathStep] = {}
        wanted = set(ids)
        while wanted:
            new = self.known(client, wanted)
            found |= new
            wanted = {step.parent for step in new.values() if step.parent} - found.keys()
        return found

    def on_path(self, client: Client, query: TraceQuery) -> list[int]:
        """Return the ids of the call paths that a search wants on the path; none where it does not ask for any."""
        if not (query.on_path and (query.service or query.operation)):
            return []
        rows = client.query(
            "SELECT DISTINCT Id FROM call_paths WHERE {service:String} IN ('', Service) "
            f"AND {{operation:String}} IN ('', Operation) {ONE_THREAD}",
            {"service": query.service, "operation": query.operation},
        ).result_rows
        return [int(row[0]) for row in rows]

    def services(self, client: Client, ids: Collection[int]) -> Mapping[int, str]:
        """Return the service of each call path."""
        return {number: step.service for number, step in self.known(client, ids).items()}


class Edges:
    """Edges by id. Thread-safe likewise."""

    def __init__(self) -> None:
        self._known: dict[int, EdgeEnds] = {}

    def known(self, client: Client, ids: Collection[int]) -> dict[int, EdgeEnds]:
        """Return the ends of the edges `ids`; an id that nobody explained is left out."""
        found = {number: ends for number in ids if (ends := self._known.get(number))}
        rows = _explain(
            client,
            "SELECT Id, any(CallerService), any(CallerOperation), any(CallerKind), "
            "any(CalleeService), any(CalleeOperation), any(CalleeKind), any(Kind) FROM edges",
            [number for number in ids if number not in found],
        )
        new = {}
        for number, *texts in rows:
            caller, callee = Node(*map(str, texts[:3])), Node(*map(str, texts[3:6]))
            new[int(number)] = EdgeEnds(caller, callee, str(texts[6]))
        if len(self._known) + len(new) > MAX_KNOWN:
            self._known = {}
        self._known.update(new)
        return found | new


def _explain(client: Client, select: str, ids: list[int]) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for begin in range(0, len(ids), _AT_ONCE):
        chunk = ids[begin : begin + _AT_ONCE]
        rows += client.query(f"{select} WHERE Id IN {{ids:Array(UInt64)}} GROUP BY Id", {"ids": chunk}).result_rows
    return rows
