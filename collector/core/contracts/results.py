"""What became of a rule: kept, broken, or not enough data to say; with the facts, and a trace to look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Fact = int | float | str


class Outcome(Enum):
    """The value is the word for people."""

    KEPT = "kept"
    BROKEN = "broken"
    UNDECIDED = "not enough data"


@dataclass(frozen=True, slots=True)
class Example:
    """A trace that shows what broke a rule."""

    trace_id: str
    span_ids: tuple[str, ...]
    """The spans at fault, as `explain` names them: `ID`, or `ID/server`."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule, held against the traces of one journey.

    `title` and `why` are sentences with `{fact}` in them, so that a terminal, a page and JSON say the same in their own
    figures. Facts ending in `_ns` are durations, other numbers counts (`calls` and `traces` with their noun), the rest
    text.
    """

    journey: str
    rule: str
    """The key in the contract: `never_on_path`, `at_most`, `latency`, `no_errors`, `mandatory`, `no_new_mandatory`."""
    title: str
    outcome: Outcome
    why: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    example: Example | None = None
