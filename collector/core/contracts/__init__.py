"""Contracts: what must stay true of the critical paths and dependencies of journeys. Pure; `cpdd check` is a shell.

text -> `read_contract` -> rules; spans -> `Population`; both -> `check` -> a result a rule
"""

from collector.core.contracts.baseline import Baseline, read_baseline
from collector.core.contracts.checking import check
from collector.core.contracts.document import Contract, ContractError, JourneyContract, read_contract
from collector.core.contracts.population import Population
from collector.core.contracts.results import Example, Outcome, RuleResult

__all__ = [
    "Baseline",
    "Contract",
    "ContractError",
    "Example",
    "JourneyContract",
    "Outcome",
    "Population",
    "RuleResult",
    "check",
    "read_baseline",
    "read_contract",
]
