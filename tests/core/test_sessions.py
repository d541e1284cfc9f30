"""Journeys of several steps: sessions joined by their key, drawn as text."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from collector.core.journeys import Journey
from collector.core.sessions import StepKept, Try, Whole, join_sessions

MINUTE_NS = 60 * 10**9
BUY = Journey("buy", steps=("cart", "pay", "confirm"), availability=0.99)
LATER = 1_000 * MINUTE_NS


def tries(text: str) -> list[Try]:
    """`7: 0 cart ok, 1 pay failed` a line: session, then minutes, steps and how they ended."""
    found = []
    for line in text.strip().splitlines():
        session, _, rest = line.strip().partition(":")
        for each in rest.split(","):
            minute, step, end = each.split()
            trace_id = f"{session}-{minute}"
            found.append(Try(session, step, int(minute) * MINUTE_NS, end == "failed", trace_id))
    return found


def whole(text: str, now_unix_nano: int = LATER) -> Whole:
    return join_sessions(BUY, tries(text), now_unix_nano)


def test_a_session_is_kept_where_each_step_that_was_tried_ended_well_at_last():
    found = whole(
        """
        1: 0 cart ok, 1 pay failed, 2 pay ok, 3 confirm ok
        2: 0 cart ok, 1 pay failed
        3: 0 cart ok
        """
    )

    assert (found.sessions, found.kept, found.completed) == (3, 2, 1)
    assert found.steps == (StepKept("cart", 3, 3), StepKept("pay", 2, 1), StepKept("confirm", 1, 1))
    assert found.worst == StepKept("pay", 2, 1)
    assert found.examples == ("2-1",)
    assert found.availability.share == pytest.approx(2 / 3)


def test_what_comes_under_a_key_after_it_was_quiet_is_another_session():
    found = whole("1: 0 cart failed, 31 cart ok, 61 pay ok")

    assert (found.sessions, found.kept) == (2, 1)


def test_a_session_that_may_go_on_is_not_counted_yet():
    text = "1: 0 cart failed\n2: 20 cart ok"

    assert (whole(text, 29 * MINUTE_NS).sessions, whole(text, 30 * MINUTE_NS).sessions) == (0, 1)
    assert whole(text, 30 * MINUTE_NS).unfinished == 1


def test_a_session_with_a_trace_that_stands_for_others_is_not_counted():
    of_sampled = [Try("1", "cart", 0, True, "a"), Try("1", "pay", 1, False, "b", weight=10.0)]

    found = join_sessions(BUY, of_sampled, LATER)

    assert (found.sessions, found.sampled) == (0, 1)


def test_sessions_are_counted_in_the_minute_in_which_they_were_over():
    counts = whole("1: 0 cart ok\n2: 0 cart failed\n3: 5 cart failed").counts

    assert (counts.start_s.tolist(), counts.total.tolist(), counts.bad.tolist()) == ([1800, 2100], [2, 1], [1, 1])


def test_without_sessions_nothing_is_known():
    found = join_sessions(BUY, [], LATER)

    assert (found.sessions, found.worst, found.examples, len(found.counts.start_s)) == (0, None, (), 0)
    assert found.availability.high == 1.0


@given(
    st.lists(
        st.builds(
            Try, st.sampled_from("ab"), st.sampled_from(BUY.steps), st.integers(0, 100).map(MINUTE_NS.__mul__),
            st.booleans(), st.uuids().map(str), st.sampled_from([1.0, 2.0]),
        ),
        max_size=12,
    ),
    st.randoms(),
)  # fmt: skip
def test_the_order_of_tries_changes_nothing_and_each_session_is_one_thing(made, dice):
    shuffled = list(made)
    dice.shuffle(shuffled)

    one, other = join_sessions(BUY, made, LATER), join_sessions(BUY, shuffled, LATER)

    assert (one.sessions, one.kept, one.completed, one.sampled, one.steps, one.examples) == (
        other.sessions, other.kept, other.completed, other.sampled, other.steps, other.examples,
    )  # fmt: skip
    assert one.completed <= one.kept <= one.sessions == int(one.counts.total.sum())
    assert one.sessions - one.kept == int(one.counts.bad.sum())
