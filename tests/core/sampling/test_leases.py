from hypothesis import given
from hypothesis import strategies as st

from collector.core.sampling.leases import Lease
from collector.core.sampling.roots import Root, Step, roots_of

turns = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=60)


@given(st.integers(1, 200), turns)
def test_whoever_uses_what_they_are_granted_never_uses_more_than_the_total(total: int, turns: list[tuple[str, int]]):
    lease = Lease(total, ceiling=total)
    used = dict.fromkeys("abc", 0)

    for instance, wants in turns:
        granted = lease.top_up(instance, "abc")
        used[instance] = min(granted, used[instance] + wants)
        lease.report(instance, used[instance])

        assert sum(lease.granted.values()) <= total
    assert lease.used_in_all == sum(used.values())


def test_one_busy_instance_gets_nearly_all():
    lease = Lease(100, ceiling=100)
    used = 0
    for _ in range(40):
        used = lease.top_up("busy", ["busy", "idle"])
        lease.report("busy", used)
        lease.top_up("idle", ["busy", "idle"])

    assert used >= 60
    assert sum(lease.granted.values()) == 100


def test_nothing_is_handed_out_beyond_what_is_written_down():
    lease = Lease(100)
    before = lease.top_up("a", ["a"])
    is_short = lease.is_short

    lease.ceiling = lease.next_ceiling

    assert (before, is_short) == (0, True)
    assert 0 < lease.top_up("a", ["a"]) <= 25


def test_an_instance_that_outlived_its_server_keeps_what_it_had():
    lease = Lease(100, ceiling=100, before=50)

    lease.report("a", 30)

    assert lease.before == 20
    assert lease.handed_out == 50


STEPS = {
    1: Step(0, "shop", "POST /buy"),
    2: Step(1, "cart", "checkout"),
    3: Step(2, "stock", "reserve"),
    4: Step(0, "admin", "GET /stock"),
    5: Step(4, "stock", "reserve"),
    6: Step(99, "stock", "reserve"),
    7: Step(8, "stock", "reserve"),
    8: Step(7, "loop", "loop"),
}


def test_the_roots_above_an_operation_are_found():
    assert roots_of([3, 5, 6, 7], STEPS) == [Root("admin", "GET /stock"), Root("shop", "POST /buy")]


def test_only_the_roots_that_come_by_way_of_the_caller_are_found():
    assert roots_of([3, 5], STEPS, below="cart") == [Root("shop", "POST /buy")]
    assert roots_of([3, 5], STEPS, below="stock") == []


def test_a_root_is_its_own_root():
    assert roots_of([1], STEPS) == [Root("shop", "POST /buy")]
