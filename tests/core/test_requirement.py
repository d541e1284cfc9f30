"""The verdict on an edge: mandatory, optional, mixed or undetermined."""

from dataclasses import replace

import pytest

from collector.core.requirement import (
    MANDATORY,
    MIXED,
    OPTIONAL,
    UNDETERMINED,
    Baseline,
    Evidence,
    Share,
    judge,
    prefer_current,
)
from tests.core.simulate_requirement import (
    TRUTH,
    WORLDS,
    Tally,
    judge_clean_failures,
    judge_counts,
    judge_traces,
)
from tests.core.worlds import TESTED


def trials(count: int, well: int, weight: float = 1.0) -> Share:
    return Share(count * weight, well * weight, count * weight**2)


CALM = trials(1000, 999)


def test_callers_that_never_survive_make_the_edge_mandatory():
    assert judge(Evidence(trials(30, 0), CALM)).verdict == MANDATORY


def test_callers_that_always_survive_make_the_edge_optional():
    assert judge(Evidence(trials(30, 30), CALM)).verdict == OPTIONAL


def test_callers_that_survive_half_the_time_make_it_mixed():
    verdict = judge(Evidence(trials(200, 100), CALM))

    assert verdict.verdict == MIXED
    assert verdict.survival == pytest.approx(0.5, abs=0.01)


def test_a_few_failures_decide_nothing_and_say_how_many_more_would():
    few = judge(Evidence(trials(5, 0), CALM))

    more = judge(Evidence(trials(5 + few.needed, 0), CALM))

    assert few.verdict == UNDETERMINED
    assert more.verdict == MANDATORY
    assert judge(Evidence(trials(5 + few.needed - 1, 0), CALM)).verdict == UNDETERMINED


def test_one_trace_kept_at_one_percent_is_one_witness():
    assert judge(Evidence(trials(2, 0, weight=100.0), CALM)).verdict == UNDETERMINED


def test_survival_is_measured_against_callers_that_often_fail_by_themselves():
    shaky = trials(1000, 500)

    verdict = judge(Evidence(trials(400, 200), shaky))

    assert verdict.survival == 1.0


def test_without_any_status_nothing_is_said():
    verdict = judge(Evidence(trials(0, 0), CALM, status_known=False))

    assert (verdict.verdict, verdict.survival, verdict.why) == (UNDETERMINED, None, "no status recorded")


def test_failures_that_are_all_kept_do_not_outvote_survivors_that_mostly_are_not():
    dead, survivors = 40, 1
    seen = Share(dead + 100.0 * survivors, 100.0 * survivors, dead + 100.0**2 * survivors, 100.0**2 * survivors)

    assert judge(Evidence(seen, CALM)).verdict == UNDETERMINED


def test_dead_callers_alone_prove_nothing_where_a_survivor_would_hardly_have_been_kept():
    dead = trials(40, 0)

    assert judge(Evidence(dead, CALM, survivor_ratio=100.0)).verdict == UNDETERMINED
    assert judge(Evidence(dead, CALM, survivor_ratio=1.0)).verdict == MANDATORY


def test_callers_are_compared_with_others_of_the_same_minutes():
    half = trials(200, 100)
    bad_minutes = Baseline(weight=200.0, well=100.0, squares=200.0)

    assert judge(Evidence(half, CALM)).verdict == MIXED
    assert judge(Evidence(half, CALM, baseline=bad_minutes)).survival == 1.0


def test_a_version_that_decides_counts_alone_and_one_that_contradicts_the_past_too():
    history = Evidence(trials(500, 0), CALM)

    assert prefer_current(Evidence(trials(40, 40), CALM), history)
    assert prefer_current(Evidence(trials(6, 6), CALM), history)
    assert not prefer_current(Evidence(trials(6, 0), CALM), history)
    assert not prefer_current(Evidence(trials(0, 0), CALM), history)


def test_verdicts_on_counts_are_right_whatever_was_sampled():
    for tally in judge_counts(range(3)).values():
        assert tally.wrong == 0


def test_enough_clean_failures_decide_in_nine_of_ten_seeds():
    for tally in judge_clean_failures(range(60), (0.0, 0.001)).values():
        assert (tally.wrong, tally.share_right >= 0.9) == (0, True)


@pytest.mark.parametrize("name", WORLDS)
def test_verdicts_on_traces_are_right_where_innocent_calls_look_guilty(name):
    tally = Tally()
    for seed, survival in enumerate((0.0, 0.5, 1.0)):
        verdicts = judge_traces(replace(WORLDS[name], survival=survival), 1_000, seed)
        tally.add(verdicts[TESTED], TRUTH[survival])
        tally.add(verdicts["tips"], OPTIONAL)
        tally.add(verdicts["stock"], MANDATORY)

    assert tally.wrong == 0
    assert tally.right > 0
