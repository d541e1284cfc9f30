"""Paths that are remembered while somebody looks at them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from collector.core.detail import DetailedSpans, SpanDetail
from collector.core.spans import DTYPES, STRING_COLUMNS
from tests.core.drawing import read_trace
from ui.views.explanations import Explanations, fingerprint

TEXT = "shop 0-100 on a; cart 10-40 in shop on b; pay 50-90 in shop error"


def spans(text=TEXT):
    return DetailedSpans(read_trace(text), lambda row: SpanDetail()).outlined


def test_the_same_spans_are_explained_once():
    remembered = Explanations()

    assert remembered.get(spans(), "root") is remembered.get(spans(), "root")


def test_another_target_is_another_path():
    remembered = Explanations()

    whole, own = remembered.get(spans(), "root"), remembered.get(spans(), "0000000000000002")

    assert (whole.target_duration_ns, own.target_duration_ns) == (100, 30)


def test_a_target_that_is_not_there_gives_nothing():
    assert Explanations().get(spans(), "00000000deadbeef") is None


def test_a_late_span_changes_the_path():
    remembered = Explanations()
    before = remembered.get(spans(), "root")

    after = remembered.get(spans(TEXT + "; late 91-99 in shop"), "root")

    assert len(after.nodes) == len(before.nodes) + 1


def test_little_used_paths_are_forgotten_first():
    remembered = Explanations(held_nodes=6)
    a, b, c = spans(), spans("shop 0-7; x 1-2 in shop"), spans("shop 0-8; x 1-2 in shop")
    first, second = remembered.get(a, "root"), remembered.get(b, "root")
    remembered.get(a, "root")

    remembered.get(c, "root")

    assert remembered.get(a, "root") is first
    assert remembered.get(b, "root") is not second


@given(
    st.sampled_from([name for name in DTYPES if name not in ("at", "size", *STRING_COLUMNS, "resource", "scope")]),
    st.integers(0, 2),
)
def test_a_change_of_any_value_is_another_fingerprint(column, row):
    batch = read_trace(TEXT)
    changed = getattr(batch, column).copy()
    changed[row] += 1

    assert fingerprint(replace(batch, **{column: changed})) != fingerprint(batch)


def test_where_a_span_ran_and_what_it_is_called_are_part_of_the_fingerprint():
    prints = {
        fingerprint(read_trace(text)) for text in (TEXT, TEXT.replace("on b", "on a"), TEXT.replace("cart", "cask"))
    }

    assert len(prints) == 3
