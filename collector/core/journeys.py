"""Journeys by name: what somebody said of them, and which journey a trace belongs to. Pure.

    a match of cpdd.toml  >  `cpdd.journey` of the trace  >  "service: operation" of its root

`journeys_file` reads them, `naming` applies them to traces.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from collector.core.patterns import is_like
from collector.core.queue_promises import Queue

SESSION_KEY = "session.id"
"""OpenTelemetry's."""
SESSION_WITHIN_NS = 30 * 60 * 10**9

CRITICALITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Latency:
    """A promise about durations: at least `share` of the traces take at most `under_ns`."""

    share: float
    under_ns: int


@dataclass(frozen=True, slots=True)
class Match:
    """Which traces; an empty field matches all. Patterns have `*` for any text."""

    service: str = ""
    operation: str = ""
    journey: str = ""

    def fits(self, service: str, operation: str, journey: str) -> bool:
        """Tell whether the root's service and operation, and the name that the trace came with, all match."""
        pairs = ((self.service, service), (self.operation, operation), (self.journey, journey))
        return all(not pattern or is_like(pattern, text) for pattern, text in pairs)


@dataclass(frozen=True, slots=True)
class FailedWhen:
    """When a journey failed though its root does not say so; any of these is enough."""

    http_status: tuple[tuple[int, int], ...] = ()
    """Ranges of the root's answer, both ends included."""
    rpc_status: tuple[int, ...] = ()
    slower_than_ns: int = 0
    """0: however slow."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What somebody said of a journey."""

    name: str
    matches: tuple[Match, ...] = ()
    """Any of them; none: traces that come with this name."""
    owner: str = ""
    criticality: str = ""
    """One of CRITICALITIES, or empty."""
    availability: float | None = None
    """The share of traces that is to end well."""
    latency: Latency | None = None
    failed_when: FailedWhen | None = None
    steps: tuple[str, ...] = ()
    """Names of the journeys that it consists of, in their order; it has no traces of its own then, but sessions."""
    session: str = SESSION_KEY
    """The attribute of a step's first span that joins them."""
    within_ns: int = SESSION_WITHIN_NS
    """A session that was quiet for so long is over."""

    @property
    def has_objective(self) -> bool:
        return self.availability is not None or self.latency is not None


@dataclass(frozen=True)
class JourneyBook:
    """What `cpdd.toml` says: journeys in its order, of which the first that matches names a trace, and queues."""

    journeys: tuple[Journey, ...] = ()
    queues: tuple[Queue, ...] = ()
    """What queues promise."""
    _known: dict[tuple[str, str, str], str] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def by_name(self) -> Mapping[str, Journey]:
        return {journey.name: journey for journey in self.journeys}

    @cached_property
    def with_objective(self) -> tuple[Journey, ...]:
        """Those with traces of their own."""
        return tuple(journey for journey in self.journeys if journey.has_objective and not journey.steps)

    @cached_property
    def of_steps(self) -> tuple[Journey, ...]:
        """Journeys of several steps."""
        return tuple(journey for journey in self.journeys if journey.steps)

    def name(self, service: str, operation: str, given: str) -> str:
        """Return the journey of a trace by its root, and by the name that it came with.

        >>> book = JourneyBook((Journey("user page", (Match(operation="GET /user/*"),)),))
        >>> book.name("shop", "GET /user/123", "shop: GET /user/123")
        'user page'
        """
        if not self.journeys:
            return given
        key = (service, operation, given)
        name = self._known.get(key)
        if name is None:
            name = next((journey.name for journey in self.journeys if _fits(journey, *key)), given)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = name
        return name


_MOST_REMEMBERED = 20_000
"""Roots whose journey is remembered; with names without end it is worked out again now and then."""


def _fits(journey: Journey, service: str, operation: str, given: str) -> bool:
    if journey.steps:
        return False
    if not journey.matches:
        return journey.name == given
    return any(match.fits(service, operation, given) for match in journey.matches)
