"""What changed between two populations: sums that hold whatever the figures, and noise that raises no alarm."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.population import Population, compare
from collector.core.population.certainty import holm, normal_deviate, student_quantile
from tests.core.population.made import MadeTrace, made

OWN = ("cart", "get")
ROOT = ("shop", "buy")
WAY = ("shop", "buy", "cart", "get")
MS = 1_000_000

times = st.dictionaries(st.sampled_from([OWN, ROOT, WAY, ("pay", "post")]), st.integers(0, 10**9), min_size=1)
some_traces = st.lists(
    st.builds(
        MadeTrace,
        times,
        weight=st.sampled_from([1.0, 1.0, 2.0, 100.0]),
        request=st.sampled_from([1, 1, 2, 3]),
        journey=st.sampled_from(["a", "b"]),
    ),
    min_size=1,
    max_size=12,
)


def drawn(seed: int, count: int, slow_way: float = 1.0, slow_work: float = 1.0, shift: int = 0) -> Population:
    """Traces with long tails: 20 ms of the root, about 3 ms of the way and 5 ms of work where cart is called."""
    random = np.random.default_rng(seed)
    traces = []
    for _ in range(count):
        spent: dict[tuple[str, ...], int] = {ROOT: int(20 * MS * random.lognormal(0, 0.5)) + shift}
        if random.random() < 0.7:
            spent[WAY] = int(3 * MS * slow_way * random.lognormal(0, 1))
            spent[OWN] = int(5 * MS * slow_work * random.lognormal(0, 1))
        traces.append(MadeTrace(spent))  # type: ignore[arg-type]
    return made(traces)


@given(some_traces, some_traces)
@settings(max_examples=40)
def test_the_changes_and_the_mix_add_up_to_the_difference_of_the_means(a, b):
    one, two = made(a), made(b)

    difference = compare(one, two)

    scale = max(one.duration_ns.max(), two.duration_ns.max(), 1)
    parts = sum(change.figures.delta_ns for change in difference.changes)
    assert parts == pytest.approx(difference.delta_ns, abs=1e-9 * scale)
    means = difference.b.mean_ns - difference.a.mean_ns
    assert difference.delta_ns + difference.mix_ns == pytest.approx(means, abs=1e-9 * scale)
    services = sum(service.figures.delta_ns for service in difference.services)
    assert services == pytest.approx(parts, abs=1e-9 * scale)
    json.loads(json.dumps(difference.to_json(), allow_nan=True).replace("NaN", "broken"))


@given(some_traces)
@settings(max_examples=50)
def test_a_population_does_not_differ_from_itself(traces):
    difference = compare(made(traces), made(traces))

    assert difference.is_quiet
    assert difference.delta_ns == pytest.approx(0, abs=1e-3)


def test_a_slow_way_is_told_from_slow_work():
    difference = compare(drawn(1, 300), drawn(2, 300, slow_way=4))

    first = difference.changes[0]
    assert first.part.is_gap
    assert first.figures.significant
    assert first.figures.factor == pytest.approx(4, rel=0.3)
    assert not any(change.figures.significant for change in difference.changes if not change.part.is_gap)


def test_slow_work_is_told_from_a_slow_way():
    difference = compare(drawn(1, 300), drawn(2, 300, slow_work=4))

    assert [c.part.what for c in difference.changes if c.figures.significant] == ["self"]


def test_the_interval_of_a_change_holds_the_truth_about_as_often_as_it_says():
    held = 0
    for seed in range(100):
        figures = {c.part.what: c.figures for c in compare(drawn(2 * seed, 200), drawn(2 * seed + 1, 200, 2)).changes}
        truth = 0.7 * 3 * MS * np.exp(0.5)
        low, high = figures["gap"].interval_ns
        held += low <= truth <= high

    assert 88 <= held <= 100


def test_alike_populations_are_quiet():
    alarms = sum(not compare(drawn(2 * seed, 60), drawn(2 * seed + 1, 90)).is_quiet for seed in range(100))

    assert alarms <= 3


def test_other_requests_are_told_from_slower_ones():
    cheap, dear = {ROOT: 10 * MS}, {ROOT: 100 * MS}
    a = made([MadeTrace(cheap, request=1)] * 90 + [MadeTrace(dear, request=2)] * 10)
    b = made([MadeTrace(cheap, request=1)] * 10 + [MadeTrace(dear, request=2)] * 90)

    difference = compare(a, b)

    assert difference.is_quiet
    assert difference.delta_ns == 0
    assert difference.mix_ns == pytest.approx(0.8 * 90 * MS)


def test_what_is_new_in_every_request_is_compared_all_the_same():
    a = made([MadeTrace({ROOT: (10 + i % 3) * MS}, request=1) for i in range(50)])
    b = made([MadeTrace({ROOT: (10 + i % 3) * MS, OWN: (4 + i % 2) * MS}, request=2) for i in range(50)])

    difference = compare(a, b)

    assert difference.changes[0].part.operation == "get"
    assert difference.changes[0].figures.significant
    assert difference.changes[0].figures.there_ns[0] == 0


def test_one_trace_on_each_side_gives_figures_and_no_certainty():
    difference = compare(made([MadeTrace({ROOT: 10})]), made([MadeTrace({ROOT: 30})]))

    assert difference.delta_ns == 20
    assert difference.is_quiet
    assert difference.to_json()["interval_ns"] is None


def test_a_sampled_trace_counts_as_often_as_it_stands_for():
    a = made([MadeTrace({ROOT: 10}, weight=3.0), MadeTrace({ROOT: 50})])

    assert compare(a, a).a.mean_ns == 20


def test_a_population_without_traces_is_refused():
    with pytest.raises(ValueError, match="without traces"):
        compare(made([]), made([MadeTrace({ROOT: 10})]))


@pytest.mark.parametrize(("freedom", "t"), [(3.0, 3.182), (10.0, 2.228), (30.0, 2.042), (1e6, 1.960)])
def test_student_is_within_a_percent_of_the_tables(freedom, t):
    assert normal_deviate(np.array([t]), np.array([freedom]))[0] == pytest.approx(1.96, rel=0.02)
    assert student_quantile(np.array([freedom]))[0] == pytest.approx(t, rel=0.03)


def test_holm_rejects_what_bonferroni_does_and_no_more_than_each_alone():
    p = np.array([0.5, 0.0001, 0.012, 0.03])

    assert holm(p, 0.05).tolist() == [False, True, True, False]
    assert holm(np.empty(0), 0.05).tolist() == []
