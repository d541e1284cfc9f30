"""What is in force and what boosts have set aside, in a form that several collectors may write at once.

    a writes 8: x        b writes 8: y, knowing 7          both, having read both:  8: x and y

Each writes the whole of what it knows. What two have written becomes one by taking of each policy what was changed
last, and of each account the larger number: in any order, however often, with the same result. So a record needs no
lock, nobody has to be asked, and no change is lost but one of the same policy in the same moment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from collector.core.sampling.leases import Lease
from collector.core.sampling.policies import Book
from cpdd.sampling.document import Policy, parse_policy, policy_json
from cpdd.sampling.fields import PolicyError

MAX_GONE = 100
"""How many policies that are gone are remembered by name; of others it is known that they are older."""

Unit = tuple[Policy, ...]
"""Policies that change together: a boost with all its parts, or one policy."""


class Stamp(NamedTuple):
    """When something was changed last. The larger one is the later; of two changes at once it is so for everybody."""

    version: int
    writer: str


@dataclass(frozen=True)
class Record:
    """What one collector knows."""

    book: Book = field(default_factory=Book)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    """By lease, of what is gone as well."""
    floor: int = 0
    """Version up to which what is not here is gone."""
    claims: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Traces set aside by lease and writer, in all since the boost began. Numbers only grow."""

    def changed(self, book: Book, writer: str) -> "Record":
        """Return the record after a change by `writer`, who sets aside a first part for boosts that begin to count."""
        before, after = _units(self.book), _units(book)
        touched = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        stamps = {**self.stamps, **dict.fromkeys(touched, Stamp(book.version, writer))}
        forgotten = sorted(stamps[name] for name in stamps.keys() - after.keys())[:-MAX_GONE]
        floor = max([self.floor, *(stamp.version for stamp in forgotten)])
        stamps = {name: stamp for name, stamp in stamps.items() if name in after or stamp.version > floor}
        claims = {
            name: self.claims.get(name) or {writer: Lease(total).next_claim} for name, total in totals(book).items()
        }
        return Record(book, stamps, floor, claims)

    def claiming(self, writer: str, claims: Mapping[str, int]) -> "Record":
        """Return the record with so much set aside for `writer` in all, by lease."""
        more = {name: {**self.claims.get(name, {}), writer: number} for name, number in claims.items()}
        return Record(self.book, self.stamps, self.floor, {**self.claims, **more})

    def merged(self, other: "Record") -> "Record":
        """Return what both know."""
        mine, theirs = _units(self.book), _units(other.book)
        stamps: dict[str, Stamp] = {}
        units: dict[str, Unit] = {}
        for name in self.stamps.keys() | other.stamps.keys():
            stamp = _later(name, self, other)
            if stamp is None:
                continue
            stamps[name] = stamp
            # what one could not read, of a newer cpdd, the other may
            known = [side.get(name, ()) for of, side in ((self, mine), (other, theirs)) if of.stamps.get(name) == stamp]
            if unit := max(known, key=len):
                units[name] = unit
        in_time = sorted(units, key=lambda name: stamps[name])
        policies = {policy.id: policy for name in in_time for policy in units[name]}
        book = Book(max(self.book.version, other.book.version), {id: policies[id] for id in sorted(policies)})
        claims = {
            name: _larger(self.claims.get(name, {}), other.claims.get(name, {}))
            for name in sorted(self.claims.keys() | other.claims.keys())
            if name in units
        }
        return Record(book, stamps, max(self.floor, other.floor), claims)


def totals(book: Book) -> dict[str, int]:
    """Return how many traces each boost that counts may add, by lease."""
    return {policy.lease: policy.max_traces for policy in book.policies.values() if policy.max_traces is not None}


def record_json(record: Record) -> dict[str, Any]:
    """Return a record as it is stored. `reserved` is for those who know no writers, from before there were several."""
    return {
        "version": record.book.version,
        "policies": [policy_json(policy) for policy in record.book.policies.values()],
        "reserved": {name: sum(claims.values()) for name, claims in record.claims.items()},
        "stamps": {name: list(stamp) for name, stamp in record.stamps.items()},
        "floor": record.floor,
        "claims": record.claims,
    }


def read_record(state: Mapping[str, Any], left_out: Callable[[PolicyError], None]) -> Record:
    """Return a record that was stored.

    One without stamps was the only one in its time: it stands for all before it.

    Args:
        left_out: is told of a policy that cannot be read, of a newer cpdd; the others go on.
    """
    version = int(state["version"])
    policies: list[Policy] = []
    for index, value in enumerate(state["policies"]):
        try:
            policies.append(parse_policy(value, f"policies[{index}]"))
        except PolicyError as error:
            left_out(error)
    book = Book(version, {policy.id: policy for policy in policies})
    if "stamps" not in state:
        claims = {str(name): {"": int(number)} for name, number in state["reserved"].items()}
        return Record(book, dict.fromkeys(_units(book), Stamp(version, "")), version, claims)
    stamps = {str(name): Stamp(int(at), str(writer)) for name, (at, writer) in state["stamps"].items()}
    return Record(book, stamps, int(state["floor"]), state["claims"])


def _units(book: Book) -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for policy in book.policies.values():
        found[policy.lease] = (*found.get(policy.lease, ()), policy)
    return found


def _later(name: str, one: Record, other: Record) -> Stamp | None:
    """Return when something was changed last, None where one of them knows that it is gone."""
    mine, theirs = one.stamps.get(name), other.stamps.get(name)
    if mine is not None and theirs is not None:
        return max(mine, theirs)
    stamp, floor = (mine, other.floor) if theirs is None else (theirs, one.floor)
    return stamp if stamp is not None and stamp.version > floor else None


def _larger(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {writer: max(one.get(writer, 0), other.get(writer, 0)) for writer in sorted(one.keys() | other.keys())}
