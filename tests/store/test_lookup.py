"""Where traces lie: the pairs by which their rows are asked for."""

import pytest

from collector.store import lookup
from collector.store.engine import Store
from collector.store.lookup import Place, lie_by_shelf, pairs

A, B = "a" * 32, "b" * 32
SECOND_NS = 1_000_000_000


def test_a_trace_is_asked_for_in_every_stretch_that_it_touches() -> None:
    (parameters,) = pairs([Place(A, 119, 240), Place(B, 60, 60)], step_s=60)

    assert list(zip(parameters["starts"], parameters["ids"], strict=True)) == [  # type: ignore[call-overload]
        *((60, A), (120, A), (180, A), (240, A)),
        (60, B),
    ]
    assert (parameters["first_ns"], parameters["last_ns"]) == (60 * SECOND_NS, 241 * SECOND_NS - 1)


def test_a_margin_reaches_into_the_stretches_beside_it_but_not_before_1970() -> None:
    (parameters,) = pairs([Place(A, 30, 119)], step_s=60, margin_s=60)

    assert parameters["starts"] == [0, 60, 120]
    assert (parameters["first_ns"], parameters["last_ns"]) == (0, 180 * SECOND_NS - 1)


def test_many_long_traces_are_several_queries() -> None:
    day = 86_400
    places = [Place(f"{n:032x}", n, n + 20 * day) for n in range(5)]

    queries = list(pairs(places, step_s=60))

    assert [len(set(query["ids"])) for query in queries] == [1, 1, 1, 1, 1]  # type: ignore[call-overload]
    assert sum(len(query["starts"]) for query in queries) > lookup.MAX_PAIRS  # type: ignore[arg-type, misc]


def test_a_trace_is_asked_for_on_every_shelf_that_it_is_on() -> None:
    (parameters,) = pairs([Place(A, 60, 60, (7, 9)), Place(B, 60, 60)], step_s=60)

    assert parameters["shelves"] == [7, 9, 0]
    assert parameters["shelved"] == [A, A, B]


def test_traces_on_many_shelves_are_several_queries() -> None:
    places = [Place(f"{n:032x}", 60, 60, tuple(range(20_000))) for n in range(5)]

    queries = list(pairs(places, step_s=60))

    assert [len(query["shelves"]) for query in queries] == [40_000, 40_000, 20_000]  # type: ignore[arg-type]


def test_no_trace_is_no_query() -> None:
    assert list(pairs([], step_s=60)) == []


@pytest.mark.parametrize(
    ("key", "by_shelf"), [("(Shelf, ServiceName, TraceId)", True), ("(ServiceName, TraceId, SpanId)", False)]
)
def test_a_table_of_before_there_were_shelves_is_known_by_its_order(own_store: Store, key: str, by_shelf: bool) -> None:
    with own_store.client() as client:
        client.command("CREATE TABLE old AS otel_traces ENGINE = MergeTree ORDER BY " + key)
        client.command("DROP TABLE otel_traces")
        client.command("RENAME TABLE old TO otel_traces")

        assert lie_by_shelf(client) == by_shelf
