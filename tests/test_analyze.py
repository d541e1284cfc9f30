"""The analyzer on a real store: what is learned, when, and that repeating it changes nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from collector.analyze import Analyzer
from collector.core.journeys import Journey, JourneyBook, Match
from collector.store.engine import Store, open_store
from collector.store.reader import Reader
from collector.store.values import Window
from collector.store.writer import Committer
from cpdd.settings import Settings
from cpdd.testing import FakeClock
from tests.store.learned import summary_of
from tests.store.spans import MINUTE_NS, NOON, Span, encode

SECOND_NS = 1_000_000_000
EVER = Window(NOON - 60 * MINUTE_NS, NOON + 60 * MINUTE_NS)
TRACE = "0" * 31 + "1"


def root(trace: int = 1, ms: int = 100) -> Span:
    return Span(trace, trace * 10, name="POST /buy", end=NOON + ms * 1_000_000)


def call(trace: int = 1, status: int = 0) -> list[Span]:
    """A CLIENT and its SERVER, 10 ms to 60 ms."""
    client = Span(trace, trace * 10 + 1, trace * 10, "POST", kind=3, start=NOON + 10_000_000, end=NOON + 60_000_000)
    server = Span(
        trace,
        trace * 10 + 2,
        trace * 10 + 1,
        "charge",
        "bank",
        start=NOON + 20_000_000,
        end=NOON + 50_000_000,
        status=status,
    )
    return [client, server]


BOOK = JourneyBook((Journey("buy", (Match("shop", "POST /buy"),)),))


class Life:
    """One life of the process: a store, a committer, an analyzer with a clock moved by hand."""

    def __init__(self, folder: Path, clock: FakeClock, book: JourneyBook = JourneyBook()) -> None:
        self.store: Store = open_store("chdb://", folder)
        self.committer = Committer(self.store, linger_ms=0)
        self.steady = FakeClock()
        self.analyzer = Analyzer(self.store, Settings(), clock.now_ns, book, self.steady.now_ns)
        self.reader = Reader(self.store)
        self.clock = clock

    def send(self, spans: Sequence[Span]) -> None:
        """Store spans."""
        self.committer.submit(encode(spans)).result()

    def wait(self, seconds: float) -> None:
        """Let time pass, looking once a second as the analyzer's thread would."""
        for _ in range(int(seconds)):
            self.clock.advance(s=1)
            self.steady.advance(s=1)
            self.analyzer.run_once()

    def end(self) -> None:
        self.committer.close()
        self.store.close()


@pytest.fixture
def life(tmp_path: Path, clock: FakeClock) -> Iterator[Life]:
    life = Life(tmp_path, clock)
    yield life
    life.end()


def test_a_quiet_trace_is_analyzed_and_found(life):
    life.send([root(), *call()])
    life.wait(4)

    summary = summary_of(life.reader, TRACE)

    assert summary is not None
    assert (summary.journey, summary.duration_ns, summary.spans) == ("shop: POST /buy", 100_000_000, 3)
    assert {share.service: share.mean_ns for share in summary.path} == {"shop": 70_000_000, "bank": 30_000_000}


def test_a_trace_is_provisional_as_long_as_spans_may_come(life):
    life.clock.advance(s=600)  # the reader's clock is the engine's own
    life.send([root(), *call()])
    life.wait(4)

    summary = summary_of(life.reader, TRACE)

    assert summary is not None
    assert not summary.settled


def test_a_late_span_replaces_what_was_learned_before(life):
    life.send([root()])
    life.wait(4)
    life.send(call())
    life.wait(8)

    summary = summary_of(life.reader, TRACE)
    journeys = life.reader.journeys(EVER)

    assert summary is not None
    assert summary.spans == 3
    assert [(journey.journey, journey.traces) for journey in journeys] == [("shop: POST /buy", 1)]


def test_a_span_that_comes_after_the_trace_was_forgotten_reads_the_rest_from_the_store(life):
    life.send([root(), call()[0]])
    life.wait(30)
    assert life.analyzer.progress.open_traces == 0
    life.send([call()[1]])
    life.wait(15)

    summary = summary_of(life.reader, TRACE)

    assert summary is not None
    assert summary.spans == 3


def test_a_root_that_comes_last_moves_the_trace_to_its_journey(life):
    life.send(call())
    life.wait(15)
    orphaned = life.reader.journeys(EVER)
    life.send([root()])
    life.wait(15)
    whole = life.reader.journeys(EVER)

    assert [journey.journey for journey in orphaned] == ["shop: POST"]
    assert [(journey.journey, journey.traces) for journey in whole] == [("shop: POST /buy", 1)]


def test_a_restart_goes_on_where_the_last_life_ended_and_counts_nothing_twice(tmp_path, clock):
    first = Life(tmp_path, clock)
    first.send([root(1), *call(1)])
    first.wait(4)
    first.send([root(2), *call(2)])
    first.end()
    second = Life(tmp_path, clock)
    second.wait(20)

    (journey,) = second.reader.journeys(EVER)
    second.end()

    assert journey.traces == 2


HOUR_NS = 3600 * SECOND_NS


def test_a_clock_that_is_set_back_an_hour_holds_no_trace_back(life):
    life.send([root(), *call()])
    life.wait(1)
    life.clock.set(life.clock.now_ns() - HOUR_NS)
    life.wait(3)

    assert summary_of(life.reader, TRACE) is not None


def test_what_is_learned_after_the_clock_was_set_back_counts_in_the_next_life_too(tmp_path, clock):
    first = Life(tmp_path, clock)
    first.send([root(1)])
    first.send([root(2)])
    first.wait(20)
    first.end()
    clock.set(clock.now_ns() - HOUR_NS)
    second = Life(tmp_path, clock)
    second.send(call(1))
    second.wait(15)

    summary = summary_of(second.reader, TRACE)
    (journey,) = second.reader.journeys(EVER)
    second.end()

    assert summary is not None
    assert summary.spans == 3
    assert {share.service for share in summary.path} == {"shop", "bank"}
    assert journey.traces == 2


def test_a_clock_an_hour_ahead_and_back_again_changes_no_number(life):
    life.send([root(1)])
    life.clock.advance(s=3600)
    life.wait(4)
    life.send(call(1))
    life.wait(3)
    life.clock.set(life.clock.now_ns() - HOUR_NS)
    life.send([root(2), *call(2)])
    life.wait(20)

    first, second = summary_of(life.reader, TRACE), summary_of(life.reader, f"{2:032x}")
    (journey,) = life.reader.journeys(EVER)

    assert first is not None
    assert second is not None
    assert (first.spans, second.spans, journey.traces) == (3, 3, 2)


def test_the_place_where_a_restart_begins_is_kept_after_the_clock_was_set_back(tmp_path, clock):
    first = Life(tmp_path, clock)
    first.send([root(1)])
    first.wait(20)
    first.clock.set(clock.now_ns() - HOUR_NS)
    first.send([root(2)])
    first.wait(20)
    first.end()
    second = Life(tmp_path, clock)
    second.wait(4)
    second.end()

    assert second.analyzer.progress.spans == 0


def test_a_span_that_began_after_a_restart_belongs_to_a_trace_from_before_it(tmp_path, clock):
    begins = clock.now_ns()
    first = Life(tmp_path, clock)
    first.send([Span(1, 10, name="POST /buy", start=begins, end=begins + SECOND_NS)])
    first.wait(20)
    first.end()
    second = Life(tmp_path, clock)
    late = clock.now_ns() + 60 * SECOND_NS
    second.send([Span(1, 11, 10, "step", start=late, end=late + 1), Span(1, 12, 10, "step", start=late, end=late + 1)])
    second.wait(15)

    summary = summary_of(second.reader, TRACE)
    second.end()

    assert summary is not None
    assert summary.spans == 3


def test_spans_sent_twice_count_once(life):
    life.send([root(), *call()])
    life.send([root(), *call()])
    life.wait(4)

    detail = life.reader.journey("shop: POST /buy", EVER)

    assert detail is not None
    assert detail.summary.traces == 1
    assert [(edge.callee.service, edge.calls) for edge in detail.edges] == [("bank", 1.0)]


def test_a_failed_call_that_its_caller_survived_is_counted_as_survived(life):
    life.send([root(), *call(status=2)])
    life.wait(4)

    detail = life.reader.journey("shop: POST /buy", EVER)

    assert detail is not None
    assert [(edge.failed, edge.survived) for edge in detail.edges] == [(1.0, 1.0)]
    assert detail.summary.failed == 0


def test_a_message_waited_from_a_trace_that_was_analyzed_before(life):
    queue = {"messaging.system": "kafka", "messaging.destination.name": "orders"}
    send = Span(1, 12, 10, "send orders", kind=4, start=NOON + 10_000_000, end=NOON + 20_000_000, attributes=queue)
    taken = NOON + 510_000_000
    take = Span(2, 20, 0, "process", "mailer", 5, taken, taken + 1_000_000, attributes=queue, link=(1, 1, 12))
    life.send([root(), send])
    life.wait(4)

    life.send([take])
    life.wait(8)

    detail = life.reader.journey("mailer: process", EVER)
    assert detail is not None
    (edge,) = detail.edges
    assert (edge.caller.service, edge.caller.operation, edge.caller.kind) == ("kafka", "orders", "queue")
    assert (edge.delivered, edge.wait_ns) == (1, 500_000_000)


def test_a_journey_of_the_book_has_its_traces(tmp_path, clock):
    life = Life(tmp_path, clock, BOOK)
    life.send([root(), *call()])
    life.wait(4)

    journeys = life.reader.journeys(EVER)
    life.end()

    assert [journey.journey for journey in journeys] == ["buy"]


def test_calls_between_services_are_counted_once_though_the_trace_is_analyzed_again(life):
    life.send([root(), *call(status=2)])
    life.wait(4)
    life.send([root()])
    life.wait(8)

    ((labels, pair),) = life.analyzer.service_graph.pairs()

    assert life.analyzer.progress.repeated == 1
    assert labels == ("shop", "bank", "")
    assert (pair.requests, pair.failed) == (1.0, 1.0)
