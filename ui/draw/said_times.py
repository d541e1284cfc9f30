"""Moments inside sentences as `<time>`, so that a browser can tell them in the reader's own zone.

A sentence is plain text, the same in the JSON; it says a moment as `units.clock` does, and UTC behind it.
"""

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from ui.draw.units import MONTHS, NBSP, moment

_CLOCK = rf"(?:\d{{1,2}}{NBSP}(?:{'|'.join(MONTHS)}){NBSP}(?:\d{{4}}{NBSP})?)?\d\d:\d\d(?::\d\d)?"
_SAID = re.compile(rf"(?<![\d:])(?:({_CLOCK}) to )?({_CLOCK}){NBSP}UTC\b")


def with_times(sentence: str, now_unix_nano: int) -> Markup:
    """Return a sentence for a page, each moment that it says in UTC as a `<time>`; what only looks like one stays text.

    >>> print(with_times("slow since 02:41\\u00a0UTC & more", 0).replace(NBSP, " "))
    slow since <time datetime="1970-01-01T02:41:00Z" data-minute>02:41 UTC</time> &amp; more
    """
    pieces, at = [], 0
    for said in _SAID.finditer(sentence):
        begin, end = said[1], said[2]
        times = [(end, f"{end}{NBSP}UTC")] if begin is None else [(begin, begin), (end, f"{end}{NBSP}UTC")]
        read = [_time(text, words, now_unix_nano) for text, words in times]
        if all(read):
            pieces += [escape(sentence[at : said.start()]), Markup(" to ").join(filter(None, read))]
            at = said.end()
    return Markup("").join([*pieces, escape(sentence[at:])])


def _time(clock: str, words: str, now_unix_nano: int) -> Markup | None:
    unix_nano = read_clock(clock, now_unix_nano)
    if unix_nano is None:
        return None
    to_minute = Markup(" data-minute") if clock.count(":") == 1 else Markup("")
    return Markup('<time datetime="{}"{}>{}</time>').format(moment(unix_nano), to_minute, words)


def read_clock(said: str, now_unix_nano: int) -> int | None:
    """Return the moment that `units.clock` said so, to the second or minute that it told; None for none that there is.

    >>> read_clock("01:00", 0), read_clock("25:00", 0)
    (3600000000000, None)
    """
    now = datetime.fromtimestamp(now_unix_nano // 1_000_000_000, UTC)
    *date, time = said.split(NBSP)
    hour, minute, second = (*map(int, time.split(":")), 0)[:3]
    day, month, year = (date[0], date[1], date[2:]) if date else ("", "", [])
    try:
        when = datetime(
            int(year[0]) if year else now.year,
            MONTHS.index(month) + 1 if month else now.month,
            int(day) if day else now.day,
            hour,
            minute,
            second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(when.timestamp()) * 1_000_000_000
