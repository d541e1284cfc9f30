"""Laws of the critical path, on random traces with the defects of real ones.

The first law is that `explain` agrees with the slow, literal reading of the rules; the others hold by themselves.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from collector.core.explain import Explanation, PathNode, PathPolicy, Section, explain
from collector.core.spans import KIND_CLIENT, KIND_SERVER, SpanBatch, concatenate
from tests.core.drawing import DrawnSpan, links_of, make_batch, read_spans, read_trace
from tests.core.slow_path import RULE_FLAGS, slow_explain
from tests.core.trace_strategies import Trace, batches, traces

CLIP = PathPolicy(overflow="clip")
STRICT_CLOCKS = PathPolicy(max_skew_ns=30)
# Few random traces have what a test looks for, and a busy machine makes them slowly: neither is a fault.
PATIENT = (HealthCheck.too_slow, HealthCheck.filter_too_much)
many = settings(max_examples=5_000, suppress_health_check=PATIENT)
some = settings(max_examples=300, suppress_health_check=PATIENT)


# The judge


@some
@given(traces())
def test_fast_and_slow_agree_on_the_path_slack_and_drag(spans: Trace) -> None:
    batch = make_batch(spans)

    fast, slow = explain(batch), slow_explain(batch)

    assert paths(fast) == paths(slow)
    assert measures(fast) == measures(slow)


@pytest.mark.slow
@many
@given(traces())
def test_fast_and_slow_agree_on_thousands_of_traces(spans: Trace) -> None:
    test_fast_and_slow_agree_on_the_path_slack_and_drag.hypothesis.inner_test(spans)


@some
@given(traces(), st.sampled_from([CLIP, STRICT_CLOCKS]))
def test_fast_and_slow_agree_under_other_policies(spans: Trace, policy: PathPolicy) -> None:
    batch = make_batch(spans)

    assert paths(explain(batch, policy)) == paths(slow_explain(batch, policy))


@some
@given(traces(max_spans=8))
def test_fast_and_slow_agree_on_the_path_of_every_span(spans: Trace) -> None:
    batch = make_batch(spans)

    for node in slow_explain(batch)[0].nodes:
        fast, slow = explain(batch, target=node.id), slow_explain(batch, target=node.id)

        assert paths(fast) == paths(slow)
        assert measures(fast) == measures(slow)


@some
@given(traces(with_links=True))
def test_fast_and_slow_agree_on_the_whole_trace(spans: Trace) -> None:
    batch, links = make_batch(spans), links_of(spans)

    fast = explain(batch, target="trace", links=links)

    assert paths(fast) == paths(slow_explain(batch, target="trace", links=links))


@some
@given(batches())
def test_fast_and_slow_agree_on_interleaved_traces(spans: Trace) -> None:
    batch = make_batch(spans)

    assert paths(explain(batch)) == paths(slow_explain(batch))


# Conservation


@some
@given(traces(with_links=True), st.sampled_from(["root", "trace"]), st.sampled_from(["auto", "clip"]))
def test_sections_touch_and_sum_to_the_target(spans: Trace, target: str, overflow: str) -> None:
    explanations = explain(make_batch(spans), PathPolicy(overflow), target, links=links_of(spans))

    for explanation in explanations:
        end = explanation.target_start_unix_nano + explanation.target_duration_ns
        assert_fills(explanation.sections, explanation.target_start_unix_nano, end)
        assert sum(node.time_ns for node in explanation.nodes) == explanation.target_duration_ns


@some
@given(traces())
def test_fragments_are_filled_by_their_sections_too(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        for fragment in explanation.fragments:
            node = explanation.nodes[fragment.node]
            assert_fills(fragment.sections, node.start_unix_nano, node.end_unix_nano)


@some
@given(traces())
@example(Trace(read_spans("alone 5-5")))
def test_a_path_is_never_empty_without_a_flag_that_says_why(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        assert explanation.sections or explanation.flags


@some
@given(traces())
def test_no_span_has_time_outside_of_its_own(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        for section in explanation.sections:
            node = explanation.nodes[section.node]
            assert node.start_unix_nano <= section.start_unix_nano
            assert section.end_unix_nano <= node.end_unix_nano
            assert section.flags == node.flags


# Determinism


@some
@given(traces(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(spans: Trace, dice: random.Random) -> None:
    shuffled = list(spans)
    dice.shuffle(shuffled)

    assert everything(explain(make_batch(shuffled))) == everything(explain(make_batch(spans)))


@some
@given(traces(with_links=True), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_in_the_whole_trace(spans: Trace, dice: random.Random) -> None:
    shuffled = list(spans)
    dice.shuffle(shuffled)

    paths_of = [
        paths(explain(make_batch(rows), target="trace", links=links_of(rows))) for rows in (list(spans), shuffled)
    ]

    assert paths_of[0] == paths_of[1]


@some
@given(traces(), st.integers(1, 4))
def test_the_batches_in_which_rows_come_change_nothing(spans: Trace, size: int) -> None:
    parts = [make_batch(spans[at : at + size]) for at in range(0, len(spans), size)]

    assert everything(explain(concatenate(parts))) == everything(explain(make_batch(spans)))


@some
@given(batches())
def test_a_trace_is_explained_as_if_it_were_alone(spans: Trace) -> None:
    services = frozenset(span.service for span in spans)
    together = explain(make_batch(spans))

    alone = [
        explanation
        for number in dict.fromkeys(span.trace for span in spans)
        for explanation in explain(
            make_batch([span for span in spans if span.trace == number]), reporting_services=services
        )
    ]

    assert everything(together) == everything(alone)


@some
@given(traces())
def test_a_copy_of_any_row_changes_nothing(spans: Trace) -> None:
    copies = [*spans, *spans[::2]]

    assert everything(explain(make_batch(copies))) == everything(explain(make_batch(spans)))


# What is off the path


@some
@given(traces(), st.integers(0, 30))
def test_a_leaf_off_the_path_taken_away_changes_nobodys_time(spans: Trace, chosen: int) -> None:
    (before,) = explain(make_batch(spans))
    leaves = [node for node in removable_leaves(before, spans) if node.time_ns == 0]
    assume(leaves)
    leaf = leaves[chosen % len(leaves)]
    rest = [span for span in spans if f"{span.span_id:016x}" != leaf.id]
    counted = spans_of(before, spans)
    assume(shows_the_same_tick(counted, [span for span in counted if span in rest]))

    (after,) = explain(make_batch(rest), reporting_services=frozenset(span.service for span in spans))

    assert times(after) == {node_id: time for node_id, time in times(before).items() if node_id != leaf.id}


OF_A_COARSER_CLOCK_WITHOUT_A_COPY = Trace(
    read_spans("""
        b 0-299ms id 1 client
        a 0-4ms id 7 in b
        a/late 3ms-8ms in b client on host.name=h2
        b/copy 2ms-299.97ms id 1 server on host.name=h1
        b/hidden 1ms-150ms in b client on host.name=h1
        a/server 0-300ms id 1 server
    """)
)


@some
@given(traces(), st.integers(0, 30), st.integers(1, 50))
@example(OF_A_COARSER_CLOCK_WITHOUT_A_COPY, 0, 1)
def test_a_leaf_hidden_by_a_sibling_made_shorter_changes_nothing(spans: Trace, chosen: int, by_percent: int) -> None:
    (before,) = explain(make_batch(spans))
    leaves = [
        leaf
        for leaf in removable_leaves(before, spans)
        if is_hidden(before, leaf) and not outlives_parent(before, leaf)  # else it may be waited for once it is shorter
    ]
    assume(leaves)
    leaf = leaves[chosen % len(leaves)]
    cut = (leaf.end_unix_nano - leaf.start_unix_nano) * by_percent // 100
    shorter = [
        replace(span, end_time_unix_nano=span.end_time_unix_nano - cut) if f"{span.span_id:016x}" == leaf.id else span
        for span in spans
    ]
    assume(shows_the_same_tick(spans_of(before, spans), spans_of(before, shorter)))

    (after,) = explain(make_batch(shorter))

    assert sections(after, after.sections) == sections(before, before.sections)
    assert after.ambiguity == before.ambiguity


# Intervals and measures


@some
@given(traces(with_links=True), st.sampled_from(["root", "trace"]))
def test_time_lies_between_its_least_and_its_greatest(spans: Trace, target: str) -> None:
    for explanation in explain(make_batch(spans), target=target, links=links_of(spans)):
        assert 0 <= explanation.ambiguity <= 1
        assert 0 <= explanation.completeness <= 1
        for node in explanation.nodes:
            assert 0 <= node.time_min_ns <= node.time_ns <= node.time_max_ns


@some
@given(traces())
def test_an_answer_without_ambiguity_has_no_intervals(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        widths = {node.time_max_ns - node.time_min_ns for node in explanation.nodes}

        assert (widths == {0}) == (explanation.ambiguity == 0)


@some
@given(traces())
def test_drag_is_at_most_the_time_on_the_path_and_slack_at_least_nothing(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        for node in explanation.nodes:
            assert node.drag_ns is not None
            assert node.drag_min_ns is not None
            assert node.drag_max_ns is not None
            assert 0 <= node.drag_min_ns <= node.drag_ns <= node.drag_max_ns <= node.time_ns
            if node.slack_ns is not None and node.slack_max_ns is not None:
                assert 0 <= node.slack_ns <= node.slack_max_ns


@some
@given(traces())
def test_what_the_target_does_not_depend_on_has_neither_slack_nor_time(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        for node in explanation.nodes:
            assert (node.slack_ns is None) == (node.slack_max_ns is None)
            assert node.slack_ns is not None or node.time_ns == 0
            assert node.slack_ns is not None or node.drag_ns == 0


# The tree


@some
@given(traces())
def test_nodes_come_depth_first_each_behind_its_parent_siblings_by_start(spans: Trace) -> None:
    for explanation in explain(make_batch(spans)):
        open_nodes: list[int] = []
        last_start: dict[int, int] = {}
        for position, node in enumerate(explanation.nodes):
            while open_nodes and open_nodes[-1] != node.parent:
                open_nodes.pop()
            assert open_nodes or node.parent == -1
            assert node.parent == -1 or last_start.get(node.parent, node.start_unix_nano) <= node.start_unix_nano
            last_start[node.parent] = node.start_unix_nano
            open_nodes.append(position)


@some
@given(traces())
def test_every_span_is_a_node_once_and_says_which_row_it_came_from(spans: Trace) -> None:
    batch = make_batch(spans)
    clients = {span.span_id for span in spans if span.kind == KIND_CLIENT}
    halves = {
        f"{span.span_id:016x}" + ("/server" if span.kind == KIND_SERVER and span.span_id in clients else "")
        for span in spans
    }

    (explanation,) = explain(batch)

    assert sorted(node.id for node in explanation.nodes) == sorted(halves)
    for node in explanation.nodes:
        assert batch.span_id_hex(node.row) == node.id.removesuffix("/server")
        assert batch.text(int(batch.service[node.row])) == node.service
        assert int(batch.start_time_unix_nano[node.row]) + node.shift_ns == node.start_unix_nano


# Size


@pytest.mark.parametrize("shape", ["deep", "in a row", "at once"])
def test_a_hundred_thousand_spans_are_a_normal_day(shape: str) -> None:
    batch = large_trace(100_000, shape)

    (explanation,) = explain(batch)

    assert_fills(explanation.sections, int(batch.start_time_unix_nano[0]), int(batch.end_time_unix_nano[0]))
    assert len(explanation.nodes) == 100_000
    assert len(explanation.sections) == {"deep": 199_999, "in a row": 199_999, "at once": 3}[shape]


@pytest.mark.slow
def test_a_trace_of_more_than_a_million_spans_is_cut_and_says_so() -> None:
    batch = large_trace(1_000_002, "in a row")

    (explanation,) = explain(batch)

    assert len(explanation.nodes) == 1_000_000
    assert "trace-cut" in explanation.flags
    end = explanation.target_start_unix_nano + explanation.target_duration_ns
    assert_fills(explanation.sections, explanation.target_start_unix_nano, end)


# Helpers


def paths(explanations: Iterable[Explanation]) -> list[dict[str, object]]:
    """All that the rules say of each trace, with ids for positions and rows."""
    return [
        {
            "trace": explanation.trace_id,
            "target": explanation.nodes[explanation.target].id if explanation.target >= 0 else None,
            "start": explanation.target_start_unix_nano,
            "duration": explanation.target_duration_ns,
            "sections": sections(explanation, explanation.sections),
            "nodes": {node.id: facts(explanation, node) for node in explanation.nodes},
            "fragments": {
                (explanation.nodes[fragment.node].id, fragment.kind): sections(explanation, fragment.sections)
                for fragment in explanation.fragments
            },
            "completeness": round(explanation.completeness, 12),
            "ambiguity": round(explanation.ambiguity, 12),
        }
        for explanation in explanations
    ]


def facts(explanation: Explanation, node: PathNode) -> dict[str, object]:
    return {
        "parent": explanation.nodes[node.parent].id if node.parent >= 0 else None,
        "what": (node.service, node.operation, node.kind),
        "times": (node.start_unix_nano, node.end_unix_nano, node.shift_ns),
        "blocking": node.blocking,
        "flags": sorted(RULE_FLAGS & set(node.flags)),
        "time": (node.time_min_ns, node.time_ns, node.time_max_ns),
    }


def sections(explanation: Explanation, of: Iterable[Section]) -> list[tuple[object, ...]]:
    return [
        (explanation.nodes[section.node].id, section.start_unix_nano, section.end_unix_nano, section.reason)
        for section in of
    ]


def measures(explanations: Iterable[Explanation]) -> list[dict[str, tuple[int | None, ...]]]:
    return [
        {
            node.id: (node.slack_ns, node.slack_max_ns, node.drag_ns, node.drag_min_ns, node.drag_max_ns)
            for node in explanation.nodes
        }
        for explanation in explanations
    ]


def everything(explanations: Sequence[Explanation]) -> list[tuple[object, ...]]:
    """What must not depend on the order of rows: all but the rows themselves. Traces by id."""
    ordered = sorted(explanations, key=lambda explanation: explanation.trace_id)
    return [
        (path, measure, explanation.flags, [node.id for node in explanation.nodes])
        for path, measure, explanation in zip(paths(ordered), measures(ordered), ordered, strict=True)
    ]


def times(explanation: Explanation) -> dict[str, int]:
    return {node.id: node.time_ns for node in explanation.nodes}


def assert_fills(of: Sequence[Section], start_unix_nano: int, end_unix_nano: int) -> None:
    """The sections lie one behind the other, none empty, from start to end."""
    at = start_unix_nano
    for section in of:
        assert section.start_unix_nano == at
        assert section.end_unix_nano > at
        at = section.end_unix_nano
    assert at == end_unix_nano


def removable_leaves(explanation: Explanation, spans: Sequence[DrawnSpan]) -> list[PathNode]:
    """Leaves whose presence says nothing about others: no copies, and no end or clock hangs on them."""
    parents = {node.parent for node in explanation.nodes}
    ids = [span.span_id for span in spans]
    says_more = {node.id for node in explanation.nodes if node.flags or node.kind == KIND_SERVER}
    ends_inferred = any("end-inferred" in node.flags for node in explanation.nodes)
    return [
        node
        for position, node in enumerate(explanation.nodes)
        if position not in parents
        and position != explanation.target
        and node.parent != -1
        and node.id not in says_more
        and ids.count(int(node.id.removesuffix("/server"), 16)) == 1
        and not ends_inferred
    ]


def is_hidden(explanation: Explanation, leaf: PathNode) -> bool:
    """Whether at every moment of its life, up to both ends, the path was with one and the same sibling."""
    siblings = {
        node_below(explanation, section.node, leaf.parent)
        for section in explanation.sections
        if section.start_unix_nano <= leaf.end_unix_nano and leaf.start_unix_nano <= section.end_unix_nano
    }
    return leaf.time_ns == 0 and len(siblings) == 1 and None not in siblings


def node_below(explanation: Explanation, node: int, ancestor: int) -> int | None:
    """The child of `ancestor` that is or contains `node`."""
    while node != -1 and explanation.nodes[node].parent != ancestor:
        node = explanation.nodes[node].parent
    return None if node == -1 else node


def outlives_parent(explanation: Explanation, leaf: PathNode) -> bool:
    return leaf.end_unix_nano > explanation.nodes[leaf.parent].end_unix_nano


def spans_of(explanation: Explanation, spans: Sequence[DrawnSpan]) -> list[DrawnSpan]:
    """Those that are nodes: what a dropped copy says of time counts for nothing."""
    rows = {node.row for node in explanation.nodes}
    return [span for row, span in enumerate(spans) if row in rows]


def shows_the_same_tick(spans: Sequence[DrawnSpan], others: Sequence[DrawnSpan]) -> bool:
    def granularity(of: Sequence[DrawnSpan]) -> int:
        times_ns = [time for span in of for time in (span.start_time_unix_nano, span.end_time_unix_nano)]
        return next((tick for tick in (1_000_000, 1_000) if all(time % tick == 0 for time in times_ns)), 1)

    return granularity(spans) == granularity(others)


def large_trace(count: int, shape: str) -> SpanBatch:
    """A root and its spans: each in the one before, one after another with a pause between, or all at once."""
    one = read_trace("a 0-1")
    number = np.arange(count, dtype=np.int64)
    start, end, parent = {
        "deep": (number, 2 * count - number, number),
        "in a row": (3 * number + 1, 3 * number + 3, np.ones(count, np.int64)),
        "at once": (10 + number, 10 * count - number, np.ones(count, np.int64)),
    }[shape]
    start[0], end[0], parent[0] = 0, 10 * count if shape != "deep" else 2 * count, 0
    rows = one.take(np.zeros(count, np.int64))
    return replace(
        rows,
        span_id=(number + 1).astype(np.uint64),
        parent_span_id=parent.astype(np.uint64),
        start_time_unix_nano=start + 1,
        end_time_unix_nano=end + 1,
    )
