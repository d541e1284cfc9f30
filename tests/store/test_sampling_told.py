import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from collector.control.told_keeper import ToldKeeper
from collector.core.sampling.told import Answer, Told
from collector.store.sampling_told import ToldLog
from cpdd.sampling.jaeger import Strategy
from tests.store.conftest import Place

SECOND_NS = 1_000_000_000


class BrokenOnce:
    """A log whose first writing fails."""

    def __init__(self, inner: ToldLog) -> None:
        self._inner = inner
        self._is_broken = True

    def append(self, answers: Sequence[Answer]) -> None:
        if self._is_broken:
            self._is_broken = False
            raise OSError("no space left on device")
        self._inner.append(answers)

    def since(self, at_ns: int) -> list[Answer]:
        return self._inner.since(at_ns)


def test_what_clients_were_told_outlives_the_process_though_the_store_was_away_for_a_moment(place: Place):
    store, now_ns = place.open(), time.time_ns()
    told = Told()
    told.note("gateway", Strategy(0.5), now_ns - 60 * SECOND_NS)
    told.note("gateway", Strategy(0.25, {"GET 'o'": 0.125, "POST /\\ü": 1.0}), now_ns - 30 * SECOND_NS)
    told.note("other", Strategy(1.0), now_ns)

    async def live(keeper: ToldKeeper) -> None:
        await keeper.begin()
        await keeper.write()
        await keeper.end()

    with ThreadPoolExecutor(1) as workers:
        asyncio.run(live(ToldKeeper(told, BrokenOnce(ToldLog(store)), workers)))
        store.close()
        again = Told()
        asyncio.run(live(ToldKeeper(again, ToldLog(place.open()), workers)))

    assert again.rate("gateway", "anything", now_ns - 60 * SECOND_NS) == 0.5
    assert again.rate("gateway", "anything", now_ns) == 0.25
    assert again.rate("gateway", "GET 'o'", now_ns) == 0.125
    assert again.rate("gateway", "POST /\\ü", now_ns) == 1.0
    assert again.rate("other", "anything", now_ns) == 1.0
    assert again.take_unsaved() == [], "what was read is not written once more"
