"""Points of a picture: all traces of a range, or a sample that is like them."""

import random
from dataclasses import replace

import pytest

from collector.store import trace_points
from collector.store.derived import Derived
from collector.store.dictionaries import CallPaths
from collector.store.engine import Store
from collector.store.reader import Reader
from collector.store.trace_points import read_points
from collector.store.values import TracePoints, TraceQuery, Window
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import MINUTE_NS, NOON, Span
from tests.store.test_reader import NOW, commit, learn

HOUR = Window(NOON, NOON + 60 * MINUTE_NS)
NEVER_S = 60.0


@pytest.fixture
def reader(store: Store) -> Reader:
    return Reader(store)


def many(number: int) -> list[LearnedTrace]:
    """Traces over the whole hour, of which a few failed, a few took long, and every other one is of `pay`."""
    chance = random.Random(7)
    return [
        LearnedTrace(
            n,
            start=NOON + chance.randrange(60 * MINUTE_NS),
            duration_ns=100_000 + n if n % 500 == 0 else chance.randrange(100, 200),
            journey="pay" if n % 2 else "browse",
            failed=n % 200 == 1,
        )
        for n in range(1, number + 1)
    ]


def points(reader: Reader, query: TraceQuery) -> TracePoints:
    found = reader.points(query, NEVER_S)
    assert found is not None
    return found


def test_few_traces_are_all_there_whatever_the_list_is_limited_to(store: Store, reader: Reader) -> None:
    traces = many(40)
    learn(store, traces)

    found = points(reader, TraceQuery(HOUR, "pay", limit=3))

    assert {(p.trace_id, p.start_unix_nano, p.duration_ns, p.failed, p.journey) for p in found.points} == {
        (t.hex_id, t.start, t.duration_ns, t.failed, "pay") for t in traces if t.journey == "pay"
    }
    assert (found.sampled, found.of_about) == (20, 20)


def test_of_many_a_sample_is_spread_over_the_whole_range_and_says_of_how_many(store: Store, reader: Reader) -> None:
    traces = many(4_000)
    learn(store, traces)

    found = points(reader, TraceQuery(HOUR))

    sample = found.points[: found.sampled]
    assert found.sampled == trace_points.SAMPLE
    assert found.of_about == pytest.approx(4_000, rel=0.15)
    by_quarter = [
        sum(p.start_unix_nano // (15 * MINUTE_NS) == NOON // (15 * MINUTE_NS) + i for p in sample) for i in range(4)
    ]
    assert all(70 < there < 130 for there in by_quarter), by_quarter
    assert len({p.trace_id for p in found.points}) == len(found.points)


def test_the_failed_and_the_slowest_are_beside_the_sample(store: Store, reader: Reader) -> None:
    traces = many(4_000)
    learn(store, traces)

    drawn = {p.trace_id for p in points(reader, TraceQuery(HOUR)).points}

    assert {t.hex_id for t in traces if t.failed} <= drawn
    assert {t.hex_id for t in traces if t.duration_ns > 100_000} <= drawn


def test_what_is_asked_of_spans_is_looked_for_once(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_points, "SAMPLE", 5)
    traces = many(60)
    zones = {t.trace_id: "a" if t.trace_id % 4 else "b" for t in traces}
    commit(store, [Span(t.trace_id, span_id=1, start=t.start, attributes={"zone": zones[t.trace_id]}) for t in traces])
    learn(store, traces)

    found = points(reader, TraceQuery(HOUR, attributes=(("zone", "b"),)))

    there = {t.hex_id for t in traces if t.trace_id % 4 == 0}
    assert {p.trace_id for p in found.points} < there
    assert len(found.points) == found.sampled == 5
    assert 5 <= found.of_about < 60


def test_a_trace_that_was_analyzed_again_is_one_point_as_it_is_now(store: Store, reader: Reader) -> None:
    derived, trace = Derived(store), LearnedTrace(1, start=NOON, duration_ns=5, journey="pay")
    for version in (3, 1, 2):
        derived.write(learned([replace(trace, duration_ns=version)], NOW + version))

    found = points(reader, TraceQuery(HOUR))

    assert [p.duration_ns for p in found.points] == [3]
    assert found.of_about == 1


def test_a_picture_that_takes_too_long_is_none(store: Store, reader: Reader) -> None:
    learn(store, many(10))
    moments = iter((0.0, 0.3))

    with store.client() as client:
        assert read_points(client, CallPaths(), TraceQuery(HOUR), 0.3, lambda: next(moments)) is None


def test_an_engine_that_is_stopped_in_time_raises_nothing_and_answers_the_next_question(
    store: Store, reader: Reader
) -> None:
    learn(store, many(4_000))

    for _ in range(5):
        assert reader.points(TraceQuery(HOUR), budget_s=0.000_001) is None
        assert points(reader, TraceQuery(HOUR)).sampled == trace_points.SAMPLE
