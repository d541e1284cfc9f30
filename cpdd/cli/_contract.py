"""Contracts for verbs and for pytest: a file held against spans, and the picture of what broke a rule."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from collector.core.contracts import (
    Baseline,
    Contract,
    ContractError,
    Example,
    Outcome,
    Population,
    RuleResult,
    check,
    read_baseline,
    read_contract,
)
from collector.core.journeys import JourneyBook
from collector.core.policy import PathPolicy
from collector.core.spans import SpanBatch
from cpdd.cli._path_text import marked_lines
from cpdd.cli._terminal import Look
from cpdd.cli._traces import Traces
from cpdd.cli._weights import counted

Draw = Callable[[Example, Look], list[Text]]
"""Gives the picture of a trace that broke a rule."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A contract held against spans."""

    contract: Contract
    results: list[RuleResult]
    undecided_passes: bool
    """Whether not enough data is as good as kept."""

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome is outcome for result in self.results)

    def is_bad(self, result: RuleResult) -> bool:
        """Tell whether a result lets the check fail."""
        return result.outcome is Outcome.BROKEN or (result.outcome is Outcome.UNDECIDED and not self.undecided_passes)

    @property
    def is_good(self) -> bool:
        return not any(map(self.is_bad, self.results))


@dataclass(frozen=True, slots=True)
class LoadedContract:
    """A contract with the baselines that it names."""

    contract: Contract
    baselines: dict[str, Baseline]


def load_contract(path: str | Path, folder: Path = Path()) -> LoadedContract:
    """Return the contract in a file.

    Args:
        folder: that a relative path counts from; messages name the path as it is given.
    Raises:
        ContractError: it cannot be used, or a baseline that it names cannot.
    """
    contract = read_contract(_text(folder / path, f"contract {path}"), str(path))
    places = {name: (folder / path).parent / name for name in contract.baselines()}
    baselines = {name: read_baseline(_text(place, f"baseline {place}"), str(place)) for name, place in places.items()}
    return LoadedContract(contract, baselines)


def check_spans(
    loaded: LoadedContract,
    batch: SpanBatch,
    policy: PathPolicy,
    undecided_passes: bool,
    book: JourneyBook = JourneyBook(),
) -> Checked:
    """Hold a contract against spans; each trace weighs what its sampling says, and journeys are named by the book."""
    batch, weight = counted(batch, policy)
    results = check(loaded.contract, Population(batch, policy, weight, book), loaded.baselines)
    return Checked(loaded.contract, results, undecided_passes)


def drawer(batch: SpanBatch, policy: PathPolicy) -> Draw:
    """Return what draws a trace of `batch`, pointing at the spans that broke a rule."""
    traces = Traces(batch, policy)

    def draw(example: Example, look: Look) -> list[Text]:
        chosen = traces.matching(example.trace_id)
        ((explained, rows),) = traces.explained(chosen, lambda done, total: None)
        return marked_lines(explained, rows, look, frozenset(example.span_ids))

    return draw


def _text(path: Path, place: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(f"the file cannot be read: {error.strerror or error}", place) from None
    except UnicodeDecodeError:
        raise ContractError("the file is not UTF-8", place) from None
