"""No share of the traces ever has two analyzers, whatever order they write and look in, and none is left out."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.shares import ALL, NONE, SHARES, Holding, Position, Shares, as_mask, due, from_mask, settle


@pytest.mark.parametrize("members", [1, 2, 3, 7, SHARES, SHARES + 3])
def test_all_shares_are_given_out_once(members: int) -> None:
    each = [due(place, members) for place in range(members)]

    assert frozenset().union(*each) == ALL
    assert sum(map(len, each)) == SHARES


@pytest.mark.parametrize("members", [2, 3, 5])
def test_shares_are_given_out_evenly(members: int) -> None:
    sizes = [len(due(place, members)) for place in range(members)]

    assert max(sizes) - min(sizes) <= 1


@given(st.frozensets(st.integers(1, SHARES)))
def test_a_mask_says_the_same(shares: Shares) -> None:
    assert from_mask(as_mask(shares)) == shares


def test_who_was_taken_for_dead_does_not_get_back_what_another_has_claimed_meanwhile() -> None:
    old_claim = due(1, 2)

    holding = settle(Position([ALL, old_claim], place=1), owned=NONE, in_use=NONE)

    assert holding.owned == NONE


def test_of_two_that_claim_at_once_the_one_behind_gives_way() -> None:
    claims = [frozenset({8, 9}), frozenset({9, 10})]

    first = settle(Position(claims, place=0), owned=NONE, in_use=NONE)
    second = settle(Position([ALL, ALL], place=1), owned=NONE, in_use=NONE)

    assert first == Holding(owned=frozenset({8}), claimed=due(0, 2))
    assert second == Holding(owned=NONE, claimed=NONE)


@dataclass
class Member:
    """A collector: what it decided to claim, what it works on."""

    claimed: Shares = NONE
    owned: Shares = NONE
    in_use: Shares = NONE
    is_silent: bool = False
    """For so long that others take it for dead."""


@dataclass
class Line:
    """The store between them: the claims that are written, in the order of the line."""

    members: dict[int, Member] = field(default_factory=dict)
    written: dict[int, Shares] = field(default_factory=dict)
    joined: int = 0

    def join(self) -> None:
        self.members[self.joined], self.written[self.joined] = Member(), NONE
        self.joined += 1

    def end(self, name: int) -> None:
        """It is gone for so long that nobody waits for it, and works on nothing any more."""
        del self.members[name], self.written[name]

    def fall_silent(self, name: int) -> None:
        """Nothing that it owned is valid any more, and it has seen that; what it claimed is still written."""
        member = self.members[name]
        member.owned, member.in_use, member.is_silent = NONE, NONE, True

    def write(self, name: int) -> None:
        self.written[name] = self.members[name].claimed
        self.members[name].is_silent = False

    def look(self, name: int) -> None:
        member = self.members[name]
        if member.is_silent:  # a beat begins with what it writes
            return
        there = [one for one in self.written if one == name or not self.members[one].is_silent]
        position = Position([self.written[one] for one in there], there.index(name))
        holding = settle(position, member.owned, member.in_use)
        member.owned, member.claimed = holding.owned, holding.claimed

    def work(self, name: int) -> None:
        self.members[name].in_use = self.members[name].owned

    def beat(self, name: int) -> None:
        """As `Turns.beat` does."""
        self.write(name)
        self.look(name)
        self.write(name)
        self.work(name)


steps = st.lists(
    st.tuples(
        st.sampled_from(["join", "write", "look", "look", "write", "work", "fall_silent", "end"]), st.integers(0, 5)
    ),
    max_size=120,
)


@given(steps)
def test_a_share_has_one_analyzer_in_whatever_order_they_write_and_look(todo: list[tuple[str, int]]) -> None:
    line = Line()
    for action, number in [("join", 0), *todo]:
        if action == "join":
            if len(line.members) < 5:
                line.join()
        elif line.members:
            name = list(line.members)[number % len(line.members)]
            getattr(line, action)(name)

        working = [member.in_use for member in line.members.values()]
        assert sum(map(len, working)) == len(frozenset[int]().union(*working))


@given(steps)
def test_when_nobody_comes_or_goes_every_share_is_analyzed(todo: list[tuple[str, int]]) -> None:
    line = Line()
    for action, number in [("join", 0), *todo]:
        if action == "join" and len(line.members) < 5:
            line.join()
        elif action == "end" and len(line.members) > 1:
            line.end(list(line.members)[number % len(line.members)])
        elif line.members:
            line.beat(list(line.members)[number % len(line.members)])

    for _ in range(6):
        for name in list(line.members):
            line.beat(name)

    assert [member.in_use for member in line.members.values()] == [
        due(place, len(line.members)) for place in range(len(line.members))
    ]
