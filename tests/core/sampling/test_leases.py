import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.sampling.leases import Lease
from collector.core.sampling.roots import Root, Step, roots_of

turns = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=60)


@given(st.integers(1, 200), turns)
def test_whoever_uses_what_they_are_granted_never_uses_more_than_the_total(total: int, turns: list[tuple[str, int]]):
    lease = Lease(total, claimed=total, allowed=total)
    used = dict.fromkeys("abc", 0)

    for instance, wants in turns:
        granted = lease.top_up(instance, "abc")
        used[instance] = min(granted, used[instance] + wants)
        lease.report(instance, used[instance])

        assert sum(lease.granted.values()) <= total
    assert lease.used_in_all == sum(used.values())


def test_one_busy_instance_gets_nearly_all():
    lease = Lease(100, claimed=100, allowed=100)
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

    lease.settle(100, lease.next_claim, 0)

    assert (before, is_short) == (0, True)
    assert 0 < lease.top_up("a", ["a"]) <= 25


def test_an_instance_that_outlived_its_server_keeps_what_it_had():
    lease = Lease(100, claimed=25, allowed=25, elsewhere=50)

    lease.report("a", 30)

    assert lease.handed_out == 0
    assert lease.used_in_all == 50
    assert lease.top_up("a", ["a"]) == 30 + 13


class Server:
    """One of several that set traces aside, each in its own time."""

    def __init__(self, total: int) -> None:
        self.lease = Lease(total)

    def write(self, account: dict["Server", int]) -> None:
        if self.lease.is_short:
            account[self] = max(account.get(self, 0), self.lease.next_claim)

    def look(self, account: dict["Server", int]) -> None:
        elsewhere = sum(claimed for server, claimed in account.items() if server is not self)
        self.lease.settle(self.lease.total, account.get(self, 0), elsewhere)

    def hand_out(self) -> None:
        self.lease.report("a", self.lease.top_up("a", ["a"]))


steps = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["write", "look", "hand out"])), max_size=100)


@given(st.integers(1, 60), steps)
def test_servers_that_write_before_they_look_never_hand_out_more_than_the_total(
    total: int, steps: list[tuple[int, str]]
):
    servers, account = [Server(total) for _ in range(3)], dict[Server, int]()

    for number, step in steps:
        match step:
            case "write":
                servers[number].write(account)
            case "look":
                servers[number].look(account)
            case _:
                servers[number].hand_out()

        assert sum(server.lease.handed_out for server in servers) <= total


@pytest.mark.parametrize("total", [1, 7, 500])
def test_servers_that_take_turns_hand_out_all_there_is(total: int):
    servers, account = [Server(total) for _ in range(8)], dict[Server, int]()

    for _ in range(total + 1):
        for server in servers:
            server.look(account)
            server.write(account)
            server.look(account)
            server.hand_out()

    assert sum(server.lease.handed_out for server in servers) == total
    assert all(server.lease.handed_out for server in servers) or total < 8


def test_of_two_that_take_the_last_at_once_each_has_what_the_other_leaves():
    one, other = Server(10), Server(10)
    account = {one: 7, other: 6}

    for server in (one, other):
        server.look(account)

    assert (one.lease.left, other.lease.left) == (4, 3)
    assert not one.lease.is_short


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
