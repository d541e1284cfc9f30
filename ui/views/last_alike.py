"""Where the last trace is, for a range that has none: nobody should have to try one range after the other."""

from dataclasses import dataclass, replace

from collector.store.values import TraceQuery
from ui.draw.units import ago
from ui.views.address import Choices, search_address
from ui.views.page import Visit
from ui.views.time_range import around, range_of

ALIKE, OF_ALL = "like that was", "of all came"
LOOK_BACK_NS = 30 * 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class LastAlike:
    words: str
    """After "the last": `like that was 47 min ago`."""
    address: str
    """The same search where it is."""


def last_alike(visit: Visit, query: TraceQuery, asked: Choices) -> LastAlike | None:
    """Return where a search that found nothing finds something, None where that is nowhere near or not known.

    What is told by rows of traces is looked for in the 30 days before the newest trace. Attributes and texts are in
    spans, of which a month may be too much to read unasked: where they are not found in time, it is where the newest
    of all traces is; so it is of calls, which are known as mandatory or optional in a range alone.

    Args:
        asked: what the address asks for beside the range.
    """
    newest = visit.reader.newest_trace_unix_nano()
    if newest is None:
        return None
    words, at = ALIKE, 0
    if query.calls:
        words, at = OF_ALL, newest
    elif query.attributes or query.error:
        alike = visit.reader.newest_alike(query)
        words, at = (ALIKE, alike) if alike else (OF_ALL, newest)
    elif found := visit.reader.find(replace(query, window=around(newest, LOOK_BACK_NS), limit=1)):
        at = found[0].start_unix_nano
    if not at or query.window.start_unix_nano <= at < query.window.end_unix_nano:
        return None
    there = range_of(around(at), visit.now_unix_nano)
    return LastAlike(f"{words} {ago(at, visit.now_unix_nano)}", search_address({**asked, **there.parameters}))
