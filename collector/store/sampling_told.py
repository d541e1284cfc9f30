"""What Jaeger clients were told to sample by, and when: the weights of traces that say none themselves.

Only what is needed to weigh: a row where the answer to a service is another one, and one every five minutes while it
is asked for. Shares of budgets and boosts are in it as they came to then, which the log of changes does not have.
"""

from collections.abc import Sequence

import orjson

from collector.core.sampling.told import Answer
from collector.store.engine import Store
from collector.store.schema import SAMPLING_TOLD
from cpdd.sampling.jaeger import Strategy


class ToldLog:
    """The answers of one store. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.client() as client:
            store.define(client, SAMPLING_TOLD)

    def append(self, answers: Sequence[Answer]) -> None:
        """Write answers down; durable when this returns."""
        rows = [
            {
                "Service": answer.service,
                "AtNs": answer.at_ns,
                "Probability": answer.strategy.probability,
                "Operations": answer.strategy.operations,
            }
            for answer in answers
        ]
        blocks = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows]
        with self._store.client() as client:
            self._store.insert(client, "sampling_told", list(rows[0]), blocks, "JSONEachRow")

    def since(self, at_ns: int) -> list[Answer]:
        """Return the answers from this time on, in order of time."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT Service, AtNs, Probability, Operations FROM sampling_told "
                "WHERE AtNs >= {at:Int64} ORDER BY AtNs",
                {"at": at_ns},
            ).result_rows
        return [Answer(str(row[0]), int(row[1]), Strategy(float(row[2]), dict(row[3]))) for row in rows]
