"""Since when a journey is slow, and which call the added time lies in: the first thing that somebody on call wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.core.population.since import Slowed
from collector.store.values import CallPath, JourneyDifference, PathChange, Window
from ui.draw.text import in_a_row, shown
from ui.draw.units import duration, whole_percent
from ui.views.address import compare_address
from ui.views.page import Visit
from ui.views.time_range import range_of

WORTH_SAYING = 0.1
"""A smaller share of the change is not put into the sentence."""
SAYS_SO = ("client", "producer")
"""Kinds of a span that says itself that it calls."""
KINDS_OUT = (*SAYS_SO, "internal", "unspecified")
"""Kinds of a span that may do nothing but call another service."""


@dataclass(frozen=True, slots=True)
class Slower:
    """A journey that takes longer than earlier in the range of its page."""

    since: Slowed
    added: str
    """The sentence about where the added time lies; empty where it may be chance."""
    address: str
    """The two stretches beside each other, call by call."""


def slower_of(visit: Visit, journey: str, since: Slowed, call_paths: Sequence[CallPath]) -> Slower:
    """Return where the time lies that a journey takes more than before."""
    whole = visit.range.window
    before = Window(whole.start_unix_nano, since.since_unix_nano)
    after = Window(since.since_unix_nano, whole.end_unix_nano)
    found = visit.reader.difference(journey, before, after)
    there = range_of(after, visit.now_unix_nano)
    against = range_of(before, visit.now_unix_nano).parameters
    address = compare_address(
        {"journey": journey, **there.parameters, "against": f"{against['start']}/{against['end']}"}
    )
    return Slower(since, added_words(found, ways_of(call_paths)), address)


def added_words(found: JourneyDifference | None, ways: Mapping[int, str]) -> str:
    """Return "Of the 227 ms added, 89 % is on the way from frontend to cart"; empty where it may be chance."""
    if found is None or not found.whole.significant or found.whole.delta_ns <= 0:
        return ""
    parts = [f"{whole_percent(share)} is {where}" for share, where in places_of(found.changes, ways)]
    return f"Of the {duration(found.whole.delta_ns)} added on average, {in_a_row(parts)}." if parts else ""


def places_of(changes: Sequence[PathChange], ways: Mapping[int, str]) -> list[tuple[float, str]]:
    """Return up to two places that a change comes from, each with its share and its words; those by chance left out.

    Every way from one service to another is one place, whatever was called there: a slow network slows all of it.
    """
    grouped: dict[tuple[str, str], list[PathChange]] = {}
    for change in changes:
        if change.figures.significant and change.figures.share_of_change > 0:
            key = (change.service, ways[change.id]) if change.id in ways else ("", str(change.id))
            grouped.setdefault(key, []).append(change)
    places = [
        (min(sum(change.figures.share_of_change for change in group), 1.0), _where(group, ways))
        for group in grouped.values()
    ]
    places.sort(key=lambda place: -place[0])
    return [place for place in places if place[0] > WORTH_SAYING][:2]


def _where(group: Sequence[PathChange], ways: Mapping[int, str]) -> str:
    """Say whose time it is: an operation's own, or the way to another service."""
    first = group[0]
    if to := ways.get(first.id):
        operations = {change.operation for change in group}
        operation = f" ({shown(first.operation)})" if len(operations) == 1 and first.operation else ""
        return f"on the way from {shown(first.service)} to {shown(to)}{operation}"
    return f"in {shown(first.service)} {shown(first.operation)}".rstrip()


def ways_of(call_paths: Sequence[CallPath]) -> dict[int, str]:
    """Return the call paths that do nothing but call another service, by id, with that service.

    Their own time is the way to it: network, queue or connection.
    """
    below: dict[int, set[str]] = {}
    for call in call_paths:
        below.setdefault(call.parent, set()).add(call.service)
    return {
        call.id: next(iter(callees))
        for call in call_paths
        if call.kind in KINDS_OUT
        and (call.parent or call.kind in SAYS_SO)  # a root that nobody calls is work, such as a batch
        and len(callees := below.get(call.id, set())) == 1
        and call.service not in callees
    }
