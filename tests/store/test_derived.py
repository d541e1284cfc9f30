"""The analyzer's side of the store: nothing is missed, and whatever is repeated changes nothing."""

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from collector.core.spans import SpanBatch, empty_batch
from collector.store.arrivals import Arrivals
from collector.store.derived import Derived, TraceKey
from collector.store.engine import Store, run
from collector.store.reader import Reader
from collector.store.values import TraceQuery, Window
from collector.store.writer import Committer
from tests.store.learned import LearnedTrace, learned, summary_of
from tests.store.spans import MINUTE_NS, NOON, Span, encode

HOUR_S = 3600
HOUR_NS = HOUR_S * 1_000_000_000
NOW = time.time_ns()
"""Rows live some days from the time at which they are written, so that versions and arrivals here are of today."""
HOUR = NOW // HOUR_NS * HOUR_NS
"""The beginning of this hour."""
WINDOW = Window(NOON, NOON + 10 * MINUTE_NS)


class FakeClock:
    """Nanoseconds, moved by hand."""

    def __init__(self, now_ns: int = NOW) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def derived(store: Store) -> Derived:
    return Derived(store)


def commit(store: Store, *groups: Sequence[Span], lanes: int = 1, now_ns: int | None = None) -> None:
    """Store each group by itself."""
    clock = {} if now_ns is None else {"now_unix_milli": lambda: now_ns // 1_000_000}
    committer = Committer(store, lanes=lanes, linger_ms=0, **clock)  # type: ignore[arg-type]
    for group in groups:
        committer.submit(encode(group)).result(30)
    committer.close()


def spans_of(found: Arrivals | SpanBatch) -> list[tuple[str, str]]:
    spans = found.spans if isinstance(found, Arrivals) else found
    return sorted((str(spans.trace_id(row)), str(spans.span_id_hex(row))) for row in range(len(spans)))


# What arrived


def test_an_empty_store_has_no_arrivals(derived: Derived) -> None:
    found = derived.read_arrivals({})

    assert len(found) == 0
    assert found.last() == {}


def test_arrivals_are_the_columns_that_were_decoded(store: Store, derived: Derived) -> None:
    span = Span(
        trace_id=0xAB << 120 | 7,
        span_id=2**64 - 1,
        parent=9,
        name="SELECT",
        service="cart",
        kind=3,
        start=NOON + 1,
        end=NOON + 2,
        status=2,
        attributes={
            "cpdd.call.requirement": "optional",
            "cpdd.call.outcome": "timed_out",
            "cpdd.journey": "check out",
            "http.response.status_code": "503",
            "rpc.grpc.status_code": "14",
            "db.system.name": "postgresql",
            "db.namespace": "carts",
            "server.address": "db-1",
            "service.peer.name": "carts-db",
            "messaging.system": "kafka",
            "messaging.destination.name": "orders",
        },
        resource={"host.name": "node-3", "service.instance.id": "cart-7"},
        trace_state="ot=th:8",
    )
    commit(store, [span], now_ns=HOUR)

    found = derived.read_arrivals({})

    spans = found.spans
    assert spans.trace_id(0) == "ab000000000000000000000000000007"
    assert spans.span_id_hex(0) == "ffffffffffffffff"
    assert spans.parent_span_id_hex(0) == "0000000000000009"
    assert (spans.start_time_unix_nano[0], spans.end_time_unix_nano[0]) == (NOON + 1, NOON + 2)
    assert (spans.kind[0], spans.status_code[0], spans.requirement[0], spans.outcome[0]) == (3, 2, 2, 3)
    assert (spans.http_status[0], spans.rpc_status[0]) == (503, 14)
    texts = ("name", "service", "journey", "peer_service", "server_address", "db_system", "db_namespace")
    assert [spans.text(getattr(spans, name)[0]) for name in texts] == [
        *("SELECT", "cart", "check out", "carts-db", "db-1", "postgresql", "carts")
    ]
    assert spans.text(spans.messaging_system[0]) == "kafka"
    assert spans.text(spans.messaging_destination[0]) == "orders"
    host = spans.resources.host[spans.resource[0]]
    assert [spans.text(index) for index in host] == ["", "node-3", "", "", "cart-7", "", ""]
    assert found.ot == ("th:8",)
    assert found.arrived_unix_nano.tolist() == [HOUR]
    assert found.sequence.tolist() == [1]


def test_what_a_span_does_not_say_is_absent_and_not_empty(store: Store, derived: Derived) -> None:
    commit(store, [Span(trace_id=1, span_id=1)])

    spans = derived.read_arrivals({}).spans

    assert (spans.journey[0], spans.db_system[0], spans.rpc_status[0]) == (-1, -1, -1)
    assert spans.resources.host.tolist() == [[-1] * 7]


def test_columns_may_be_written_to_since_kernels_are_compiled_for_such(store: Store, derived: Derived) -> None:
    commit(store, [Span(trace_id=1, span_id=1)])

    columns = derived.read_arrivals({}).spans.columns()

    assert all(column.flags.writeable for column in columns.values())


def test_services_on_several_hosts_are_resources_of_their_own(store: Store, derived: Derived) -> None:
    places = [("a", "h1"), ("a", "h2"), ("b", "h1"), ("a", "h1")]
    commit(store, [Span(1, n + 1, service=s, resource={"host.id": h}) for n, (s, h) in enumerate(places)])

    spans = derived.read_arrivals({}).spans

    assert len(spans.resources) == 3
    found = [
        (spans.text(spans.resources.service[resource]), spans.text(spans.resources.host[resource, 0]))
        for resource in spans.resource
    ]
    assert found == places


def test_reading_behind_the_cursor_gives_every_span_once(store: Store, derived: Derived) -> None:
    commit(store, *([Span(trace_id=n, span_id=k + 1) for k in range(7)] for n in range(1, 12)), lanes=2)
    cursor: dict[int, int] = {}
    seen: list[tuple[str, str]] = []

    while len(found := derived.read_arrivals(cursor, limit=5)):
        cursor |= found.last()
        seen += spans_of(found)

    assert sorted(seen) == sorted((f"{n:032x}", f"{k + 1:016x}") for n in range(1, 12) for k in range(7))


def test_a_gap_in_the_numbers_is_stepped_over(store: Store, derived: Derived) -> None:
    commit(store, [Span(trace_id=n, span_id=1) for n in range(1, 40)])
    with store.client() as client:
        run(client, "DELETE FROM span_arrivals WHERE Sequence > 2 AND Sequence < 35")
    cursor = derived.read_arrivals({}, limit=2).last()

    found = derived.read_arrivals(cursor, limit=2)

    assert found.sequence.tolist() == [35, 36]


def test_the_saved_cursor_is_the_last_one_of_each_lane(derived: Derived) -> None:
    derived.save_cursor({1: 10, 2**32 - 1: 2**40})
    derived.save_cursor({1: 12})
    derived.save_cursor({})

    assert derived.load_cursor() == {1: 12, 2**32 - 1: 2**40}


def test_a_trace_is_read_whole_with_what_came_late(store: Store, derived: Derived) -> None:
    early, late = Span(trace_id=5, span_id=1), Span(trace_id=5, span_id=2, parent=1)
    commit(store, [early, Span(trace_id=6, span_id=3)])
    commit(store, [late])

    found = derived.read_trace_arrivals([early.hex_trace_id])

    assert spans_of(found) == [(early.hex_trace_id, f"{n:016x}") for n in (1, 2)]
    assert len(derived.read_trace_arrivals([])) == 0
    assert len(derived.read_trace_arrivals(["f" * 32])) == 0


def test_a_trace_whose_arrivals_are_gone_is_read_from_the_spans(store: Store, derived: Derived) -> None:
    span = Span(
        *(5, 1, 9),
        end=0,
        kind=3,
        status=2,
        attributes={"db.system": "redis", "http.status_code": "404", "cpdd.journey": "pay"},
        resource={"host.id": "h"},
        trace_state="a=b,ot=th:8",
    )
    commit(store, [span, span])
    with store.client() as client:
        run(client, "TRUNCATE TABLE span_arrivals")

    found = derived.read_trace_arrivals([span.hex_trace_id])

    spans = found.spans
    assert spans_of(found) == [(span.hex_trace_id, f"{1:016x}")]
    assert (spans.end_time_unix_nano[0], spans.kind[0], spans.status_code[0]) == (0, 3, 2)
    assert (spans.http_status[0], spans.text(spans.db_system[0]), spans.text(spans.journey[0])) == (404, "redis", "pay")
    assert found.ot == ("th:8",)
    assert spans.text(spans.resources.host[spans.resource[0], 0]) == "h"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_collector_whose_clock_differs_from_the_servers_finds_its_traces(
    store: Store, derived: Derived, hours: int
) -> None:
    commit(store, [Span(trace_id=n, span_id=1) for n in range(1, 301)], now_ns=time.time_ns() + hours * HOUR_NS)

    found = derived.read_trace_arrivals([f"{n:032x}" for n in (1, 150, 300)])

    assert spans_of(found) == [(f"{n:032x}", f"{1:016x}") for n in (1, 150, 300)]
    assert found.sequence.tolist() == [1, 150, 300]


def test_a_trace_of_which_one_part_is_gone_is_read_whole_from_the_spans(store: Store, derived: Derived) -> None:
    commit(store, [Span(trace_id=5, span_id=1)], now_ns=HOUR - 3 * HOUR_NS)
    with store.client() as client:
        run(
            client,
            "ALTER TABLE otel_traces_trace_id_ts UPDATE IngestedAt = IngestedAt - 4 * 3600 WHERE 1 "
            "SETTINGS mutations_sync = 2",
        )
    commit(store, [Span(trace_id=5, span_id=2)])
    with store.client() as client:
        run(client, "DELETE FROM span_arrivals WHERE SpanId = 1")

    found = derived.read_trace_arrivals([f"{5:032x}"])

    assert spans_of(found) == [(f"{5:032x}", f"{n:016x}") for n in (1, 2)]


# Forgetting


def hours_of(store: Store) -> int:
    with store.client() as client:
        return int(str(client.command("SELECT uniqExact(toStartOfHour(ArrivedAt)) FROM span_arrivals")))


def test_hours_that_are_analyzed_and_old_enough_are_dropped(store: Store) -> None:
    for hour in range(4):
        commit(store, [Span(trace_id=hour + 1, span_id=1)], now_ns=HOUR + hour * HOUR_NS)
    derived = Derived(store, FakeClock(HOUR + 4 * HOUR_NS))
    cursor = derived.read_arrivals({}).last()

    dropped = derived.forget_arrivals(cursor, kept_s=HOUR_S)

    assert len(dropped) == 3
    assert hours_of(store) == 1
    assert derived.forget_arrivals(cursor, kept_s=HOUR_S) == []


def test_an_hour_with_a_span_that_is_not_analyzed_stays_with_all_behind_it(store: Store) -> None:
    for hour in range(4):
        commit(store, [Span(trace_id=hour + 1, span_id=1)], now_ns=HOUR + hour * HOUR_NS)
    derived = Derived(store, FakeClock(HOUR + 1000 * HOUR_NS))
    (lane,) = derived.read_arrivals({}).last()

    dropped = derived.forget_arrivals({lane: 1}, kept_s=0)

    assert len(dropped) == 1
    assert hours_of(store) == 3


# What was learned


SHOP, CART, REDIS = ("shop", "POST /checkout"), ("cart", "GET /cart"), ("redis", "GET")


def test_a_trace_analyzed_again_replaces_its_row_whole(store: Store, derived: Derived) -> None:
    first = LearnedTrace(1, duration_ns=100, path={(SHOP,): 60, (SHOP, CART): 40}, settled=False)
    again = LearnedTrace(1, duration_ns=120, path={(SHOP,): 60, (SHOP, CART, REDIS): 60})
    commit(store, [Span(trace_id=1, span_id=1)])
    derived.write(learned([first], version=NOW + 1))

    derived.write(learned([again], version=NOW + 2))

    summary = summary_of(Reader(store), first.hex_id)
    assert summary is not None
    assert (summary.duration_ns, summary.settled) == (120, True)
    assert sorted((share.service, share.mean_ns) for share in summary.path) == [("redis", 60.0), ("shop", 60.0)]


def test_an_older_analysis_that_comes_late_changes_nothing(store: Store, derived: Derived) -> None:
    commit(store, [Span(trace_id=1, span_id=1)])
    derived.write(learned([LearnedTrace(1, duration_ns=120, path={(SHOP,): 120})], version=NOW + 2))

    derived.write(learned([LearnedTrace(1, duration_ns=100, path={(SHOP,): 100})], version=NOW + 1))

    outcome = Reader(store).outcome(f"{1:032x}")
    assert outcome is not None
    assert outcome.duration_ns == 120


def test_a_trace_that_moves_to_another_journey_leaves_the_old_one(store: Store, derived: Derived) -> None:
    trace = LearnedTrace(1, journey="browse", path={(SHOP,): 100})
    commit(store, [Span(trace_id=1, span_id=1)])
    derived.write(learned([trace], version=NOW + 1))
    derived.recompute_minutes([trace.minute])
    keys = derived.trace_keys([trace.hex_id, "f" * 32])

    derived.write(learned([LearnedTrace(1, journey="pay", path={(SHOP,): 100})], version=NOW + 2))
    derived.delete_traces(keys, version=NOW + 2)
    derived.recompute_minutes([trace.minute])

    assert keys == [TraceKey(trace.hex_id, "browse", NOON)]
    assert [summary.journey for summary in Reader(store).journeys(WINDOW)] == ["pay"]
    assert [key.journey for key in derived.trace_keys([trace.hex_id])] == ["pay"]
    moved = Reader(store).outcome(trace.hex_id)
    assert moved is not None
    assert moved.journey == "pay"


def test_a_trace_that_is_taken_back_has_no_outcome(store: Store, derived: Derived) -> None:
    trace = LearnedTrace(1, path={(SHOP,): 100})
    commit(store, [Span(trace_id=1, span_id=1)])
    derived.write(learned([trace], version=NOW + 1))

    derived.delete_traces(derived.trace_keys([trace.hex_id]), version=NOW + 2)

    assert Reader(store).outcome(trace.hex_id) is None


def test_nothing_learned_writes_nothing(store: Store, derived: Derived) -> None:
    derived.write(learned([], version=NOW + 1))
    derived.recompute_minutes([])

    assert Reader(store).newest_trace_unix_nano() is None


def test_the_dictionaries_explain_an_id_once(store: Store, derived: Derived) -> None:
    traces = [LearnedTrace(n, path={(SHOP,): 100}, edges={(SHOP, CART): {"Calls": 1}}) for n in range(1, 4)]

    for version in range(3):
        derived.write(learned(traces, NOW + version))

    with store.client() as client:
        assert client.query("SELECT count() FROM call_paths").result_rows == [(1,)]
        assert client.query("SELECT count() FROM edges").result_rows == [(1,)]


# Minutes


def minute_rows(store: Store) -> list[tuple[object, ...]]:
    with store.client() as client:
        return [
            tuple(row)
            for table in ("journey_minutes", "path_minutes", "edge_minutes")
            for row in client.query(
                f"SELECT * EXCEPT Version FROM {table} WHERE (Minute, Version) IN "
                "(SELECT Minute, max(Version) FROM minute_versions GROUP BY Minute) ORDER BY ALL"
            ).result_rows
        ]


def some_traces(number: int) -> list[LearnedTrace]:
    return [
        LearnedTrace(
            n + 1,
            start=NOON + n * MINUTE_NS // 3,
            duration_ns=100 + n,
            path={(SHOP,): 60 + n, (SHOP, CART): 40},
            edges={(SHOP, CART): {"Calls": 1, "PathNs": 40}},
        )
        for n in range(number)
    ]


def test_recomputing_a_minute_again_changes_nothing(store: Store, derived: Derived) -> None:
    batch = learned(some_traces(9), version=NOW + 1)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    before = minute_rows(store)

    derived.recompute_minutes(batch.minutes)
    derived.write(batch)
    derived.recompute_minutes([*batch.minutes, *batch.minutes])

    assert minute_rows(store) == before
    assert before


def test_a_trace_that_is_partly_sampled_is_there_and_counts_in_no_figure(store: Store, derived: Derived) -> None:
    whole = LearnedTrace(1, path={(("shop", "GET"),): 100}, weight=10.0)
    part = LearnedTrace(2, path={(("shop", "GET"),): 100}, weight=0.0, duration_ns=10**9, failed=True)
    derived.write(learned([whole, part], version=NOW))
    derived.recompute_minutes({whole.minute})

    (journey,) = Reader(store).journeys(WINDOW)

    assert (journey.traces, journey.weighted_traces, journey.failed) == (1, 10.0, 0.0)
    assert journey.slowest_trace_id == whole.hex_id
    assert part.hex_id in [found.trace_id for found in Reader(store).find(TraceQuery(WINDOW))]


def test_a_minute_that_lost_its_traces_is_empty(store: Store, derived: Derived) -> None:
    (trace,) = some_traces(1)
    derived.write(learned([trace], version=NOW + 1))
    derived.recompute_minutes([trace.minute])

    derived.delete_traces([TraceKey(trace.hex_id, trace.journey, trace.start)], version=NOW + 2)
    derived.recompute_minutes([trace.minute])

    assert minute_rows(store) == []


def test_a_crash_before_publishing_leaves_the_old_rows_to_be_read(store: Store) -> None:
    clock = FakeClock()
    derived = Derived(store, clock)
    derived.write(learned(some_traces(1), version=NOW + 1))
    derived.recompute_minutes([NOON // MINUTE_NS])
    before = minute_rows(store)
    derived.write(learned(some_traces(2), version=NOW + 2))
    with store.client() as client:
        run(client, "RENAME TABLE edge_minutes TO elsewhere")  # so that it stops in the middle, twice
        for _ in range(2):
            clock.now_ns += 1
            with pytest.raises(Exception, match="edge_minutes"):
                derived.recompute_minutes([NOON // MINUTE_NS])
        run(client, "RENAME TABLE elsewhere TO edge_minutes")
        for table in ("journey_minutes", "path_minutes", "edge_minutes"):
            run(client, f"OPTIMIZE TABLE {table} FINAL")

    assert minute_rows(store) == before


def test_superseded_rows_of_a_minute_are_merged_away(store: Store, derived: Derived) -> None:
    derived.write(learned(some_traces(1), version=NOW + 1))
    for _ in range(10):
        derived.recompute_minutes([NOON // MINUTE_NS])

    with store.client() as client:
        run(client, "OPTIMIZE TABLE journey_minutes FINAL")
        assert client.query("SELECT count() <= 2 FROM journey_minutes").result_rows == [(1,)]


def test_minutes_that_no_table_can_hold_are_left_out(derived: Derived) -> None:
    derived.recompute_minutes([-1, 2**32 // 60, 2**40])


def test_many_minutes_over_many_days_are_recomputed_at_once(own_store: Store) -> None:
    derived = Derived(own_store)
    traces = [LearnedTrace(n + 1, start=NOON + n * 1440 * MINUTE_NS, path={(SHOP,): 100}) for n in range(130)]
    batch = learned(traces, version=NOW + 1)
    derived.write(batch)

    derived.recompute_minutes(batch.minutes)

    (summary,) = Reader(own_store).journeys(Window(NOON, NOON + 200 * 1440 * MINUTE_NS))
    assert summary.traces == 130


# Services


def batch_of(*spans: Span, store: Store, derived: Derived) -> SpanBatch:
    commit(store, spans)
    return derived.read_arrivals({}).spans


def test_services_and_operations_that_sent_spans_are_known(store: Store, derived: Derived) -> None:
    spans = batch_of(
        Span(1, 1, name="GET /cart", service="cart", kind=2),
        Span(1, 2, name="GET", service="cart", kind=3),
        Span(1, 3, name="GET /", service="shop", kind=2),
        Span(1, 4, name="GET /", service="shop", kind=2),
        store=store,
        derived=derived,
    )

    derived.note_services(spans)

    reader = Reader(store)
    assert derived.known_services() == {"cart", "shop"}
    assert reader.services() == ["cart", "shop"]
    assert reader.operations("cart") == [("GET", "client"), ("GET /cart", "server")]
    assert reader.operations("nobody") == []
    assert reader.operations_named("get") == [("cart", "GET"), ("cart", "GET /cart"), ("shop", "GET /")]


def test_what_is_known_is_not_written_again_within_the_hour(own_store: Store) -> None:
    clock = FakeClock()
    derived = Derived(own_store, clock)
    spans = batch_of(Span(1, 1), store=own_store, derived=derived)

    def written() -> int:
        with own_store.client() as client:
            return int(
                str(
                    client.command(
                        "SELECT sum(rows) FROM system.parts WHERE active AND table = 'known_operations'"
                        " AND database = currentDatabase()"
                    )
                )
            )

    with own_store.client() as client:
        run(client, "SYSTEM STOP MERGES known_operations")
    derived.note_services(spans)
    derived.note_services(spans)
    assert written() == 1

    clock.now_ns += HOUR_S * 1_000_000_000
    derived.note_services(spans)
    assert written() == 2


def test_no_spans_make_no_service_known(derived: Derived) -> None:
    derived.note_services(empty_batch())

    assert derived.known_services() == frozenset()


def test_arrivals_can_be_read_while_others_are_committed(store: Store, derived: Derived) -> None:
    committer = Committer(store, lanes=2, linger_ms=0)
    done = threading.Event()

    def write() -> None:
        stored = [committer.submit(encode([Span(trace_id=n + 1, span_id=1)])) for n in range(200)]
        for future in stored:
            future.result(30)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    cursor: dict[int, int] = {}
    seen: list[str] = []
    finished = False
    while not finished:
        finished = done.is_set()
        while len(found := derived.read_arrivals(cursor, limit=50)):
            cursor |= found.last()
            seen += [trace_id for trace_id, _ in spans_of(found)]
    writer.join()
    committer.close()

    assert sorted(seen) == sorted(f"{n + 1:032x}" for n in range(200))
    assert np.all(np.array(list(cursor.values())) > 0)
