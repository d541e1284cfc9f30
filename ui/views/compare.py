"""A journey in two windows: what became of its latency, and which call it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from collector.core.population.difference import Compared
from collector.store.values import JourneyDifference, JourneySummary, PathChange, ServiceFacts, Window
from ui.draw.text import shown
from ui.draw.units import ago, duration, percent, whole_percent
from ui.views.address import compare_address, journey_address
from ui.views.errors import BadAddress
from ui.views.health import failed_share
from ui.views.page import RANGE_PARAMETERS, Page, Parameter, Visit
from ui.views.sides import BEFORE, VERSION, in_both, missing, sides_of, versions_address, versions_beside
from ui.views.slower import places_of, ways_of
from ui.views.time_range import TimeRange, range_of

EARLIER = {BEFORE: "just before", "1d": "a day earlier", "7d": "a week earlier"}
LISTED = 200
VERSIONS = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """Another window to compare with."""

    words: str
    address: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both sides, as it is shown."""

    name: str
    before: str
    after: str
    change: str
    is_worse: bool


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What became of the own time of one call path."""

    name: str
    way_to: str
    """The service that its own time is the way to: it does nothing but call it. Empty for work of its own."""
    delta_ns: float
    interval_ns: tuple[float, float] | None
    """95 %; None where too few traces tell."""
    share_of_change: float
    significant: bool
    """It remains when all comparisons are taken together, and it is long enough to matter."""
    there_before_ns: float
    """Mean where it has time on the path at all."""
    there_after_ns: float


@dataclass(frozen=True, slots=True)
class ComparePage:
    range: TimeRange
    journey: str
    journey_address: str
    answer: str
    before: TimeRange
    title: str
    """What is compared with what, in words."""
    where: str
    """`key=value` that the traces of the range have; empty for all."""
    service: str
    """Whose spans have the attributes; empty for anybody's."""
    a: JourneySummary | None
    """None where one of the windows has no traces."""
    b: JourneySummary | None
    delta_ns: float
    interval_ns: tuple[float, float] | None
    significant: bool
    figures: tuple[Figure, ...]
    changes: tuple[ChangeRow, ...]
    """Own times of call paths, the largest change first; the first LISTED."""
    total_changes: int
    against: str
    choices: tuple[Choice, ...]


def compare_view(visit: Visit) -> ComparePage:
    """Return what became of a journey from another window to the range of the page."""
    journey = visit.query.get("journey", "")
    if not journey:
        raise BadAddress("a comparison needs a journey", hint="choose one", address="/")
    against = visit.query.get("against", "").strip() or BEFORE
    before, after = sides_of(visit, journey)
    chosen = (before.chosen, after.chosen)
    found = visit.reader.difference(journey, before.range.window, after.range.window, chosen)
    ways = _ways(visit, journey) if found else {}
    return ComparePage(
        range=visit.range,
        journey=journey,
        journey_address=journey_address(journey, visit.range.parameters),
        answer=f"{_answer(found, ways)}{in_both(before, after)}" if found else missing(visit, journey, (before, after)),
        before=before.range,
        title=f"{after.words} against {before.words}",
        where=after.attribute,
        service=after.service,
        a=found.a if found else None,
        b=found.b if found else None,
        delta_ns=found.whole.delta_ns if found else 0.0,
        interval_ns=_interval(found.whole) if found else None,
        significant=found.whole.significant if found else False,
        figures=_figures(found.a, found.b) if found else (),
        changes=tuple(_row(change, ways) for change in found.changes[:LISTED]) if found else (),
        total_changes=len(found.changes) if found else 0,
        against=against,
        choices=_choices(visit, journey, against),
    )


def _ways(visit: Visit, journey: str) -> dict[int, str]:
    latency = visit.reader.latency(journey, visit.range.window)
    return ways_of(latency.whole.call_paths) if latency else {}


def _row(change: PathChange, ways: Mapping[int, str]) -> ChangeRow:
    figures = change.figures
    return ChangeRow(
        name=words_of(change),
        way_to=shown(ways.get(change.id, "")),
        delta_ns=figures.delta_ns,
        interval_ns=_interval(figures),
        share_of_change=figures.share_of_change,
        significant=figures.significant,
        there_before_ns=figures.there_ns[0],
        there_after_ns=figures.there_ns[1],
    )


def _interval(figures: Compared) -> tuple[float, float] | None:
    low, high = figures.interval_ns
    return (low, high) if isfinite(low) and isfinite(high) else None


def _choices(visit: Visit, journey: str, against: str) -> tuple[Choice, ...]:
    earlier = [
        Choice(words, compare_address({"journey": journey, **visit.range.parameters, "against": name}), against == name)
        for name, words in EARLIER.items()
    ]
    return (*earlier, *_beside(visit, journey, against), *_versions(visit, journey))


def _beside(visit: Visit, journey: str, against: str) -> list[Choice]:
    """Two versions of a service that ran in the range, one against the other."""
    asked = (visit.query.get("service", ""), visit.query.get("where", ""), against)
    return [
        Choice(
            f"{shown(service)} {shown(newer)} against {shown(older)}",
            versions_address(visit, journey, service, newer, older),
            asked == (service, f"{VERSION}={newer}", f"{VERSION}={older}"),
        )
        for service, newer, older in versions_beside(visit.reader.service_facts(), visit.range.window)[:VERSIONS]
    ]


def _versions(visit: Visit, journey: str) -> list[Choice]:
    """The deployments of the services, newest first: the hour from one on, against the hour before it."""
    hour = 3_600 * 1_000_000_000
    first: dict[str, int] = {}
    facts = sorted(visit.reader.service_facts(), key=lambda each: -each.first_seen_unix_nano)
    for each in facts:
        first[each.service] = min(each.first_seen_unix_nano, first.get(each.service, each.first_seen_unix_nano))
    deployed = [each for each in facts if each.version and each.first_seen_unix_nano > first[each.service]]
    return [_version(each, journey, hour, visit.now_unix_nano) for each in deployed[:VERSIONS]]


def _version(facts: ServiceFacts, journey: str, hour: int, now_unix_nano: int) -> Choice:
    since = facts.first_seen_unix_nano
    there = range_of(Window(since, since + hour), now_unix_nano)
    words = f"{shown(facts.service)} {shown(facts.version)}, {ago(since, now_unix_nano)}"
    return Choice(words, compare_address({"journey": journey, **there.parameters, "against": BEFORE}), False)


def _figures(a: JourneySummary, b: JourneySummary) -> tuple[Figure, ...]:
    rows = [(name, getattr(a, f"{name}_ns"), getattr(b, f"{name}_ns")) for name in ("mean", "p50", "p95", "p99", "max")]
    times = [
        Figure(
            "slowest" if name == "max" else name,
            duration(before),
            duration(after),
            _signed(after - before),
            after > 1.1 * before,
        )
        for name, before, after in rows
    ]
    if not (a.status_known and b.status_known):
        return tuple(times)
    failed = failed_share(a), failed_share(b)
    points = 100 * (failed[1] - failed[0])
    change = f"{points:+.2g} points" if points else "no change"
    return (*times, Figure("failed", percent(failed[0]), percent(failed[1]), change, failed[1] > failed[0] + 0.005))


def _signed(ns: float) -> str:
    if not ns:
        return "no change"
    return duration(ns) if ns < 0 else f"+{duration(ns)}"


def _answer(found: JourneyDifference, ways: Mapping[int, str]) -> str:
    """Say how much slower or faster, and what it comes from."""
    whole, mean_ns = found.whole, found.a.mean_ns
    if not whole.significant:
        return f"No slower and no faster than can be chance: {_signed(whole.delta_ns)} on average."
    verb = "slower" if whole.delta_ns > 0 else "faster"
    much = f" ({whole_percent(abs(whole.delta_ns) / mean_ns)})" if mean_ns else ""
    said = f"{duration(abs(whole.delta_ns))}{much} {verb} on average"
    parts = [f"{whole_percent(share)} of it {where}" for share, where in places_of(found.changes, ways)]
    return f"{said}{': ' + ', '.join(parts) if parts else ''}."


def words_of(change: PathChange) -> str:
    """Name a call path: whose own time it is, and who calls it."""
    name = f"{shown(change.service)} {shown(change.operation)}".rstrip()
    called = change.caller and change.caller != change.service
    return f"{shown(change.caller)} → {name}" if called else name


PAGE = Page(
    name="compare",
    address="/compare",
    template="compare.html",
    view=compare_view,
    value=ComparePage,
    summary="A journey in two windows: what became of its latency, call by call",
    parameters=(
        Parameter("journey", "the journey"),
        Parameter(
            "against",
            "before, a length of time (1d, 7d) to go back, the moment at which the other ends, START/END, or "
            "key=value: the traces of the same range that have it, against those of `where`",
        ),
        Parameter("where", "key=value: only traces with a span, or a resource, that has the attribute"),
        Parameter("service", "only attributes of its spans count, as where two services have versions of one name"),
        *RANGE_PARAMETERS,
    ),
)
