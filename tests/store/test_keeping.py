"""Interesting traces outlive the others, pinned ones stay until they are released."""

import pytest

from collector.store.derived import Derived
from collector.store.engine import Store, run
from collector.store.keeping import EACH, EXAMPLE, PINNED, PINNED_UNTIL_S, Choice, Keeping
from collector.store.pins import Pins
from collector.store.reader import Reader
from collector.store.schema import Retention
from collector.store.values import KeptLonger, TraceQuery, Window
from tests.store.conftest import Place
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import MINUTE_NS, NOON, Span
from tests.store.test_derived import NOW, commit

embedded = pytest.mark.parametrize("engine", ["embedded"], indirect=True)
"""Where both engines were tried and time is short."""

UNTIL_S = NOW // 10**9 // 86_400 * 86_400 + 30 * 86_400
CALL = (("shop", "POST /checkout"), ("stock", "GET /"))
RARE = (("shop", "POST /checkout"), ("audit", "GET /"))


def store_traces(store: Store, *traces: LearnedTrace) -> None:
    """Two spans a trace, and its row."""
    spans = [Span(trace.trace_id, number, start=NOON + number) for trace in traces for number in (1, 2)]
    commit(store, spans)
    Derived(store).write(learned(traces, NOW))


def forget_ordinary(store: Store) -> None:
    """Drop what is past its time, as the engine does by and by."""
    with store.client() as client:
        run(client, "TRUNCATE TABLE otel_traces")
        run(client, "TRUNCATE TABLE otel_traces_trace_id_ts")
        run(client, "ALTER TABLE traces DELETE WHERE KeptUntil < now() SETTINGS mutations_sync = 1")
        run(client, "OPTIMIZE TABLE traces FINAL")


def spans_of(store: Store, trace_id: int) -> int:
    found = Reader(store).trace(f"{trace_id:032x}")
    return len(found.batch) if found else 0


@embedded
def test_of_a_journey_failed_slowest_and_rare_traces_are_chosen(store: Store) -> None:
    ordinary = [LearnedTrace(number, duration_ns=100 + number, edges={CALL: {"Calls": 1}}) for number in range(1, 20)]
    rare = LearnedTrace(30, duration_ns=1, edges={CALL: {"Calls": 1}, RARE: {"Calls": 1}})
    failed = LearnedTrace(40, duration_ns=1, failed=True)
    elsewhere = LearnedTrace(50, duration_ns=1, journey="browse")
    Derived(store).write(learned([*ordinary, rare, failed, elsewhere], NOW))

    chosen = Keeping(store).interesting(NOW - 1, NOW)

    slow = {int(choice.trace_id, 16) for choice in chosen if choice.reason == "slow"}
    assert slow == {19, 18, 17, 50}
    assert len(slow) == EACH + 1
    assert [int(choice.trace_id, 16) for choice in chosen if choice.reason == "failed"] == [40]
    assert 30 in {int(choice.trace_id, 16) for choice in chosen if choice.reason == "path"}
    assert Keeping(store).interesting(NOW, NOW + 1) == []


def test_a_kept_trace_can_be_found_and_read_when_the_others_are_gone(store: Store) -> None:
    store_traces(store, LearnedTrace(1), LearnedTrace(2))

    new = Keeping(store).keep([Choice(f"{1:032x}", "slow", NOW)], UNTIL_S)
    before = spans_of(store, 1)
    forget_ordinary(store)

    found = Reader(store).find(TraceQuery(Window(NOON - MINUTE_NS, NOON + MINUTE_NS)))
    assert new == 1
    assert before == 2
    assert (spans_of(store, 1), spans_of(store, 2)) == (2, 0)
    copied = Reader(store).stored(f"{1:032x}")
    assert copied is not None
    assert len(copied.spans.batch) == 2
    assert copied.kept_longer == KeptLonger(UNTIL_S * 1_000_000_000, ("slow",))
    assert [trace.trace_id for trace in found] == [f"{1:032x}"]
    assert Reader(store).outcome(f"{1:032x}") is not None


def test_a_kept_trace_is_shown_whole_before_it_is_marked_as_kept_again(store: Store) -> None:
    store_traces(store, LearnedTrace(1))
    Keeping(store).keep([Choice(f"{1:032x}", "slow", NOW)], UNTIL_S)
    forget_ordinary(store)
    commit(store, [Span(1, 3, start=NOON + 3)])
    path = {(("shop", f"step {number}"),): 1 for number in range(3)}
    Derived(store).write(learned([LearnedTrace(1, path=path)], NOW + 100))

    shown = Reader(store).stored(f"{1:032x}")

    assert shown is not None
    assert len(shown.spans.batch) == 3
    assert shown.kept_longer is not None


def test_a_kept_trace_of_which_a_part_is_gone_is_shown_with_its_outcome(store: Store) -> None:
    late = 10 * MINUTE_NS
    commit(store, [Span(1, 1)], [Span(1, 2, start=NOON + late, end=NOON + late + 1)])
    Derived(store).write(learned([LearnedTrace(1)], NOW))
    Keeping(store).keep([Choice(f"{1:032x}", "slow", NOW)], UNTIL_S)
    with store.client() as client:
        for table, column in (("otel_traces", "Timestamp"), ("otel_traces_trace_id_ts", "Start")):
            gone = f"{column} < fromUnixTimestamp64Nano({NOON + late // 2})"
            run(client, f"ALTER TABLE {table} DELETE WHERE {gone} SETTINGS mutations_sync = 1")

    shown = Reader(store).stored(f"{1:032x}")

    assert shown is not None
    assert len(shown.spans.batch) == 2
    assert shown.outcome is not None


@embedded
def test_keeping_twice_copies_once_and_keeps_late_spans(store: Store) -> None:
    store_traces(store, LearnedTrace(1))
    keeping, choice = Keeping(store), Choice(f"{1:032x}", "slow", NOW)

    keeping.keep([choice], UNTIL_S)
    commit(store, [Span(1, 3)])
    again = keeping.keep([choice], UNTIL_S)

    with store.client() as client:
        assert client.query("SELECT count() FROM kept_spans").result_rows == [(3,)]
    assert again == 0
    assert spans_of(store, 1) == 3


@embedded
def test_a_kept_trace_that_is_analyzed_anew_is_chosen_again(store: Store) -> None:
    store_traces(store, LearnedTrace(1))
    keeping = Keeping(store)
    keeping.keep([Choice(f"{1:032x}", "slow", NOW)], UNTIL_S)

    Derived(store).write(learned([LearnedTrace(1)], NOW + 100))

    assert "again" in {choice.reason for choice in keeping.interesting(NOW + 50, NOW + 200)}


def test_a_pinned_trace_stays_until_it_is_released(store: Store) -> None:
    store_traces(store, LearnedTrace(1), LearnedTrace(2))
    pins, keeping = Pins(store), Keeping(store)
    pins.pin(f"{1:032x}", "ada", "INC-42")
    pins.pin(f"{9:032x}", "ada", "has not arrived yet")

    pinned = keeping.keep_pinned()
    forget_ordinary(store)
    while_pinned = spans_of(store, 1)
    released = pins.release(f"{1:032x}")
    keeping.keep_pinned()

    assert pinned == 2
    assert while_pinned == 2
    assert released
    assert spans_of(store, 1) == 0
    assert [pin.trace_id for pin in pins.pinned()] == [f"{9:032x}"]


@embedded
def test_a_pin_survives_an_analysis_and_leaves_what_is_kept_for_another_reason(store: Store) -> None:
    def kept_until() -> list[tuple[int]]:
        with store.client() as client:
            return list(client.query("SELECT toUnixTimestamp(KeptUntil) FROM traces FINAL").result_rows)

    store_traces(store, LearnedTrace(1))
    pins, keeping = Pins(store), Keeping(store)
    keeping.keep([Choice(f"{1:032x}", EXAMPLE, NOW)], UNTIL_S)
    pins.pin(f"{1:032x}", "ada")
    keeping.keep_pinned()
    Derived(store).write(learned([LearnedTrace(1)], NOW + 100))

    keeping.keep_pinned()
    pinned = kept_until()
    pins.release(f"{1:032x}")
    keeping.keep_pinned()
    forget_ordinary(store)

    assert pinned == [(PINNED_UNTIL_S,)]
    assert kept_until() == [(UNTIL_S,)]
    assert spans_of(store, 1) == 2


@embedded
def test_a_pin_can_be_released_after_the_clock_was_set_back(store: Store) -> None:
    Pins(store, lambda: NOW).pin("a" * 32, "ann")

    released = Pins(store, lambda: NOW - 3_600 * 10**9).release("a" * 32)

    assert released
    assert Pins(store).pinned() == []


def test_releasing_what_is_not_pinned_says_so(store: Store) -> None:
    assert not Pins(store).release(f"{1:032x}")


@embedded
def test_a_row_lives_as_long_as_the_longer_of_its_two_times(place: Place) -> None:
    with place.open(retention=Retention()) as store:
        Derived(store).write(learned([LearnedTrace(1), LearnedTrace(2)], 10**9))  # written in 1970
        with store.client() as client:
            run(client, "ALTER TABLE traces MODIFY SETTING merge_with_ttl_timeout = 0")
            run(client, "OPTIMIZE TABLE traces FINAL")
            gone = client.query("SELECT count() FROM traces").result_rows
        Derived(store).write(learned([LearnedTrace(1), LearnedTrace(2)], NOW))
        commit(store, [Span(1, 1)])

        Keeping(store).keep([Choice(f"{1:032x}", PINNED, 0)], PINNED_UNTIL_S)

        with store.client() as client:
            run(client, "ALTER TABLE traces MODIFY TTL greatest(toDateTime(1), KeptUntil)")
            run(client, "OPTIMIZE TABLE traces FINAL")
            left = client.query("SELECT TraceId FROM traces").result_rows
    assert gone == [(0,)]
    assert left == [(f"{1:032x}",)]
