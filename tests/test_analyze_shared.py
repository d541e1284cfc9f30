"""Two analyzers on one store, each with its shares of the traces; a third party makes the minutes anew."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from collector.analyze import Analyzer
from collector.core.shares import ALL, NONE, Shares, due
from collector.minutes import MinuteWriter
from collector.store.engine import Store, open_store
from collector.store.reader import Reader
from collector.store.values import Window
from collector.store.writer import Committer
from cpdd.settings import Settings
from cpdd.testing import FakeClock
from tests.store.spans import NOON, Span, encode

FIRST, SECOND = due(0, 2), due(1, 2)
HOUR = Window(NOON - 3_600 * 10**9, NOON + 3_600 * 10**9)


class Share:
    """The shares that a test gives."""

    mine = True

    def __init__(self, shares: Shares) -> None:
        self.shares = shares

    def take(self) -> Shares:
        return self.shares


class Fleet:
    """One store, and processes with shares of its traces; clocks moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store("chdb://", folder)
        self.committer = Committer(self.store, linger_ms=0)
        self.clock, self.steady = FakeClock(time.time_ns()), FakeClock()
        self.one, self.two = self.analyzer("one", FIRST), self.analyzer("two", SECOND)
        self.minutes = MinuteWriter(self.store, Settings(), self.clock.now_ns, self.steady.now_s)
        self.reader = Reader(self.store)

    def analyzer(self, name: str, shares: Shares) -> Analyzer:
        steady = self.steady.now_ns
        return Analyzer(self.store, Settings(), self.clock.now_ns, steady_ns=steady, share=Share(shares), owner=name)

    def send(self, spans: Sequence[Span]) -> None:
        self.committer.submit(encode(spans)).result()

    def wait(self, seconds: int, *analyzers: Analyzer) -> None:
        """Let time pass; these analyzers, and whoever writes minutes, look once a second."""
        for _ in range(seconds):
            self.clock.advance(s=1)
            self.steady.advance(s=1)
            for analyzer in analyzers:
                if analyzer._has_share():
                    analyzer.run_once()
            self.minutes.run_once()

    def counted(self) -> int:
        return sum(journey.traces for journey in self.reader.journeys(HOUR))

    def analyzed(self) -> dict[str, tuple[int, int]]:
        """Rows and spans of each trace."""
        with self.store.client() as client:
            rows = client.query("SELECT TraceId, count(), max(Spans) FROM traces FINAL GROUP BY TraceId").result_rows
        return {str(id): (int(count), int(spans)) for id, count, spans in rows}

    def end(self) -> None:
        self.committer.close()
        self.store.close()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.end()


def trace(number: int, journey: str = "POST /buy") -> list[Span]:
    return [
        Span(number, number * 10, name=journey, end=NOON + 100_000_000),
        Span(number, number * 10 + 1, number * 10, "charge", kind=3, end=NOON + 50_000_000),
    ]


def spans_of(traces: range) -> list[Span]:
    return [span for number in traces for span in trace(number)]


def test_each_analyzes_its_own_traces_and_minutes_count_all(fleet: Fleet) -> None:
    fleet.send(spans_of(range(1, 41)))

    fleet.wait(15, fleet.one, fleet.two)

    assert fleet.one.progress.traces + fleet.two.progress.traces == 40
    assert 0 < fleet.one.progress.traces < 40
    assert set(fleet.analyzed().values()) == {(1, 2)}
    assert fleet.counted() == 40


def test_the_shares_of_one_that_was_killed_are_taken_over_where_it_was(fleet: Fleet) -> None:
    fleet.send(spans_of(range(1, 21)))
    fleet.wait(15, fleet.one, fleet.two)
    fleet.send(spans_of(range(21, 41)))
    fleet.wait(1, fleet.one, fleet.two)  # read, and not analyzed

    fleet.one = fleet.analyzer("three", ALL)
    fleet.wait(15, fleet.one)

    assert set(fleet.analyzed().values()) == {(1, 2)}
    assert fleet.counted() == 40


def test_a_late_span_is_analyzed_with_what_the_one_before_has_read(fleet: Fleet) -> None:
    root, call = trace(1)
    fleet.send([root])
    fleet.wait(15, fleet.one, fleet.two)

    successor = fleet.analyzer("three", ALL)
    fleet.send([call])
    fleet.wait(15, successor)

    assert fleet.analyzed() == {root.hex_trace_id: (1, 2)}
    assert fleet.counted() == 1


def test_shares_that_move_while_traces_are_open_are_analyzed_once(fleet: Fleet) -> None:
    fleet.send(spans_of(range(1, 41)))
    fleet.wait(1, fleet.one, fleet.two)

    fleet.one._share, fleet.two._share = Share(SECOND), Share(FIRST)
    fleet.wait(15, fleet.one, fleet.two)

    assert set(fleet.analyzed().values()) == {(1, 2)}
    assert fleet.counted() == 40


def test_who_has_no_share_does_nothing_and_keeps_nothing(fleet: Fleet) -> None:
    fleet.send(spans_of(range(1, 41)))
    fleet.wait(1, fleet.one, fleet.two)

    fleet.one._share, fleet.two._share = Share(NONE), Share(ALL)
    fleet.wait(15, fleet.one, fleet.two)

    assert fleet.one.progress.traces == 0
    assert fleet.counted() == 40


def test_what_is_announced_last_is_made_before_the_writer_of_minutes_has_stopped(fleet: Fleet) -> None:
    fleet.send(spans_of(range(1, 11)))
    for analyzer in (fleet.one, fleet.two):
        analyzer.finish()
    writer = MinuteWriter(fleet.store, Settings(), fleet.clock.now_ns)
    writer._stopping.set()

    writer.start()
    writer.stop()

    assert fleet.counted() == 10


class Killed(BaseException):
    """What a test ends an analyzer with; no analyzer catches it."""


class Dying(Analyzer):
    """Ends behind what it wrote about traces, and before it has announced their minutes."""

    def _count_calls(self, *_: object) -> None:
        raise Killed


def test_a_trace_that_moved_has_left_its_old_minute_though_its_analyzer_was_killed_then(fleet: Fleet) -> None:
    root, call = Span(1, 10, name="POST /buy", start=NOON - 90 * 10**9, end=NOON + 100_000_000), trace(1)[1]
    fleet.send([call])
    fleet.wait(15, fleet.one, fleet.two)
    before = fleet.counted()
    dying = Dying(fleet.store, Settings(), fleet.clock.now_ns, steady_ns=fleet.steady.now_ns, owner="dying")
    fleet.send([root])
    with pytest.raises(Killed):
        fleet.wait(15, dying)

    fleet.wait(20, fleet.analyzer("three", ALL))

    assert before == 1
    assert fleet.counted() == 1
