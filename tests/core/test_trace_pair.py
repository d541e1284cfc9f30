"""Two traces, call by call."""

from hypothesis import given

from collector.core.explain import Explanation, explain
from collector.core.trace_pair import pair_calls
from tests.core.drawing import make_batch, read_trace
from tests.core.trace_strategies import traces


def explained(text: str) -> Explanation:
    return explain(read_trace(text))[0]


def pairs_of(this: str, other: str):
    a, b = explained(this), explained(other)
    return pair_calls(a, b, [False] * len(a.nodes), [False] * len(b.nodes))


def test_calls_are_paired_by_the_names_from_the_root_down():
    pairs = pairs_of(
        "shop 0-100; cart 10-90 in shop; redis 20-80 in cart", "shop 0-50; cart 10-40 in shop; redis 20-30 in cart"
    )

    assert [(p.service, p.depth, p.parent, p.this.time_ns, p.other.time_ns, p.delta_ns) for p in pairs] == [
        ("shop", 0, -1, 20, 20, 0),
        ("cart", 1, 0, 20, 20, 0),
        ("redis", 2, 1, 60, 10, 50),
    ]


def test_the_same_call_below_another_is_another():
    pairs = pairs_of("a 0-100; b 0-50 in a; x 10-20 in b", "a 0-100; c 0-50 in a; x 10-20 in c")

    assert [(p.service, p.this.calls, p.other.calls) for p in pairs] == [
        ("a", 1, 1), ("b", 1, 0), ("x", 1, 0), ("c", 0, 1), ("x", 0, 1),
    ]  # fmt: skip


def test_repeated_calls_are_one_row_that_counts_them():
    (shop, price) = pairs_of("shop 0-100; price#1 0-30 in shop; price#2 40-90 in shop", "shop 0-40; price 0-30 in shop")

    assert (price.this.calls, price.other.calls) == (2, 1)
    assert price.this.sections == [(0, 30), (40, 90)]
    assert (price.this.start_ns, price.this.end_ns) == (0, 90)
    assert (price.delta_ns, shop.delta_ns) == (50, 10)


def test_offsets_count_from_each_trace_s_own_start():
    (a, b) = pairs_of("a 1000-1100; b 1010-1020 in a", "a 0-100; b 40-50 in a")

    assert (b.this.start_ns, b.other.start_ns) == (10, 40)
    assert (a.this.start_ns, a.other.start_ns) == (0, 0)


def test_a_span_that_only_calls_another_service_is_the_way_there():
    with_kinds = "shop 0-100 server; shop/GET 10-90 in shop client; cart 30-60 in shop/GET server"
    without = "shop 0-100; shop/call 10-90 in shop; cart 30-60 in shop/call"

    for text in (with_kinds, without):
        assert [p.way_to for p in pairs_of(text, text)] == ["", "cart", ""]


def test_work_beside_the_call_is_no_way():
    text = "shop 0-100; shop/call 10-90 in shop; cart 30-60 in shop/call; shop/parse 60-80 in shop/call"

    assert [p.way_to for p in pairs_of(text, text)] == ["", "", "", ""]


def test_a_deep_trace_needs_no_deep_stack():
    deep = "s0 0-9000; " + "; ".join(f"s{i} {i}-{9000 - i} in s{i - 1}" for i in range(1, 3_000))

    pairs = pairs_of(deep, "s0 0-10")

    assert pairs[-1].depth == 2_999


@given(traces(), traces())
def test_the_differences_add_up_to_the_difference_of_the_durations(this, other):
    for a in explain(make_batch(this))[:1]:
        for b in explain(make_batch(other))[:1]:
            pairs = pair_calls(a, b, [False] * len(a.nodes), [False] * len(b.nodes))

            assert sum(p.delta_ns for p in pairs) == a.target_duration_ns - b.target_duration_ns
            assert all(p.parent < at for at, p in enumerate(pairs))
            assert sum(p.this.calls for p in pairs) == len(a.nodes)
