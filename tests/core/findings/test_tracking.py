"""Findings over time: appearing, staying, clearing."""

from dataclasses import replace

import pytest

from collector.core.findings.model import STRUCTURE, Disproved, Fact, Finding
from collector.core.findings.tracking import CLEARS_AFTER_NS, FORGOTTEN_AFTER_NS, Tracked, track

NOW = Finding("budget burning", "buy", "availability", "buy fails", "look", "shop")
STRUCTURAL = Finding("hidden mandatory", "buy", "7", "shop fails with pricing", "fix it", "shop")


def opened(finding: Finding, at: int = 1_000) -> dict[str, Tracked]:
    return dict(track({}, [finding], at).tracked)


def test_what_a_rule_sees_is_open_at_once():
    update = track({}, [NOW], 1_000)

    (one,) = update.opened
    assert (one.since_unix_nano, one.is_open, update.cleared) == (1_000, True, ())


def test_what_is_seen_again_is_the_same_finding_with_new_figures():
    again = replace(NOW, facts=(Fact("calls", 7, "count"),))

    update = track(opened(NOW), [again], 2_000)

    assert update.opened == update.cleared == ()
    assert update.tracked[NOW.id].finding == again
    assert (update.tracked[NOW.id].since_unix_nano, update.tracked[NOW.id].seen_unix_nano) == (1_000, 2_000)
    assert [one.finding for one in update.changed] == [again]


def test_a_finding_about_now_clears_when_it_is_over_for_two_minutes_and_not_before():
    soon = track(opened(NOW), [], 1_000 + CLEARS_AFTER_NS - 1)
    later = track(soon.tracked, [], 1_000 + CLEARS_AFTER_NS)

    assert soon.cleared == ()
    assert [one.finding.id for one in later.cleared] == [NOW.id]


def test_one_that_flickers_stays_open_and_is_told_once():
    tracked = opened(NOW)
    for minute in range(1, 10):
        update = track(tracked, [NOW] if minute % 2 else [], 1_000 + minute * 60 * 10**9)
        tracked = dict(update.tracked)
        assert update.opened == update.cleared == ()


def test_a_finding_about_structure_stays_while_nothing_is_seen():
    update = track(opened(STRUCTURAL), [], 1_000 + 100 * CLEARS_AFTER_NS)

    assert update.tracked[STRUCTURAL.id].is_open


def test_it_clears_when_it_is_disproved_and_says_why():
    word = Disproved("hidden mandatory", "buy", "7", "its failures are survived")

    update = track(opened(STRUCTURAL), [word], 5_000)

    (one,) = update.cleared
    assert (one.cleared_unix_nano, one.because) == (5_000, "its failures are survived")


def test_disproving_what_nobody_found_is_nothing():
    update = track({}, [Disproved("hidden mandatory", "buy", "7", "")], 1)

    assert (update.tracked, update.changed) == ({}, ())


@pytest.mark.parametrize("finding", [NOW, STRUCTURAL])
def test_one_that_comes_back_opens_anew(finding: Finding):
    word = Disproved(finding.kind, finding.journey, finding.subject, "gone")
    cleared = track(opened(finding), [word], 2_000).tracked

    update = track(cleared, [finding], 3_000)

    assert [one.since_unix_nano for one in update.opened] == [3_000]


def test_a_cleared_one_is_forgotten_after_a_week():
    cleared = track(opened(NOW), [], 1_000 + CLEARS_AFTER_NS).tracked

    assert NOW.id in cleared
    assert track(cleared, [], 1_001 + CLEARS_AFTER_NS + FORGOTTEN_AFTER_NS).tracked == {}


def test_examples_and_owner_outlive_a_round_that_does_not_bring_them():
    known = replace(NOW, owner="Payments", examples=("a" * 32,))

    update = track(opened(known), [NOW], 2_000)

    assert update.tracked[NOW.id].finding == known
    assert update.changed == ()


def test_kinds_are_about_now_or_about_structure():
    assert NOW.kind not in STRUCTURE
    assert STRUCTURAL.kind in STRUCTURE
