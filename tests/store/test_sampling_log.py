import numpy as np

from collector.core.sampling.roots import Root
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.roots import RootFinder
from collector.store.sampling_log import RESERVED, Change, SamplingLog
from tests.store.conftest import Place


def change(version: int, action: str = "set", at_unix_ms: int = 0) -> Change:
    return Change(version, at_unix_ms or 1_800_000_000_000 + version, action, "p", "ann 'o\"", "why\nnot", "what 🦊")


def test_a_store_where_nothing_was_changed_has_no_state(store: Store):
    log = SamplingLog(store)

    assert log.state() is None
    assert log.changes() == []


def test_the_last_change_is_the_state_and_all_are_kept_newest_first(store: Store):
    log = SamplingLog(store)

    log.append(change(1), {"version": 1, "policies": []})
    log.append(change(2), {"version": 2, "policies": [{"id": "x\\'\t"}]})
    log.append(change(2, RESERVED, 1_900_000_000_000), {"version": 2, "reserved": {"x": 5}})

    assert log.state() == {"version": 2, "reserved": {"x": 5}}
    assert log.changes() == [change(2), change(1)]
    assert log.changes(limit=1) == [change(2)]


def test_the_log_outlives_the_process(place: Place):
    store = place.open()
    SamplingLog(store).append(change(7), {"version": 7})
    store.close()

    again = SamplingLog(place.open())

    assert again.state() == {"version": 7}
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
