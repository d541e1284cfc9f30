"""What several collectors wrote becomes one, whoever reads it in whatever order."""

import json
from dataclasses import replace
from functools import reduce
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.core.sampling.record import MAX_GONE, Record, read_record, record_json
from cpdd.sampling.document import Policy, parse_policy
from tests.cpdd.sampling.policies import policy


def fixed(name: str, percentage: float = 10) -> Policy:
    return parse_policy(policy(name, percentage))


def boost(name: str, group: str = "", max_traces: int = 40) -> Policy:
    ours: dict[str, Any] = {"kind": "boost", "expires_unix_ms": 1_000, "max_traces": max_traces}
    return parse_policy(policy(name, 100, **ours, **({"group": group} if group else {})))


def put(record: Record, writer: str, *policies: Policy) -> Record:
    return record.changed(record.book.put(policies, 0), writer)


def drop(record: Record, writer: str, name: str) -> Record:
    return record.changed(record.book.without(name, 0), writer)


def stored(record: Record) -> Record:
    def fail(error: Exception) -> None:
        raise error

    return read_record(json.loads(json.dumps(record_json(record))), fail)


def percentages(record: Record) -> dict[str, float | None]:
    return {name: policy.percentage for name, policy in record.book.policies.items()}


def test_two_changes_at_once_are_both_in_force():
    before = put(Record(), "a", fixed("old"))
    one, other = put(before, "a", fixed("x")), put(before, "b", fixed("y"))

    both = one.merged(other)

    assert sorted(both.book.policies) == ["old", "x", "y"]
    assert both.book.version == 2


def test_of_two_changes_of_one_policy_at_once_everybody_takes_the_same():
    one, other = put(Record(), "a", fixed("x", 1)), put(Record(), "b", fixed("x", 2))

    assert percentages(one.merged(other)) == percentages(other.merged(one)) == {"x": 2}


def test_what_was_deleted_does_not_come_back_from_one_that_has_not_heard_of_it():
    before = put(Record(), "a", fixed("x"), fixed("y"))
    after = drop(before, "b", "x")

    assert sorted(before.merged(after).book.policies) == ["y"]


def test_what_was_changed_after_it_was_deleted_elsewhere_is_there():
    before = put(Record(), "a", fixed("x"))
    deleted, changed = drop(before, "b", "x"), put(put(before, "a", fixed("y")), "a", fixed("x", 50))

    assert percentages(deleted.merged(changed)) == {"x": 50, "y": 10}


def test_what_was_deleted_long_ago_stays_so_without_its_name():
    early = put(Record(), "a", fixed("x"))
    record = drop(early, "b", "x")
    for number in range(MAX_GONE + 1):
        record = drop(put(record, "b", fixed(f"p{number}")), "b", f"p{number}")

    assert "x" not in record.stamps
    assert not record.merged(early).book.policies
    assert not early.merged(record).book.policies


def test_a_boost_is_taken_with_all_its_parts():
    one = put(Record(), "a", boost("inc"), boost("inc.2", "inc"))
    other = put(Record(), "b", boost("inc"))

    assert sorted(one.merged(other).book.policies) == ["inc"]


def test_who_makes_a_boost_sets_a_part_of_its_traces_aside_and_accounts_are_added_up():
    made = put(Record(), "a", boost("inc", max_traces=40))
    one = made.claiming("a", {"inc": 20})
    other = made.claiming("b", {"inc": 8})

    both = one.merged(other)

    assert made.claims == {"inc": {"a": 10}}
    assert both.claims == {"inc": {"a": 20, "b": 8}}
    assert record_json(both)["reserved"] == {"inc": 28}
    assert drop(both, "a", "inc").claims == {}


def test_a_state_from_before_there_were_several_writers_stands_for_all_before_it():
    old = {"version": 3, "policies": [policy("x", 10)], "reserved": {"inc": 25}}
    known = put(put(Record(), "a", fixed("y")), "a", fixed("z"))

    record = read_record(old, lambda error: None)

    assert sorted(known.merged(record).book.policies) == ["x"]
    assert sorted(put(known, "a", fixed("x")).merged(put(record, "b", fixed("w"))).book.policies) == ["w", "x"]
    assert record.claims == {"inc": {"": 25}}


def test_a_policy_that_one_cannot_read_is_not_lost_to_those_that_can():
    whole = put(Record(), "a", fixed("x"), fixed("y"))
    state = record_json(whole)
    state["policies"] = [value for value in state["policies"] if value["id"] != "x"] + [{"id": "x", "trace": {}}]
    problems: list[Exception] = []
    part = read_record(state, problems.append)

    assert len(problems) == 1
    assert sorted(put(part, "b", fixed("z")).merged(whole).book.policies) == ["x", "y", "z"]


changes = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "drop", "claim", "read"]), st.sampled_from("xyz")),
    max_size=30,
)


@given(changes)
def test_whatever_was_written_is_read_the_same_in_any_order_and_twice(steps: list[tuple[str, str, str]]):
    records = {writer: Record() for writer in "abc"}
    for number, (writer, what, name) in enumerate(steps):
        record = records[writer]
        match what:
            case "put":
                records[writer] = put(record, writer, replace(boost(name, max_traces=100), percentage=number))
            case "drop" if name in record.book.policies:
                records[writer] = drop(record, writer, name)
            case "claim" if name in record.claims:
                records[writer] = record.claiming(writer, {name: record.claims[name].get(writer, 0) + 5})
            case "read":
                records[writer] = record.merged(stored(records["abc"[number % 3]]))

    read = [reduce(Record.merged, order, Record()) for order in permutations(map(stored, records.values()))]

    assert all(one.book == read[0].book and one.stamps == read[0].stamps for one in read)
    assert all(list(one.book.policies) == list(read[0].book.policies) for one in read)
    assert all(one.merged(read[0]).book == one.book for one in read)
    assert stored(read[0]) == read[0]
    for record in records.values():
        for name, claims in record.claims.items():
            if record.stamps[name] == read[0].stamps[name]:
                assert all(one.claims[name][writer] >= claims[writer] for one in read for writer in claims)
