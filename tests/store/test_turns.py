"""One of several collectors works, the next takes over, and no clock but the server's counts."""

import pytest

from collector.core.shares import ALL, NONE
from collector.store.engine import Store, run
from collector.store.turns import CLAIMS, GONE_AFTER_S, TURNS, Turns, open_turns
from cpdd.testing import FakeClock


@pytest.fixture
def server(store: Store) -> Store:
    with store.client() as client:
        run(client, TURNS)
        run(client, CLAIMS)
    return store


def test_an_embedded_store_has_one_process_and_no_line(store: Store) -> None:
    turns = open_turns(store)

    assert (turns is None) == store.embedded


def test_who_came_first_has_the_turn(server: Store) -> None:
    first, second = Turns(server), Turns(server)
    for turns in (first, second, first):
        turns.beat()

    assert (first.mine, second.mine) == (True, False)


def test_who_leaves_hands_over_at_once(server: Store) -> None:
    first, second = Turns(server), Turns(server)
    for turns in (first, second):
        turns.beat()

    first.leave()
    second.beat()

    assert (first.mine, second.mine) == (False, True)


def test_who_falls_silent_is_replaced_and_comes_back_at_the_end_of_the_line(server: Store) -> None:
    clock = FakeClock()
    first, second = Turns(server, steady_s=clock.now_s), Turns(server, steady_s=clock.now_s)
    for turns in (first, second):
        turns.beat()
    age(server, first)
    clock.advance(s=GONE_AFTER_S)

    was_mine = first.mine
    second.beat()
    taken = second.mine
    first.beat()

    assert (was_mine, taken) == (False, True)
    assert (first.mine, second.mine) == (False, True)


def test_a_beat_is_valid_for_half_of_the_time_after_which_the_next_takes_over(server: Store) -> None:
    clock = FakeClock()
    turns = Turns(server, steady_s=clock.now_s)
    turns.beat()

    clock.advance(s=GONE_AFTER_S / 2 - 0.1)
    before = turns.mine
    clock.advance(s=0.1)

    assert (before, turns.mine) == (True, False)


def test_a_dead_one_that_was_seen_in_the_future_does_not_hold_the_turn(server: Store) -> None:
    dead, living = Turns(server), Turns(server)
    dead.beat()
    age(server, dead, by_s=-3600)

    living.beat()

    assert living.mine


def test_who_is_alone_has_all_shares_at_once_and_who_comes_later_gets_half_when_work_on_it_has_stopped(
    server: Store,
) -> None:
    first, second = Turns(server), Turns(server)
    for turns in (first, first, second, first, second):
        turns.beat()
        turns.take() if turns is first and first.shares == ALL else None
    before = (len(first.shares), second.shares)  # the first one's work has not stopped

    first.take()
    for turns in (first, second, second):
        turns.beat()

    assert before == (8, NONE)
    assert first.shares | second.shares == ALL
    assert not first.shares & second.shares


def test_who_leaves_gives_its_shares_to_those_that_stay(server: Store) -> None:
    first, second = Turns(server), Turns(server)
    for turns in (first, second, first, second, first, second):
        turns.beat()
        turns.take()

    first.take()
    first.leave()
    for _ in range(2):
        second.beat()

    assert (first.shares, second.shares) == (NONE, ALL)


def test_a_share_is_not_worked_on_behind_a_beat_that_is_not_valid_any_more(server: Store) -> None:
    clock = FakeClock()
    turns = Turns(server, steady_s=clock.now_s)
    for _ in range(2):
        turns.beat()
    before = turns.take()

    clock.advance(s=GONE_AFTER_S / 2)

    assert (before, turns.take()) == (ALL, NONE)


def age(store: Store, turns: Turns, by_s: int = 60) -> None:
    """Let the last beat be older, as if time had passed on the server."""
    with store.client() as client:
        run(
            client,
            "INSERT INTO turns SELECT Id, Beat + 1, JoinedAt, SeenAt - toIntervalSecond({by:Int32}), 0, Claims "
            "FROM turns FINAL WHERE Id = {id:String}",
            {"by": by_s, "id": turns.id},
        )
    turns._beat += 1
