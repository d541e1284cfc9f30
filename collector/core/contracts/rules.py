"""What a contract may say of a journey. Values only; `document` reads them, `checking` holds them against traces."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from collector.core.contracts.names import CallName, OperationName

By = Literal["observed", "declared"]
"""Whose word counts for mandatory: the verdict of what failures did, or `cpdd.call.requirement`."""

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True)
class NeverOnPath:
    """No time of this call, nor of anything below it, is on the critical path of any trace."""

    call: CallName


@dataclass(frozen=True, slots=True)
class AtMost:
    """The share of the p95 path: of an operation or a service its own time, of a call all that happens inside it."""

    of: OperationName | CallName
    most_ns: int


@dataclass(frozen=True, slots=True)
class Latency:
    """The journey's duration at a quantile, by nearest rank."""

    quantile: str
    """A key of QUANTILES."""
    most_ns: int


@dataclass(frozen=True, slots=True)
class NoErrors:
    """No trace of the journey failed."""


@dataclass(frozen=True, slots=True)
class Mandatory:
    """These calls are the mandatory ones of the journey, each of them and no other."""

    calls: tuple[CallName, ...]
    by: By


@dataclass(frozen=True, slots=True)
class NoNewMandatory:
    """No call is mandatory that was not so before."""

    known: tuple[CallName, ...]
    baseline: str
    """The file that knows, as the contract spells it; empty where `known` lists them."""
    by: By


Rule: TypeAlias = NeverOnPath | AtMost | Latency | NoErrors | Mandatory | NoNewMandatory
