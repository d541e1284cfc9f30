"""The two sides of a comparison: two windows of time, or two kinds of traces in one window, as two versions are."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.store.values import ServiceFacts, Window
from ui.draw.text import count_of, shown
from ui.views.address import compare_address
from ui.views.errors import BadAddress
from ui.views.page import Visit
from ui.views.time_range import TimeRange, asked_moment, parse_length_ns, range_of

BEFORE = "before"
VERSION = "service.version"
OVERLAP = " The two windows overlap, so that some traces are in both."


@dataclass(frozen=True, slots=True)
class Side:
    """The traces of a window, or those of them that have an attribute."""

    range: TimeRange
    attribute: str
    """`key=value`; empty for all traces."""
    service: str
    """Whose spans have it; empty for anybody's."""
    chosen: tuple[str, ...] | None
    """Ids of the traces with the attribute; None for all of the window."""

    @property
    def words(self) -> str:
        whose = f" of {shown(self.service, 60)}" if self.service else ""
        return f"{self.range.words} with {shown(self.attribute, 80)}{whose}" if self.attribute else self.range.words


def sides_of(visit: Visit, journey: str) -> tuple[Side, Side]:
    """Return what stands before and what after; raises BadAddress where the address cannot be read."""
    against = visit.query.get("against", "").strip() or BEFORE
    where = _attribute("where", visit.query.get("where", ""))
    if "=" not in against:
        before = range_of(_before(visit.range.window, against, visit.now_unix_nano), visit.now_unix_nano)
        return _side(visit, journey, before, where), _side(visit, journey, visit.range, where)
    if not where:
        raise BadAddress(
            f"against={shown(against)} are traces of the same range: where= has to say which stand against them",
            hint=f"write where={VERSION}=2&against={VERSION}=1",
        )
    return (
        _side(visit, journey, visit.range, _attribute("against", against)),
        _side(visit, journey, visit.range, where),
    )


def in_both(before: Side, after: Side) -> str:
    """Return a sentence about traces that stand on both sides, "" where none does."""
    a, b = before.range.window, after.range.window
    if not (a.start_unix_nano < b.end_unix_nano and b.start_unix_nano < a.end_unix_nano):
        return ""
    if before.chosen is None or after.chosen is None or a != b:
        return OVERLAP
    number = len(set(before.chosen) & set(after.chosen))
    return f" On both sides {'stands' if number == 1 else 'stand'} {count_of(number, 'trace')}." if number else ""


def missing(visit: Visit, journey: str, sides: Sequence[Side]) -> str:
    """Say which side has no traces."""
    empty = [
        f"{'in the' if side.range.last else 'from'} {side.words}"
        for side in sides
        if not (visit.reader.traces_of(journey, side.range.window) if side.chosen is None else side.chosen)
    ]
    return (
        f"There is no trace of {shown(journey, 80)} {', and none '.join(empty)}: "
        "choose a longer range, or something else to compare with."
    )


def versions_beside(facts: Sequence[ServiceFacts], window: Window) -> list[tuple[str, str, str]]:
    """Return service, newer and older version of those that ran in a window; the newest first."""
    ran = sorted(
        (
            each
            for each in facts
            if each.version
            and each.first_seen_unix_nano < window.end_unix_nano
            and each.last_seen_unix_nano >= window.start_unix_nano
        ),
        key=lambda each: -each.first_seen_unix_nano,
    )
    newest: dict[str, str] = {}
    found: dict[tuple[str, str, str], None] = {}
    for each in ran:
        newer = newest.setdefault(each.service, each.version)
        if newer != each.version:
            found[each.service, newer, each.version] = None
    return list(found)


def versions_address(visit: Visit, journey: str, service: str, newer: str, older: str) -> str:
    """Return the comparison of two versions of a service in the range of the page."""
    asked = {"where": f"{VERSION}={newer}", "against": f"{VERSION}={older}", "service": service}
    return compare_address({"journey": journey, **visit.range.parameters, **asked})


def _attribute(name: str, text: str) -> str:
    text = text.strip()
    if text and not (text.partition("=")[0] and "=" in text):
        raise BadAddress(f"{name}={shown(text)} is no condition", hint=f"write key=value, such as {VERSION}=2")
    return text


def _side(visit: Visit, journey: str, range: TimeRange, attribute: str) -> Side:
    if not attribute:
        return Side(range, "", "", None)
    key, _, value = attribute.partition("=")
    service = visit.query.get("service", "").strip()
    chosen = visit.reader.choose(journey, range.window, ((key, value),), service)
    return Side(range, attribute, service, chosen)


def _before(after: Window, against: str, now_unix_nano: int) -> Window:
    """Return the other window: of the same length and just before, earlier by a while, or until a moment."""
    length = after.end_unix_nano - after.start_unix_nano
    if against == BEFORE:
        return Window(after.start_unix_nano - length, after.start_unix_nano)
    if "/" in against:
        start, _, stop = against.partition("/")
        last = asked_moment("against", stop, now_unix_nano)
        first = asked_moment("against", start, last)  # of times alone the latest before the end
        if not first < last <= 2**63 - 1:
            raise BadAddress(f"against={shown(against)} ends before it starts", hint="write START/END, two moments")
        return Window(first, last)
    if against[:1].isdigit() and against[-1:].isalpha() and "T" not in against:
        shift = parse_length_ns(against)
        return Window(after.start_unix_nano - shift, after.end_unix_nano - shift)
    end = asked_moment("against", against, now_unix_nano)
    if end <= length:
        raise BadAddress(f"against={shown(against)} is too early", hint="write before, 1d, 7d, a moment, or START/END")
    return Window(end - length, end)
