"""The populations that `cpdd diff` compares: of a file, or of a running server."""

from collections.abc import Mapping
from dataclasses import dataclass

from collector.core.journeys import JourneyBook
from collector.core.policy import PathPolicy
from collector.core.population import Population, population_of
from collector.core.spans import SpanBatch
from cpdd.cli._files import name_of, read_files
from cpdd.cli._from import NothingFound, Source, Stretch, read_from
from cpdd.cli._selection import select, split
from cpdd.cli._server_selection import NoneSelected, ServerSelection
from cpdd.cli._weights import counted
from cpdd.cli._where import Condition, those
from cpdd.errors import CpddError
from cpdd.settings import Settings


class NoSuchJourney(CpddError):
    """A journey that the traces do not have."""

    def __init__(self, journey: str, place: str, journeys: tuple[str, ...]) -> None:
        self.journey = journey
        self.journeys = journeys
        listed = ", ".join(repr(name) for name in journeys[:10]) + (", ..." if len(journeys) > 10 else "")
        super().__init__(f"no journey {journey!r} in {place}\nhint: there is {listed}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How spans become a population, and which of their traces."""

    settings: Settings
    book: JourneyBook
    where: tuple[Condition, ...]
    journey: str | None

    def population(self, batch: SpanBatch, place: str) -> tuple[Population, SpanBatch]:
        """Return the population of the spans that count, and these; `place` is what errors call their origin."""
        policy = PathPolicy(self.settings.overflow, self.settings.max_skew_ns)
        batch, weight = counted(those(batch, self.where), policy)
        population = population_of(batch, policy, weight, self.book)
        if self.journey is not None:
            if self.journey not in population.journeys:
                raise NoSuchJourney(self.journey, place, population.journeys)
            population = population.of_journey(self.journey)
        return population, batch


def of_file(text: str, reading: Reading) -> Population:
    """Return the population of FILE or FILE@SELECTION."""
    path, selection = split(text)
    population, batch = reading.population(read_files([path], reading.settings.max_file_bytes), name_of(path))
    return select(population, batch, selection, path)


def of_server(
    source: Source, selections: Mapping[str, ServerSelection], otherwise: Stretch, reading: Reading
) -> list[Population]:
    """Return the populations that are selected of what a server has.

    A stretch of time is asked for once, so that two versions or two bands are of the same traces.

    Args:
        selections: by the name of the argument, for errors.
        otherwise: the stretch of time of a selection that names none.
    """
    read: dict[tuple[int, int], tuple[Population, SpanBatch]] = {}
    populations = []
    for argument, selection in selections.items():
        stretch = selection.stretch or otherwise
        times = stretch.start_unix_nano, stretch.end_unix_nano
        if times not in read:
            try:
                batch = read_from(source, stretch)
            except NothingFound as error:
                raise NoneSelected(argument, selection.text, str(error)) from None
            read[times] = reading.population(batch, f"{stretch.text} at {source.base}")
        populations.append(selection.of(*read[times], stretch, argument))
    return populations
