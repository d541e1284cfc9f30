"""What the clients of each collector decide on, so that all of them keep one budget. Only of now: old rows say nothing.

Times are the server's: a collector is heard of while its row is fresh, whatever its own clock says.
"""

from collections.abc import Sequence

import orjson

from collector.core.sampling.fleet import FRESH_S, Traffic
from collector.store.engine import Store
from collector.store.schema import SAMPLING_TRAFFIC


class TrafficLog:
    """The traffic of the collectors of one store. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.client() as client:
            store.define(client, SAMPLING_TRAFFIC)

    def say(self, writer: str, traffic: Traffic) -> None:
        """Replace what a collector said before."""
        rows = [(*key, operation, rate) for key, rates in traffic.seen.items() for operation, rate in rates.items()]
        row = {"Writer": writer, "Traffic": orjson.dumps({"seen": rows, "live": traffic.live}).decode()}
        with self._store.client() as client:
            self._store.insert(client, "sampling_traffic", list(row), [orjson.dumps(row)], "JSONEachRow")

    def others(self, writer: str) -> Sequence[Traffic]:
        """Return what the other collectors said in the last seconds."""
        with self._store.client() as client:
            self._store.catch_up(client, "sampling_traffic")
            rows = client.query(
                "SELECT argMax(Traffic, At) FROM sampling_traffic WHERE Writer != {writer:String} "
                "AND abs(dateDiff('millisecond', At, now64(6))) < {fresh:UInt32} GROUP BY Writer",
                {"writer": writer, "fresh": round(FRESH_S * 1000)},
            ).result_rows
        return [_read(str(text)) for (text,) in rows]


def _read(text: str) -> Traffic:
    said = orjson.loads(text)
    seen: dict[tuple[str, str], dict[str, float]] = {}
    for service, rule, operation, rate in said["seen"]:
        seen.setdefault((service, rule), {})[operation] = rate
    return Traffic(seen, said["live"])
