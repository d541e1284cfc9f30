"""A contract's text to its rules. Pure: the caller reads the file. docs/reference/contracts.md describes the form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from collector.core.contracts.names import (
    CallName,
    NotAName,
    is_call,
    read_call,
    read_operation,
)
from collector.core.contracts.rules import (
    QUANTILES,
    AtMost,
    By,
    Latency,
    Mandatory,
    NeverOnPath,
    NoErrors,
    NoNewMandatory,
    Rule,
)
from collector.core.toml_table import Table, TableError, read_toml

JOURNEY_KEYS = (
    "never_on_path",
    "at_most",
    "latency",
    "no_errors",
    "mandatory",
    "no_new_mandatory",
    "min_traces",
)


class ContractError(TableError):
    """A contract, or a baseline of one, that cannot be used."""


@dataclass(frozen=True, slots=True)
class JourneyContract:
    """What is promised of one journey, or of all whose name fits."""

    journey: str
    """`*` in it stands for anything."""
    rules: tuple[Rule, ...]
    min_traces: int | None
    """How many traces it takes to say anything; None: as many as each rule needs by itself."""


@dataclass(frozen=True, slots=True)
class Contract:
    name: str
    journeys: tuple[JourneyContract, ...]

    def baselines(self) -> tuple[str, ...]:
        """Return the files that rules refer to, as the contract spells them, each once."""
        rules = (rule for journey in self.journeys for rule in journey.rules)
        return tuple(dict.fromkeys(r.baseline for r in rules if isinstance(r, NoNewMandatory) and r.baseline))


def read_contract(text: str, name: str) -> Contract:
    """Return the contract in `text`.

    Args:
        name: of the file, for messages.
    Raises:
        ContractError: names the file, the table, the key and the value, and what would do.
    """
    top = read_toml(text, f"contract {name}", ContractError)
    top.expect(("journey",))
    journeys = top.table("journey")
    if not journeys.content:
        top.fail('no journey: a contract has tables such as [journey."check out"]')
    read = tuple(_journey(journey, journeys.table(journey)) for journey in journeys.content)
    return Contract(name, read)


def _journey(journey: str, table: Table) -> JourneyContract:
    table.expect(JOURNEY_KEYS)
    rules = tuple(_rules(table))
    if not rules:
        table.fail("no rule in this table", hint=f"rules are {', '.join(JOURNEY_KEYS[:-1])}")
    return JourneyContract(
        journey, rules, table.whole_number("min_traces", 1) if "min_traces" in table.content else None
    )


def _rules(table: Table) -> Iterator[Rule]:
    """In the order in which the contract has them, since that is how its author reads the answer."""
    for key in table.content:
        match key:
            case "never_on_path":
                yield from (NeverOnPath(call) for call in _calls(table, key))
            case "at_most":
                yield from _at_most(table.table(key))
            case "latency":
                yield from _latency(table.table(key))
            case "no_errors":
                if table.flag(key):
                    yield NoErrors()
            case "mandatory":
                inner = table.table(key)
                inner.expect(("calls", "by"))
                yield Mandatory(_calls(inner, "calls"), _by(inner))
            case "no_new_mandatory":
                yield _no_new_mandatory(table.table(key))


def _at_most(table: Table) -> Iterator[Rule]:
    for name in table.content:
        try:
            of = read_call(name) if is_call(name) else read_operation(name)
        except NotAName as error:
            table.fail(f"{name!r} names no operation and no call: {error}", name)
        yield AtMost(of, table.duration_ns(name))


def _latency(table: Table) -> Iterator[Rule]:
    table.expect(tuple(QUANTILES))
    for quantile in table.content:
        yield Latency(quantile, table.duration_ns(quantile))


def _no_new_mandatory(table: Table) -> Rule:
    table.expect(("baseline", "known", "by"))
    if ("baseline" in table.content) == ("known" in table.content):
        table.fail("either a baseline or the list of known calls is expected", hint='baseline = "baseline.json"')
    if "known" in table.content:
        return NoNewMandatory(_calls(table, "known"), "", _by(table))
    return NoNewMandatory((), table.text("baseline"), _by(table))


def _calls(table: Table, key: str) -> tuple[CallName, ...]:
    calls = []
    for text in table.texts(key, '["shop -> payment"]'):
        try:
            calls.append(read_call(text))
        except NotAName as error:
            table.fail(f"{text!r} names no call: {error}", key)
    return tuple(calls)


def _by(table: Table) -> By:
    if "by" not in table.content:
        table.fail(
            "by is missing: whose word counts",
            hint='by = "observed" (what failures did) or by = "declared" (what the code says)',
        )
    return cast("By", table.one_of("by", ("observed", "declared")))
