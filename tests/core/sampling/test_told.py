"""Traces of clients that write no `th` count by what their service was told; those that lost theirs are marked."""

import numpy as np

from collector.core.analysis import Learned, analyze_traces
from collector.core.flags import UNWEIGHTED
from collector.core.sampling.told import KEPT_NS, SILENT_NS, Told
from cpdd.sampling.jaeger import Strategy
from tests.core.drawing import read_trace

SECOND_NS = 1_000_000_000
EPOCH_NS = 1_700_000_000 * SECOND_NS
TRACE = 'shop/GET 0-10 server; stock/reserve 2-5 server in "shop/GET"'


def learned_at(seconds: int, told: Told, ot: str = "") -> Learned:
    """One trace that begins so many seconds after the epoch of these tests."""
    batch = read_trace(TRACE)
    shift = EPOCH_NS + seconds * SECOND_NS - int(batch.start_time_unix_nano.min())
    batch.start_time_unix_nano[:] += shift
    batch.end_time_unix_nano[:] += shift
    return analyze_traces(batch, (ot,) * len(batch), 1, 0, told=told)


def weight_at(seconds: int, told: Told, ot: str = "") -> float:
    return float(np.asarray(learned_at(seconds, told, ot).traces["Weight"])[0])


def at(seconds: int) -> int:
    return EPOCH_NS + seconds * SECOND_NS


def test_a_trace_without_th_counts_by_what_its_service_was_told_when_it_began():
    told = Told()
    told.note("shop", Strategy(0.1, {"GET": 0.5}), at(0))
    told.note("shop", Strategy(0.1, {"GET": 0.25}), at(60))
    told.note("shop", Strategy(0.1), at(120))

    assert [weight_at(second, told) for second in (-1, 0, 59, 60, 130)] == [1.0, 2.0, 2.0, 4.0, 10.0]


def test_what_a_trace_says_itself_counts():
    told = Told()
    told.note("shop", Strategy(0.1), at(0))

    assert weight_at(1, told, "th:8") == 2.0
    assert weight_at(1, told, "th:0") == 1.0


def test_only_the_service_that_begins_the_trace_is_asked():
    told = Told()
    told.note("stock", Strategy(0.1), at(0))

    assert weight_at(1, told) == 1.0


def test_who_asks_no_more_is_taken_to_sample_by_something_else_and_old_answers_are_forgotten():
    told = Told()
    for minute in range(200):
        told.note("shop", Strategy(1 / (2 + minute)), at(60 * minute))

    assert told.rate("shop", "GET", at(60 * 199) + SILENT_NS) is None
    assert told.rate("shop", "GET", at(60 * 199)) == 1 / 201
    assert told.rate("shop", "GET", at(60 * 198) - KEPT_NS) is None


def test_what_was_written_down_is_known_to_the_next_process_as_to_this_one():
    before, after = Told(), Told()
    before.note("shop", Strategy(0.5), at(0))
    before.note("shop", Strategy(0.1, {"GET": 0.25}), at(60))
    written = before.take_unsaved()
    for second in range(60, 900, 10):
        before.note("shop", Strategy(0.1, {"GET": 0.25}), at(second))
    said_again = before.take_unsaved()

    after.restore(written)
    after.restore(said_again)

    assert [answer.at_ns for answer in written] == [at(0), at(60)]
    assert [answer.at_ns for answer in said_again] == [at(360), at(660)], "as often as is needed to see who still asks"
    seconds = (-1, 0, 59, 60, 890, 1_250)
    assert [weight_at(second, after) for second in seconds] == [weight_at(second, before) for second in seconds]
    assert before.take_unsaved() == []


def test_answers_of_another_collector_find_their_place_in_time_and_none_is_lost_that_could_not_be_written():
    told, other = Told(), Told()
    told.note("shop", Strategy(0.5), at(0))
    told.note("shop", Strategy(0.1), at(60))
    other.note("shop", Strategy(0.25), at(30))

    told.restore(other.take_unsaved())
    unwritten = told.take_unsaved()
    told.note("shop", Strategy(0.2), at(90))
    told.put_back(unwritten)

    assert [told.rate("shop", "GET", at(second)) for second in (29, 30, 60, 90)] == [0.5, 0.25, 0.1, 0.2]
    assert [answer.strategy.probability for answer in told.take_unsaved()] == [0.5, 0.1, 0.2], "each writes its own"


def test_a_trace_that_lost_its_weight_on_the_way_is_marked_and_its_service_named():
    told = Told()
    told.note_dropping("shop", at(0))

    lost, whole, other = learned_at(1, told), learned_at(1, told, "th:8"), learned_at(1, Told())

    flags = [int(np.asarray(learned.traces["Flags"])[0]) & UNWEIGHTED for learned in (lost, whole, other)]
    assert flags == [UNWEIGHTED, 0, 0]
    assert told.unweighted(at(2)) == ["shop"]
    assert told.unweighted(at(2) + SILENT_NS) == []
