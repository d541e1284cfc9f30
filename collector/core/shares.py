"""Who analyzes which share of the traces: the space of hashes of trace ids in SHARES ranges, each with one owner.

    alone   1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
    of two  1 2 3 4 5 6 7 8 | 9 10 11 12 13 14 15 16      the one that came first has the first half

A share is claimed in the store before it is worked on, and given back when the work on it has stopped. Who has
claimed one owns it when, looking *after* that, nobody else claims it: of two that claim at once, the one that looks
last sees the other. So a share never has two owners, and whoever stands behind in the line gives way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

SHARES = 16
"""A power of two, at most 16: the most analyzers that can share the work. Shares are numbered from 1."""

Shares = frozenset[int]
ALL: Shares = frozenset(range(1, SHARES + 1))
NONE: Shares = frozenset()


@dataclass(frozen=True, slots=True)
class Position:
    """What one looks at: the claims of all that are there, in the order of the line, and its own place among them."""

    claims: Sequence[Shares]
    place: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What one owns, and what it claims from now on."""

    owned: Shares
    claimed: Shares


def due(place: int, members: int) -> Shares:
    """Return the shares of the member at `place` of so many: neighbours, all shares given out, none twice.

    >>> sorted(due(1, 3)), due(16, 17)
    ([7, 8, 9, 10, 11], frozenset())
    """
    given_out = min(members, SHARES)
    return frozenset(share for share in ALL if (share - 1) * given_out // SHARES == place)


def settle(position: Position, owned: Shares, in_use: Shares) -> Holding:
    """Return what is owned after a look at the others.

    Args:
        position: own claims among them as they were written *before* the look.
        owned: before it.
        in_use: what work has not stopped on yet; it stays claimed.
    """
    others = frozenset[int]().union(*(one for place, one in enumerate(position.claims) if place != position.place))
    ahead = frozenset[int]().union(*position.claims[: position.place])
    mine = position.claims[position.place]
    wanted = due(position.place, len(position.claims))
    kept = owned & wanted
    won = (mine & wanted) - others
    waiting = (mine & wanted) - ahead  # those behind give way
    free = wanted - others - mine
    return Holding(kept | won, kept | won | waiting | free | in_use)


def as_mask(shares: Shares) -> int:
    """Return a number with a bit for each share, the first one lowest."""
    return sum(1 << (share - 1) for share in shares)


def from_mask(mask: int) -> Shares:
    """Return what `as_mask` was given.

    >>> from_mask(as_mask(frozenset({1, 16}))) == {1, 16}
    True
    """
    return frozenset(share for share in ALL if mask >> (share - 1) & 1)
