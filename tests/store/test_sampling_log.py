import numpy as np

from collector.core.sampling.roots import Root
from collector.store.derived import Derived
from collector.store.engine import Store, run
from collector.store.roots import RootFinder
from collector.store.sampling_log import RECENT_VERSIONS, RESERVED, Change, SamplingLog
from tests.store.conftest import Place


def change(version: int, action: str = "set", at_unix_ms: int = 0) -> Change:
    return Change(version, at_unix_ms or 1_800_000_000_000 + version, action, "p", "ann 'o\"", "why\nnot", "what 🦊")


def test_a_store_where_nothing_was_changed_has_no_state(store: Store):
    log = SamplingLog(store)

    assert log.written() == {}
    assert log.states([]) == []
    assert log.changes() == []


def test_the_last_row_of_a_writer_is_its_state_and_all_changes_are_kept_newest_first(store: Store):
    log = SamplingLog(store)

    log.append("a", change(1), {"version": 1, "policies": []})
    log.append("a", change(2), {"version": 2, "policies": [{"id": "x\\'\t"}]})
    log.append("a", change(2, RESERVED), {"version": 2, "reserved": {"x": 5}})

    assert log.written() == {"a": 3}
    assert log.states(["a"]) == [{"version": 2, "reserved": {"x": 5}}]
    assert log.changes() == [change(2), change(1)]
    assert log.changes(limit=1) == [change(2)]


def test_each_writer_has_its_own_last_row_but_for_those_who_wrote_long_ago(store: Store):
    one, other = SamplingLog(store), SamplingLog(store)
    one.append("gone", change(1), {"of": "gone"})
    one.append("one", change(2), {"of": "one"})
    other.append("other", change(RECENT_VERSIONS + 1), {"of": "other"})

    states = one.states(list(other.written()))

    assert sorted(state["of"] for state in states) == ["one", "other"]
    assert one.states(["one"]) == [{"of": "one"}]


def test_rows_from_before_there_were_several_writers_are_those_of_one(store: Store):
    log = SamplingLog(store)
    with store.client() as client:
        for version, at in ((1, 9), (2, 7), (2, 8)):
            run(client, f"INSERT INTO sampling_log (Version, At, State) VALUES ({version}, {at}, '{{\"at\": {at}}}')")

    assert log.written() == {"": 3}
    assert log.states([""]) == [{"at": 8}]


def test_the_log_outlives_the_process(place: Place):
    store = place.open()
    SamplingLog(store).append("a", change(7), {"version": 7})
    store.close()

    again = SamplingLog(place.open())

    assert again.states(["a"]) == [{"version": 7}]
    assert again.changes() == [change(7)]


def test_the_roots_above_an_operation_are_found_in_what_was_learned(store: Store):
    steps = [
        (1, 0, "shop", "POST /buy"),
        (2, 1, "cart", "checkout"),
        (3, 2, "stock", "reserve"),
        (4, 0, "admin", "GET /stock"),
        (5, 4, "stock", "reserve"),
    ]
    columns = {
        "Id": np.array([step[0] for step in steps], np.uint64),
        "Parent": np.array([step[1] for step in steps], np.uint64),
        "Service": [step[2] for step in steps],
        "Operation": [step[3] for step in steps],
        "Kind": ["server"] * len(steps),
    }
    Derived(store).write_call_paths(columns)
    finder = RootFinder(store)

    assert finder.find("stock", "reserve") == [Root("admin", "GET /stock"), Root("shop", "POST /buy")]
    assert finder.find("stock", "reserve", below="cart") == [Root("shop", "POST /buy")]
    assert finder.find("cart") == [Root("shop", "POST /buy")]
    assert finder.find("nobody", "nothing") == []
    assert finder.operations("stock") == ["reserve"]
