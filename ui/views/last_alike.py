"""Where the last trace is, for a range that has none: nobody should have to try one range after the other."""

from dataclasses import dataclass

from collector.store.values import TraceQuery
from ui.draw.units import ago
from ui.views.address import Choices, search_address
from ui.views.page import Visit
from ui.views.time_range import around, range_of

ALIKE, OF_ALL = "like that was", "of all came"


@dataclass(frozen=True, slots=True)
class LastAlike:
    words: str
    """After "the last": `like that was 47 min ago`."""
    address: str
    """The same search where it is."""


def last_alike(visit: Visit, query: TraceQuery, asked: Choices) -> LastAlike | None:
    """Return where a search that found nothing finds something, None where that is nowhere near or not known.

    It is looked for as far back as can be told in time. Attributes and texts are in spans, of which that may be little:
    where they are not found, it is where the newest of all traces is; so it is of calls, which are known as mandatory
    or optional in a range alone.

    Args:
        asked: what the address asks for beside the range.
    """
    newest = visit.reader.newest_trace_unix_nano()
    if newest is None:
        return None
    alike = None if query.calls else visit.reader.newest_alike(query)
    in_spans = query.calls or query.attributes or query.error
    words, at = (ALIKE, alike) if alike or not in_spans else (OF_ALL, newest)
    if not at or query.window.start_unix_nano <= at < query.window.end_unix_nano:
        return None
    there = range_of(around(at), visit.now_unix_nano)
    return LastAlike(f"{words} {ago(at, visit.now_unix_nano)}", search_address({**asked, **there.parameters}))
