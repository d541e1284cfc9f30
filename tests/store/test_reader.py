"""What pages read: the same numbers as plain arithmetic over the traces, and nobody's text in a query."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest

from collector.store.derived import Derived, TraceKey
from collector.store.engine import Store
from collector.store.histogram import ACCURACY
from collector.store.minutes import EDGE_COUNTS
from collector.store.reader import Reader
from collector.store.values import (
    CallPath,
    CallsWanted,
    Edge,
    Examples,
    JourneySummary,
    Node,
    ServiceCalls,
    TraceOutcome,
    TraceQuery,
    TraceSummary,
    Window,
)
from collector.store.writer import Committer
from tests.store.learned import (
    LearnedTrace,
    Path,
    Step,
    edge_id,
    learned,
    path_id,
    summary_of,
    weighted_quantile,
)
from tests.store.spans import MINUTE_NS, NOON, Span, encode
from ui.views.reader import TraceReader

NOW = time.time_ns()
"""Version of what is learned: rows live some days from it."""
SHOP, CART, REDIS, PAY = ("shop", "POST /checkout"), ("cart", "GET /cart"), ("redis", "GET"), ("pay", "POST /pay")
AUDIT = ("shop", "audit")
HOUR = Window(NOON, NOON + 60 * MINUTE_NS)
HOSTILE = "'); DROP TABLE traces; -- \\ {x:String} \" \n\t\0 é 🛒"


@pytest.fixture
def reader(store: Store) -> Reader:
    return Reader(store)


def commit(store: Store, *groups: Sequence[Span]) -> None:
    committer = Committer(store, lanes=1, linger_ms=0)
    for group in groups:
        committer.submit(encode(group)).result(30)
    committer.close()


def learn(store: Store, traces: Sequence[LearnedTrace]) -> None:
    """Write what was learned from the traces, and their minutes."""
    derived = Derived(store)
    batch = learned(traces, NOW)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)


def test_traces_are_chosen_by_attributes_that_any_of_their_spans_has(store: Store, reader: Reader) -> None:
    eu, vip = {"region": "eu"}, {"customer": "vip"}
    commit(
        store,
        [
            Span(1, span_id=1, attributes=eu),
            Span(1, span_id=2, attributes=vip),
            Span(2, span_id=3, attributes=eu),
            Span(3, span_id=4, attributes=vip),
            Span(4, span_id=5, attributes=eu | vip),
        ],
    )
    learn(store, [*(LearnedTrace(n) for n in (1, 2, 3)), LearnedTrace(4, journey="other"), LearnedTrace(5)])

    assert set(reader.choose("check out", HOUR, (("region", "eu"),))) == {f"{1:032x}", f"{2:032x}"}
    assert reader.choose("check out", HOUR, (("region", "eu"), ("customer", "vip"))) == (f"{1:032x}",)
    assert reader.choose("check out", HOUR, ((HOSTILE, HOSTILE),)) == ()
    assert len(reader.choose("check out", HOUR, (("region", "eu"),), "shop")) == 2
    assert reader.choose("check out", HOUR, (("region", "eu"),), "cart") == ()


def test_it_is_what_the_pages_ask_for(reader: Reader) -> None:
    asked: TraceReader = reader

    assert asked.services() == []


def test_an_empty_store_answers_everything(reader: Reader) -> None:
    assert reader.trace("0" * 31 + "1") is None
    assert reader.outcome("0" * 31 + "1") is None
    assert reader.find(TraceQuery(HOUR)) == []
    assert reader.journeys(HOUR) == []
    assert reader.journey("check out", HOUR) is None
    assert reader.services() == []
    assert reader.operations("shop") == []
    assert reader.service_calls(HOUR) == []
    assert reader.newest_trace_unix_nano() is None
    info = reader.info()
    assert (info.spans, info.traces, info.oldest_unix_nano, info.newest_unix_nano) == (0, 0, 0, 0)


# One trace


def test_a_trace_is_read_over_services_and_days_in_order_of_start(store: Store, reader: Reader) -> None:
    day = 1440 * MINUTE_NS
    spans = [
        Span(
            trace_id=7, span_id=n + 1, parent=n, service=f"s{n}", start=NOON + n * day // 2, end=NOON + n * day // 2 + 5
        )
        for n in range(4)
    ]
    commit(store, spans[2:], [Span(trace_id=8, span_id=1)], spans[:2])

    found = reader.trace(spans[0].hex_trace_id.upper())

    assert found is not None
    assert found.batch.span_id.tolist() == [1, 2, 3, 4]
    assert found.batch.start_time_unix_nano.tolist() == [span.start for span in spans]
    assert [found.batch.text(index) for index in found.batch.service] == ["s0", "s1", "s2", "s3"]


def test_a_trace_is_shown_with_its_outcome(store: Store, reader: Reader) -> None:
    spans = [Span(trace_id=7, span_id=n, service=f"s{n}") for n in range(1, 4)]
    commit(store, spans[:1], [Span(trace_id=8, span_id=1)], spans[1:])
    learn(store, [LearnedTrace(7, path={(SHOP,): 50})])
    id_ = spans[0].hex_trace_id

    shown = reader.stored(id_.upper())
    other = reader.stored(f"{8:032x}")

    assert shown is not None
    assert shown.spans.batch.span_id.tolist() == [1, 2, 3]
    assert shown.outcome == reader.outcome(id_)
    assert (shown.details, shown.kept_longer) == (None, None)
    assert other is not None
    assert other.outcome is None
    assert reader.stored("f" * 32) is None
    assert reader.stored("x") is None


def test_copies_that_differ_in_what_no_outline_says_are_apart(store: Store, reader: Reader) -> None:
    span = Span(trace_id=7, span_id=1)
    commit(store, [span], [span], [replace(span, trace_state="a=b")])

    shown = reader.stored(span.hex_trace_id)

    assert shown is not None
    assert len(shown.spans.batch) == 2


def test_spans_of_before_there_were_shelves_are_shown(store: Store, reader: Reader) -> None:
    span = Span(trace_id=7, span_id=1)
    commit(store, [span])
    with store.client() as client:
        for table in ("otel_traces", "otel_traces_trace_id_ts"):
            client.command(f"CREATE TABLE old ENGINE = Memory AS SELECT * REPLACE (0 AS Shelf) FROM {table}")
            client.command(f"TRUNCATE TABLE {table}")
            client.command(f"INSERT INTO {table} SELECT * FROM old")
            client.command("DROP TABLE old")

    found = reader.stored(span.hex_trace_id)

    assert found is not None
    assert found.spans.batch.span_id.tolist() == [1]


def test_exact_copies_are_one_and_copies_that_differ_are_apart(store: Store, reader: Reader) -> None:
    span = Span(trace_id=7, span_id=1, attributes={"a": "1"})
    longer = Span(trace_id=7, span_id=1, end=span.end + 1, attributes={"a": "1"})
    client = Span(trace_id=7, span_id=1, kind=3, attributes={"a": "1"})
    other_value = Span(trace_id=7, span_id=1, attributes={"a": "2"})
    commit(store, [span, longer], [span], [client, other_value], [span])

    found = reader.trace(span.hex_trace_id)

    assert found is not None
    rows = [
        (int(found.batch.kind[row]), int(found.batch.end_time_unix_nano[row]), found.detail(row).attributes)
        for row in range(len(found.batch))
    ]
    assert sorted(rows) == [
        (2, span.end, (("a", "1"),)),
        (2, span.end, (("a", "2"),)),
        (2, span.end + 1, (("a", "1"),)),
        (3, span.end, (("a", "1"),)),
    ]


def test_a_population_is_read_without_what_only_details_need(store: Store, reader: Reader) -> None:
    commit(
        store,
        [Span(trace_id=trace, span_id=n, attributes={"peer.service": "bank"}) for trace in (7, 8) for n in (1, 2)],
    )

    batch = reader.spans_of([f"{7:032x}", f"{8:032x}", "f" * 32])

    assert batch is not None
    one = reader.trace(f"{7:032x}")
    assert one is not None
    of_one = batch.trace_id_low == 7
    for name in ("span_id", "kind", "start_time_unix_nano", "end_time_unix_nano", "parent_span_id"):
        assert getattr(batch, name)[of_one].tolist() == getattr(one.batch, name).tolist()
    assert {batch.text(int(number)) for number in batch.peer_service} == {"bank"}
    assert len(batch) == 4
    assert reader.spans_of([]) is None


@pytest.mark.parametrize("end", [0, NOON - 5, NOON, 2**63 - 1])
def test_the_end_of_a_span_is_read_as_it_was_sent(store: Store, reader: Reader, end: int) -> None:
    commit(store, [Span(trace_id=7, span_id=1, start=NOON, end=end)])

    found = reader.trace(f"{7:032x}")

    assert found is not None
    assert found.batch.end_time_unix_nano.tolist() == [end]


def test_a_trace_past_the_largest_is_cut_to_its_first_spans(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, [Span(trace_id=7, span_id=n, start=NOON + 100 - n) for n in range(1, 6)])
    monkeypatch.setattr("collector.store.lookup.MAX_SPANS", 3)

    found = reader.trace(f"{7:032x}")

    assert found is not None
    assert found.batch.span_id.tolist() == [5, 4, 3]


def test_many_traces_are_read_together_and_those_too_large_for_that_one_by_one(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, [Span(trace_id=trace, span_id=n) for trace, n in ((1, 1), (1, 2), (2, 1), (3, 1))])
    asked = [f"{number:032x}" for number in (2, 1, 9, 1)]

    together = list(reader.traces([*asked, "no id"]))
    monkeypatch.setattr("collector.store.reader.MAX_SPANS", 3)
    alone = list(reader.traces(asked))

    assert [len(found.batch) for found in together] == [3]
    assert [len(found.batch) for found in alone] == [1, 2]
    assert list(reader.traces([])) == []


@pytest.mark.parametrize("text", ["", "7", "g" * 32, "0" * 33, HOSTILE])
def test_what_is_no_trace_id_finds_nothing(reader: Reader, text: str) -> None:
    assert reader.trace(text) is None
    assert reader.stored(text) is None
    assert reader.outcome(text) is None


def test_a_summary_says_what_was_learned(store: Store, reader: Reader) -> None:
    trace = LearnedTrace(
        7, start=NOON + 3, duration_ns=100, failed=True, path={(SHOP,): 50, (SHOP, CART): 30, (SHOP, AUDIT): 20}
    )
    commit(store, [Span(trace_id=7, span_id=1, start=NOON)])
    learn(store, [trace])

    summary = summary_of(reader, trace.hex_id)

    assert summary is not None
    assert reader.outcome(trace.hex_id) == TraceOutcome(trace.hex_id, NOON + 3, 100, "check out", True, True)
    assert summary == TraceSummary(
        trace_id=trace.hex_id,
        start_unix_nano=NOON + 3,
        duration_ns=100,
        journey="check out",
        root_service="shop",
        root_operation="POST /checkout",
        failed=True,
        status_known=True,
        spans=3,
        errors=1,
        services=("cart", "shop"),
        completeness=0.75,
        ambiguity=0.25,
        settled=True,
        path=summary.path,
    )
    assert [(share.service, share.mean_ns, share.share) for share in summary.path] == [
        ("shop", 70.0, 0.7),
        ("cart", 30.0, 0.3),
    ]


# Finding


def found_ids(found: Sequence[TraceSummary]) -> list[int]:
    return [int(summary.trace_id, 16) for summary in found]


@pytest.fixture
def five(store: Store) -> list[LearnedTrace]:
    """Five traces, a second apart, with their spans."""
    second = 1_000_000_000
    traces = [
        LearnedTrace(
            n,
            start=NOON + n * second,
            duration_ns=n * 100,
            journey="browse" if n % 2 else "pay",
            failed=n == 3,
            path={((f"s{n}", "op"),): 100},
            edges={(SHOP, CART): {"Calls": 1, "Failed": int(n == 4), "PathNs": 10 * (n < 3)}},
        )
        for n in range(1, 6)
    ]
    commit(
        store,
        [
            Span(
                trace_id=n,
                span_id=1,
                start=NOON + n * second,
                service=f"s{n}",
                name=HOSTILE if n == 4 else "op",
                attributes={"user": f"u{n}", HOSTILE: HOSTILE, "empty": ""} if n == 2 else {"user": f"u{n}"},
                resource={"zone": "a" if n < 3 else "b"},
                status_message="Read timed out (2 s)" if n == 5 else "",
            )
            for n in range(1, 6)
        ],
    )
    learn(store, traces)
    return traces


A_CALL = edge_id((SHOP, CART))


def ask(**fields: object) -> TraceQuery:
    return TraceQuery(HOUR, **fields)  # type: ignore[arg-type]


FINDS = [
    (ask(), [5, 4, 3, 2, 1]),
    (ask(slowest_first=True, limit=2), [5, 4]),
    (ask(limit=0), []),
    (ask(journey="pay"), [4, 2]),
    (ask(service="s4"), [4]),
    (ask(operation="op"), [5, 3, 2, 1]),
    (ask(operation=HOSTILE), [4]),
    (ask(service="s2", operation="op"), [2]),
    (ask(service="s2", operation=HOSTILE), []),
    (ask(min_duration_ns=300), [5, 4, 3]),
    (ask(max_duration_ns=200), [2, 1]),
    (ask(failed_only=True), [3]),
    (ask(ok_only=True), [5, 4, 2, 1]),
    (ask(ok_only=True, failed_only=True), []),
    (ask(attributes=(("user", "u2"),)), [2]),
    (ask(attributes=(("zone", "b"), ("user", "u5"))), [5]),
    (ask(attributes=(("user", "u1"), ("zone", "b"))), []),
    (ask(attributes=((HOSTILE, HOSTILE),)), [2]),
    (ask(attributes=(("empty", ""),)), [2]),
    (ask(error="TIMED out"), [5]),
    (ask(error="timed%out"), []),
    (ask(service="s4", on_path=True), [4]),
    (ask(service="s4", operation=HOSTILE, on_path=True), []),
    (ask(calls=CallsWanted((("browse", A_CALL), ("pay", A_CALL)), failed=True)), [4]),
    (ask(calls=CallsWanted((("browse", A_CALL), ("pay", A_CALL)), failed=False)), [2, 1]),
    (ask(calls=CallsWanted((("browse", A_CALL), (HOSTILE, 2**64 - 1)), failed=False)), [1]),
    (ask(calls=CallsWanted((), failed=False)), []),
    (ask(journey=HOSTILE, service=HOSTILE), []),
    (TraceQuery(Window(NOON + 2_000_000_000, NOON + 4_000_000_000)), [3, 2]),
    (TraceQuery(Window(-1, 2**63)), [5, 4, 3, 2, 1]),
]


def test_traces_are_found_by_what_is_asked(reader: Reader, five: list[LearnedTrace]) -> None:
    found = [(query, found_ids(reader.find(query))) for query, _ in FINDS]

    assert found == FINDS


@pytest.mark.parametrize(("journey", "limit"), [("pay", 50), ("pay", 1), ("browse", 2)])
def test_examples_are_the_first_of_each_order(
    reader: Reader, five: list[LearnedTrace], journey: str, limit: int
) -> None:
    found, query = examples(reader, journey, limit), ask(journey=journey, limit=limit)

    assert found_ids(found.slowest) == found_ids(reader.find(replace(query, slowest_first=True)))
    assert found_ids(found.failed) == found_ids(reader.find(replace(query, failed_only=True)))
    assert found_ids(found.newest) == found_ids(reader.find(query))


def test_examples_of_chosen_traces_are_among_them(reader: Reader, five: list[LearnedTrace]) -> None:
    all_of_it = examples(reader, "pay", 50)
    chosen = (all_of_it.newest[-1].trace_id,)

    found = examples(reader, "pay", 50, chosen)

    assert [trace.trace_id for trace in found.newest] == list(chosen) == [trace.trace_id for trace in found.slowest]
    assert len(all_of_it.newest) > 1


def examples(reader: Reader, journey: str, limit: int, chosen: tuple[str, ...] | None = None) -> Examples:
    detail = reader.journey(journey, HOUR, chosen, limit)
    assert detail is not None
    return detail.examples


def test_examples_and_the_newest_are_found_among_many_minutes(store: Store, reader: Reader) -> None:
    chance = random.Random(5)
    traces = [
        LearnedTrace(
            n,
            start=NOON + chance.randrange(30 * MINUTE_NS),
            duration_ns=chance.choice([100, 200, 10_000]) + n,
            journey=chance.choice(["pay", "browse"]),
            failed=chance.random() < 0.1,
        )
        for n in range(1, 120)
    ]
    learn(store, traces)

    for begin, end in ((0, 30), (3.5, 20.25), (29.9, 30)):
        window = Window(NOON + int(begin * MINUTE_NS), NOON + int(end * MINUTE_NS))
        there = [t for t in traces if t.journey == "pay" and window.start_unix_nano <= t.start < window.end_unix_nano]
        newest = sorted(there, key=lambda t: -t.start)
        for limit in (1, 5, 50):
            query = TraceQuery(window, "pay", limit=limit)
            detail = reader.journey("pay", window, examples=limit)
            assert detail is not None
            found = detail.examples
            assert found_ids(found.newest) == found_ids(reader.find(query)) == [t.trace_id for t in newest[:limit]]
            assert found_ids(found.failed) == [t.trace_id for t in newest if t.failed][:limit]
            slowest = sorted(newest, key=lambda t: -t.duration_ns)
            assert found_ids(found.slowest) == [t.trace_id for t in slowest[:limit]]


def test_only_what_the_newest_row_of_a_trace_says_is_found(store: Store, reader: Reader) -> None:
    chance = random.Random(5)
    derived, now = Derived(store), dict[int, LearnedTrace]()
    for version in range(1, 9):
        made = [
            LearnedTrace(
                number,
                start=NOON + chance.randrange(12) * MINUTE_NS // 4,
                duration_ns=chance.randrange(1, 60),
                journey=chance.choice(("pay", "browse")),
                failed=chance.random() < 0.5,
                path={(chance.choice((SHOP, CART)),): 1},
            )
            for number in chance.sample(range(1, 40), 25)
        ]
        derived.write(learned(made, NOW + version))
        moved = [was for trace in made if (was := now.get(trace.trace_id)) and _place(was) != _place(trace)]
        derived.delete_traces([TraceKey(was.hex_id, was.journey, was.start) for was in moved], NOW + version)
        now |= {trace.trace_id: trace for trace in made}
    for _ in range(30):
        journey, service = chance.choice(("", "pay")), chance.choice(("", "cart"))
        begin, least = chance.choice((NOON, NOON + MINUTE_NS)), chance.choice((0, 30))
        query = TraceQuery(
            Window(begin, NOON + chance.randrange(4, 13) * MINUTE_NS // 4),
            journey,
            service,
            on_path=chance.random() < 0.5,
            min_duration_ns=least,
            failed_only=chance.random() < 0.3,
            slowest_first=chance.random() < 0.5,
            limit=chance.choice((1, 3, 50)),
        )
        there = [
            trace
            for trace in now.values()
            if query.window.start_unix_nano <= trace.start < query.window.end_unix_nano
            and journey in ("", trace.journey)
            and (not service or any(step[0] == service for path in trace.path for step in path))
            and trace.duration_ns >= least
            and (trace.failed or not query.failed_only)
        ]
        there.sort(key=lambda t: (-t.duration_ns if query.slowest_first else 0, -t.start, t.trace_id))
        assert found_ids(reader.find(query)) == [trace.trace_id for trace in there[: query.limit]]


def _place(trace: LearnedTrace) -> tuple[str, int]:
    return trace.journey, trace.minute


def test_the_calls_of_journeys_are_known_with_what_became_of_them(reader: Reader, five: list[LearnedTrace]) -> None:
    on_path, failed = reader.calls(HOUR, "on-path"), reader.calls(HOUR, "failed")

    assert {journey: [(e.id, e.calls, e.failed) for e in edges] for journey, edges in on_path.items()} == {
        "browse": [(A_CALL, 3.0, 0.0)],
        "pay": [(A_CALL, 2.0, 1.0)],
    }
    assert failed == {"pay": on_path["pay"]} == reader.calls(HOUR, "on-path", "pay")


def test_a_call_knows_what_the_mark_around_it_declares_whatever_became_of_the_mark(
    store: Store, reader: Reader
) -> None:
    mark = ("shop", "mark charge")
    once = {"Calls": 1, "PathNs": 10}
    edges = {
        (SHOP, mark): {**once, "DeclaredMandatory": 1},
        (mark, PAY): {**once, "Failed": 1},
        (mark, CART): {**once, "DeclaredOptional": 1},
        (SHOP, CART): {**once, "DeclaredOptional": 1, "PathNs": 0},
    }
    learn(store, [LearnedTrace(1, journey="buy", edges=edges)])

    in_list = reader.calls(HOUR)["buy"]
    detail = reader.journey("buy", HOUR)
    failed, on_path = (reader.calls(HOUR, became)["buy"] for became in ("failed", "on-path"))

    around = {(SHOP, mark): "", (mark, PAY): "mandatory", (mark, CART): "", (SHOP, CART): ""}
    by_id = {edge_id(ends): word for ends, word in around.items()}
    assert {edge.id: edge.around for edge in in_list} == by_id
    assert detail is not None
    assert {edge.id: edge.around for edge in detail.edges} == by_id
    assert [(edge.id, edge.around) for edge in failed] == [(edge_id((mark, PAY)), "mandatory")]
    assert {edge.id for edge in on_path} == {edge_id((SHOP, mark)), edge_id((mark, PAY)), edge_id((mark, CART))}


def test_what_share_of_a_journeys_traces_failed_is_known_where_spans_say_how_they_ended(
    store: Store, reader: Reader, five: list[LearnedTrace]
) -> None:
    learn(store, [LearnedTrace(9, journey="silent", status_known=False), LearnedTrace(10, journey="well", weight=3)])

    assert reader.failed_shares(HOUR) == {"browse": pytest.approx(1 / 3), "pay": 0.0, "well": 0.0}
    assert reader.failed_shares(Window(0, MINUTE_NS)) == {}


def test_the_newest_trace_is_known(reader: Reader, five: list[LearnedTrace]) -> None:
    assert reader.newest_trace_unix_nano() == five[-1].start


def test_the_store_knows_its_size(reader: Reader, five: list[LearnedTrace]) -> None:
    info = reader.info()

    assert (info.spans, info.traces) == (5, 5)
    assert (info.oldest_unix_nano, info.newest_unix_nano) == (five[0].start, five[-1].start)
    assert info.bytes_on_disk > 0


# Journeys


def a_population(seed: int = 1, number: int = 300) -> list[LearnedTrace]:
    """Traces of three journeys over 20 minutes; some paths reach one operation or service twice."""
    chance = random.Random(seed)
    shapes: list[list[Path]] = [
        [(SHOP,), (SHOP, CART), (SHOP, CART, REDIS)],
        [(SHOP,), (SHOP, AUDIT), (SHOP, PAY), (SHOP, PAY, REDIS), (SHOP, CART, REDIS)],
        [(PAY,), (PAY, SHOP), (PAY, CART, SHOP)],
    ]
    traces = []
    for n in range(number):
        shape = chance.choice(shapes)
        path = {steps: chance.choice([0, chance.randrange(1, 10**8)]) for steps in shape}
        edges = {
            (steps[-2], steps[-1]): {name: chance.randrange(100) for name in EDGE_COUNTS}
            for steps in shape
            if len(steps) > 1
        }
        traces.append(
            LearnedTrace(
                n + 1,
                start=NOON + chance.randrange(20 * MINUTE_NS),
                duration_ns=sum(path.values()),
                journey=f"journey {shapes.index(shape)} {HOSTILE}",
                failed=chance.random() < 0.2,
                status_known=shape is not shapes[2],
                weight=chance.choice([1.0, 1.0, 2.5, 100.0]),
                path=path,
                edges=edges,
            )
        )
    return traces


def by_journey(traces: Sequence[LearnedTrace]) -> dict[str, list[LearnedTrace]]:
    journeys = defaultdict(list)
    for trace in traces:
        journeys[trace.journey].append(trace)
    return journeys


def assert_summary(summary: JourneySummary, traces: Sequence[LearnedTrace]) -> None:
    """Compare with plain arithmetic over the traces."""
    weight = sum(trace.weight for trace in traces)
    assert summary.traces == len(traces)
    assert summary.weighted_traces == pytest.approx(weight)
    assert summary.failed == pytest.approx(sum(trace.weight for trace in traces if trace.failed))
    assert summary.status_known == any(trace.status_known for trace in traces)
    mean_ns = sum(trace.weight * trace.duration_ns for trace in traces) / weight
    assert summary.mean_ns == pytest.approx(mean_ns)
    for value, level in ((summary.p50_ns, 0.5), (summary.p95_ns, 0.95), (summary.p99_ns, 0.99)):
        assert value == pytest.approx(weighted_quantile(traces, level), rel=ACCURACY)
    slowest = max(traces, key=lambda trace: trace.duration_ns)
    assert (summary.max_ns, summary.slowest_trace_id) == (slowest.duration_ns, slowest.hex_id)
    assert_shares({(s.service, ""): (s.mean_ns, s.share, s.participation) for s in summary.path}, traces, (0,))


def assert_shares(
    shares: dict[tuple[str, str], tuple[float, float, float]], traces: Sequence[LearnedTrace], parts: tuple[int, ...]
) -> None:
    """Compare shares by service (parts 0) or operation (parts 0 and 1) with plain arithmetic."""

    def name(step: Step) -> tuple[str, str]:
        return step[0], step[1] if 1 in parts else ""

    weight = sum(trace.weight for trace in traces)
    duration = sum(trace.weight * trace.duration_ns for trace in traces)
    for key in {name(path[-1]) for trace in traces for path, time_ns in trace.path.items() if time_ns}:
        times = [
            (trace.weight, sum(time_ns for path, time_ns in trace.path.items() if name(path[-1]) == key))
            for trace in traces
        ]
        summed = sum(w * time_ns for w, time_ns in times)
        with_time = sum(w for w, time_ns in times if time_ns)
        assert shares.pop(key) == pytest.approx((summed / weight, summed / duration, with_time / weight))
    assert shares == {}


def test_journeys_are_what_plain_arithmetic_says(store: Store, reader: Reader) -> None:
    population = a_population()
    learn(store, population[:200])
    learn(store, population[200:])

    found = reader.journeys(HOUR)

    expected = by_journey(population)
    assert [summary.traces for summary in found] == sorted(map(len, expected.values()), reverse=True)
    for summary in found:
        assert_summary(summary, expected.pop(summary.journey))
        assert sum(share.share for share in summary.path) == pytest.approx(1)
    assert not expected


def test_a_window_counts_the_minutes_that_it_touches_whole(store: Store, reader: Reader) -> None:
    population = a_population()
    learn(store, population)
    window = Window(NOON + 5 * MINUTE_NS + 7, NOON + 9 * MINUTE_NS + 1)

    found = reader.journeys(window)

    inside = by_journey([t for t in population if NOON + 5 * MINUTE_NS <= t.start < NOON + 10 * MINUTE_NS])
    assert {summary.journey for summary in found} == inside.keys()
    for summary in found:
        assert_summary(summary, inside[summary.journey])


def test_a_series_has_a_point_for_every_step_and_they_add_up(store: Store, reader: Reader) -> None:
    population = a_population()
    learn(store, population)

    (summary, *_) = reader.journeys(HOUR)

    traces = by_journey(population)[summary.journey]
    assert [point.start_unix_nano for point in summary.series] == [NOON + n * MINUTE_NS for n in range(60)]
    for number, point in enumerate(summary.series):
        here = [trace for trace in traces if trace.minute == NOON // MINUTE_NS + number]
        assert point.traces == pytest.approx(sum(trace.weight for trace in here))
        assert point.failed == pytest.approx(sum(trace.weight for trace in here if trace.failed))
        if here:
            assert point.p95_ns == pytest.approx(weighted_quantile(here, 0.95), rel=ACCURACY)
        else:
            assert (point.p50_ns, point.p95_ns) == (0, 0)


@pytest.mark.parametrize(("minutes", "points"), [(1, 1), (61, 31), (1440, 60), (10_000, 60)])
def test_a_series_has_about_sixty_points_however_long_the_window(
    store: Store, reader: Reader, minutes: int, points: int
) -> None:
    learn(store, [LearnedTrace(1, path={(SHOP,): 100})])

    (summary,) = reader.journeys(Window(NOON, NOON + minutes * MINUTE_NS))

    assert len(summary.series) == points
    assert sum(point.traces for point in summary.series) == 1


def test_the_rate_of_a_minute_that_is_not_over_counts_what_has_passed(store: Store, reader: Reader) -> None:
    second = 1_000_000_000
    learn(store, [LearnedTrace(n, start=NOON + n * second, path={(SHOP,): 100}) for n in range(30)])

    (live,) = reader.journeys(Window(NOON, NOON + 30 * second))
    (later,) = reader.journeys(Window(NOON, NOON + 60 * second))

    assert live.rate_per_s == pytest.approx(1.0)
    assert later.rate_per_s == pytest.approx(0.5)


def test_the_rate_counts_from_the_first_trace_of_all(store: Store, reader: Reader) -> None:
    second = 1_000_000_000
    learn(store, [LearnedTrace(n, start=NOON + 30 * second + n * second, path={(SHOP,): 100}) for n in range(30)])

    (summary,) = reader.journeys(Window(NOON - 59 * MINUTE_NS, NOON + MINUTE_NS))

    assert summary.rate_per_s == pytest.approx(1.0)


def test_one_journey_has_its_operations_call_paths_and_edges(store: Store, reader: Reader) -> None:
    population = a_population()
    learn(store, population)
    for journey, traces in by_journey(population).items():
        detail = reader.journey(journey, HOUR)

        assert detail is not None
        assert_summary(detail.summary, traces)
        shares = {(s.service, s.operation): (s.mean_ns, s.share, s.participation) for s in detail.operations}
        assert_shares(shares, traces, (0, 1))
        assert_call_paths(detail.call_paths, traces)
        assert_edges(detail.edges, traces)


def test_edges_that_are_older_than_evidence_is_are_shown_without_any(store: Store, reader: Reader) -> None:
    edge = (SHOP, PAY)
    learn(store, [LearnedTrace(1, edges={edge: {"Calls": 1, "Failed": 1}}, path={(SHOP,): 100})])

    detail = reader.journey("check out", Window(NOON, NOON + 40 * 1440 * MINUTE_NS))

    assert detail is not None
    (found,) = detail.edges
    assert (found.id, found.failed, found.basis, found.evidence.failed.weight) == (edge_id(edge), 1.0, "", 0.0)


def assert_call_paths(found: Sequence[CallPath], traces: Sequence[LearnedTrace]) -> None:
    weight = sum(trace.weight for trace in traces)
    steps = {path[:depth] for trace in traces for path in trace.path for depth in range(1, len(path) + 1)}
    expected = set()
    for path in steps:
        times = [(trace.weight, trace.path.get(path, 0)) for trace in traces]
        mean_ns = sum(w * time_ns for w, time_ns in times) / weight
        participation = sum(w for w, time_ns in times if time_ns) / weight
        parent = path_id(path[:-1]) if path[:-1] else 0
        expected.add((path_id(path), parent, *path[-1], round(mean_ns, 3), round(participation, 6)))
    assert {
        (p.id, p.parent, p.service, p.operation, round(p.mean_ns, 3), round(p.participation, 6)) for p in found
    } == expected


def assert_edges(found: Sequence[Edge], traces: Sequence[LearnedTrace]) -> None:
    duration = sum(trace.weight * trace.duration_ns for trace in traces)
    edges = {edge.id: edge for edge in found}
    for steps in {steps for trace in traces for steps in trace.edges}:
        edge = edges.pop(edge_id(steps))
        here = [trace for trace in traces if steps in trace.edges]
        sums = {name: sum(trace.weight * trace.edges[steps][name] for trace in here) for name in EDGE_COUNTS}
        assert edge.caller == Node(*steps[0], "server")
        assert edge.callee == Node(*steps[1], "server")
        assert (edge.traces, edge.kind, edge.journey) == (len(here), "rpc", traces[0].journey)
        assert edge.status_known == traces[0].status_known
        found_sums = (edge.calls, edge.failed, edge.survived, edge.waited)
        assert found_sums == pytest.approx([sums[name] for name in ("Calls", "Failed", "Survived", "Waited")])
        declared = (edge.declared_mandatory, edge.declared_optional)
        assert declared == pytest.approx([sums["DeclaredMandatory"], sums["DeclaredOptional"]])
        assert (edge.confounded, edge.confounded_survived, edge.attempts, edge.journey_survived) == pytest.approx(
            [sums[name] for name in ("Confounded", "ConfoundedSurvived", "Attempts", "JourneySurvived")]
        )
        assert edge.wait_ns == pytest.approx(sums["WaitNs"] / sums["Delivered"] if sums["Delivered"] else 0.0)
        assert edge.critical_share == pytest.approx(sums["PathNs"] / duration)
        assert edge.mean_ns == pytest.approx(sums["DurationNs"] / sums["Calls"])
    assert edges == {}


def test_a_journey_that_nobody_took_is_none(store: Store, reader: Reader) -> None:
    learn(store, [LearnedTrace(1, path={(SHOP,): 100})])

    assert reader.journey("another", HOUR) is None
    assert reader.journey(HOSTILE, HOUR) is None
    assert reader.journey("check out", Window(NOON - 60 * MINUTE_NS, NOON - MINUTE_NS)) is None


def test_durations_of_zero_and_paths_without_time_divide_nothing_by_zero(store: Store, reader: Reader) -> None:
    learn(store, [LearnedTrace(1, duration_ns=0, path={(SHOP,): 0}, edges={(SHOP, CART): {"Calls": 0}})])

    detail = reader.journey("check out", HOUR)

    assert detail is not None
    assert (detail.summary.p50_ns, detail.summary.max_ns, detail.operations) == (0, 0, ())
    assert [(edge.critical_share, edge.mean_ns) for edge in detail.edges] == [(0, 0)]


def test_calls_between_services_are_summed_over_operations_and_journeys(store: Store, reader: Reader) -> None:
    other_cart = ("cart", "DELETE /cart")
    learn(
        store,
        [
            LearnedTrace(
                1, journey="a", path={(SHOP,): 1}, edges={(SHOP, CART): {"Calls": 2}, (SHOP, AUDIT): {"Calls": 9}}
            ),
            LearnedTrace(2, journey="b", weight=10.0, path={(SHOP,): 1}, edges={(SHOP, other_cart): {"Calls": 1}}),
            LearnedTrace(3, journey="b", start=NOON - MINUTE_NS, path={(SHOP,): 1}, edges={(SHOP, CART): {"Calls": 5}}),
        ],
    )

    assert reader.service_calls(HOUR) == [ServiceCalls("shop", "cart", 12)]


def test_many_threads_read_at_once(store: Store, reader: Reader, five: list[LearnedTrace]) -> None:
    answers: list[object] = []

    def read() -> None:
        for trace in five:
            answers.append(reader.outcome(trace.hex_id))
        answers.append(found_ids(reader.find(TraceQuery(HOUR))))
        answers.append(len(reader.journeys(HOUR)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 4 * 7
    assert None not in answers
    assert answers.count([5, 4, 3, 2, 1]) == 4
