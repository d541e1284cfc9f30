"""Whatever the traces are like, a report, a difference and a prediction can be told."""

import json

from hypothesis import given, settings

from collector.core.graph_build import dependency_graph
from collector.core.population import compare, population_of
from collector.core.population.report import report_on
from collector.core.population.whatif import WhatIf
from collector.core.population.wishes import Wish
from cpdd.cli._diff_text import diff_lines
from cpdd.cli._report_text import report_lines
from cpdd.cli._terminal import ASCII, Look
from cpdd.cli._whatif_text import prediction_lines, ranking_lines
from tests.core.drawing import make_batch
from tests.core.trace_strategies import Trace, batches
from ui.report import render_report

NARROW = Look(60, ASCII)


@given(batches())
@settings(max_examples=15)
def test_any_traces_make_a_report(drawn: Trace) -> None:
    batch = make_batch(drawn)

    report = report_on(population_of(batch), dependency_graph(batch), len(batch))

    assert report_lines(report, NARROW)
    assert "<script" not in render_report(report, "random", "now")
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert sum(journey["traces"] for journey in value["journeys"]) == value["traces"]


@given(batches(), batches())
@settings(max_examples=15)
def test_any_two_populations_can_be_compared(one: Trace, other: Trace) -> None:
    difference = compare(population_of(make_batch(one)), population_of(make_batch(other)))

    lines = diff_lines(difference, "one", "other", NARROW, all_rows=True)

    assert lines[0].plain
    json.dumps(difference.to_json(), allow_nan=False)


@given(batches())
@settings(max_examples=15)
def test_any_population_has_a_ranking_and_predictions(drawn: Trace) -> None:
    population = WhatIf(make_batch(drawn))
    ranking = population.rank()

    assert ranking_lines(ranking, population.mean_ns, len(population), NARROW)
    for candidate in ranking[:2]:
        part = candidate.part
        wish = Wish("text", f"{part.service}/{part.operation}", scale=2.0, shift_ns=-3.0)
        if wish.matches(part):
            prediction = population.predict([wish])
            assert prediction_lines(prediction, [wish], [population.saturation(wish)], NARROW)
            json.dumps(prediction.to_json(), allow_nan=False)
        assert 0 <= candidate.saturates_at <= 1
        assert candidate.halved_ns <= candidate.gone_ns + 1e-6
