"""Numbers as people read them: at most three significant digits and a unit that fits; exact ones beside them.

Pure. The one place that decides how a duration, a share, a count or a moment looks on a page.
"""

import math
from datetime import UTC, datetime

NBSP = "\u00a0"
"""Between a number and its unit, so that a line never breaks there."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DURATION_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_LONG_UNITS = ((48, 86_400, "d", 3_600, "h"), (60, 3_600, "h", 60, "min"), (60, 60, "min", 1, "s"))
"""From how many of the small unit on, in seconds: the large unit and the small one. Whole hours are exact enough, about
one in a hundred, from two days on."""
_LONG_FROM_S = 100


def duration(ns: float) -> str:
    """Return nanoseconds in at most three significant digits.

    >>> [duration(n).replace(NBSP, " ") for n in (0, 840_000, 12_400_123, 1_926_000_000, 5_025_000_000_000)]
    ['0 ms', '840 µs', '12.4 ms', '1.93 s', '1 h 24 min']
    """
    if ns == 0:
        return f"0{NBSP}ms"
    if ns < 0:
        return "−" + duration(-ns)
    if _round_to_digits(ns, 3) >= _LONG_FROM_S * 1e9:
        return _long_duration(ns / 1e9)
    for scale, unit in _DURATION_UNITS:
        if _round_to_digits(ns, 3) >= scale:
            return f"{significant(ns / scale)}{NBSP}{unit}"
    return f"{significant(ns)}{NBSP}ns"


def _long_duration(seconds: float) -> str:
    for least, scale, unit, small_scale, small_unit in _LONG_UNITS:
        small = round(seconds / small_scale)
        if small >= least:
            whole, rest = divmod(small, scale // small_scale)
            return f"{whole}{NBSP}{unit}" + (f"{NBSP}{rest}{NBSP}{small_unit}" if rest else "")
    raise AssertionError(f"{seconds} s is no long duration")


def exact_duration(ns: int) -> str:
    """Return nanoseconds without rounding, in the unit that `duration` would take.

    >>> exact_duration(12_400_123).replace(NBSP, " ")
    '12.400123 ms'
    """
    sign, ns = ("−", -ns) if ns < 0 else ("", ns)
    scale, unit = next(((s, u) for s, u in _DURATION_UNITS if ns >= s), (1, "ns"))
    whole, rest = divmod(ns, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{sign}{whole}{'.' if digits else ''}{digits}{NBSP}{unit}"


def spelled(ns: float) -> str:
    """Return a duration as addresses have it: in one unit of ASCII letters, in three digits or more.

    >>> [spelled(ns) for ns in (0, 1.2, 12_183_742, 840_000, 5_025e9)]
    ['0ns', '1.2ns', '12.2ms', '840us', '5025s']
    """
    scale, unit = next((each for each in _DURATION_UNITS if ns >= each[0]), _DURATION_UNITS[-1])
    return f"{significant(ns / scale)}{unit.replace('µ', 'u')}"


def percent(share: float) -> str:
    """Return a share as a percentage that says 0 or 100 only where that is exactly so.

    >>> [percent(s).replace(NBSP, " ") for s in (0, 0.0002, 0.614, 0.9823, 0.99985, 1)]
    ['0 %', '0.02 %', '61.4 %', '98.2 %', '99.985 %', '100 %']
    """
    if not math.isfinite(share):
        return "–"
    value = share * 100
    if 0 < value < 0.01:
        return f"<0.01{NBSP}%"
    if value > 99 and share < 1:
        return f"{_short_of_hundred(value)}{NBSP}%"
    return f"{significant(value)}{NBSP}%"


def _short_of_hundred(value: float) -> str:
    """Keep two digits of what is missing: 99.95, 99.9987."""
    places = min(6, 1 - math.floor(math.log10(max(100 - value, 1e-6))))
    steps = min(math.floor(value * 10**places + 1e-6), 100 * 10**places - 1)
    text = f"{steps / 10**places:.{places}f}"
    return text.rstrip("0").rstrip(".")


def part(share: float) -> str:
    """Return a part of a whole for a column of a table: one decimal, and no false 0 or 100.

    >>> [part(s).replace(NBSP, " ") for s in (0, 0.0002, 0.614, 0.09, 0.9998, 1)]
    ['0 %', '<0.1 %', '61.4 %', '9.0 %', '>99.9 %', '100 %']
    """
    if 0 < share < 0.001:
        return f"<0.1{NBSP}%"
    if 0.999 < share < 1:
        return f">99.9{NBSP}%"
    return f"{share * 100:.0f}{NBSP}%" if share in (0, 1) else f"{share * 100:.1f}{NBSP}%"


def whole_percent(share: float) -> str:
    """Return a share for running text, where a decimal would be noise: "61 %", "<1 %".

    >>> [whole_percent(s).replace(NBSP, " ") for s in (0, 0.004, 0.614, 0.997, -0.8)]
    ['0 %', '<1 %', '61 %', '>99 %', '−80 %']
    """
    if share < 0:
        return "−" + whole_percent(-share)
    if 0 < share < 0.01:
        return f"<1{NBSP}%"
    if 0.99 < share < 1:
        return f">99{NBSP}%"
    return f"{round(share * 100)}{NBSP}%"


def count(number: float) -> str:
    """Return a count with separated thousands, whole where it is whole.

    >>> count(1238), count(17.26)
    ('1,238', '17.3')
    """
    return f"{round(number):,}" if number == round(number) or number >= 100 else significant(number)


def weighted(number: float, rests_on: float) -> str:
    """Return a count with "~" where it was scaled up from a sample of `rests_on`."""
    return count(number) if abs(number - rests_on) < 0.5 else f"~{count(number)}"


def rate(per_s: float) -> str:
    """Return a rate by the second, the minute, the hour or the day, whichever gives a number above one.

    >>> rate(412.3), rate(0.4), rate(0.0007), rate(0.00001), rate(1e-9)
    ('412/s', '24/min', '2.52/h', '0.864/d', '<0.1/d')
    """
    for scale, unit in ((1, "s"), (60, "min"), (3_600, "h")):
        if per_s * scale >= 1:
            return f"{significant(per_s * scale)}/{unit}"
    per_day = per_s * 86_400
    return f"{significant(per_day)}/d" if per_day >= 0.1 or per_day == 0 else "<0.1/d"


def size(number_of_bytes: float) -> str:
    """Return bytes in the decimal unit that fits."""
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number_of_bytes >= scale:
            return f"{significant(number_of_bytes / scale)}{NBSP}{unit}"
    return f"{number_of_bytes:.0f}{NBSP}B"


def significant(value: float) -> str:
    """Return at most three significant digits, without trailing zeros and without an exponent.

    >>> significant(0.0314159), significant(1.9), significant(61.44), significant(1234.0)
    ('0.0314', '1.9', '61.4', '1234')
    """
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(_round_to_digits(value, 3)))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def times(factor: float) -> str:
    """Return a factor in two digits.

    >>> times(2.361), times(14.4), times(118.0)
    ('2.4×', '14×', '120×')
    """
    return f"{significant(_round_to_digits(factor, 2))}×"


def _round_to_digits(value: float, digits: int) -> float:
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def moment(unix_nano: int) -> str:
    """Return a moment in UTC to the second, as ISO 8601: what a machine and `<time datetime>` read."""
    return _utc(unix_nano).strftime("%Y-%m-%dT%H:%M:%SZ")


def typed_moment(unix_nano: int) -> str:
    """Return a moment as a field of a form has it: ISO 8601, with the fraction of its second where it has one.

    >>> typed_moment(1_795_000_000_000_000_000), typed_moment(1_795_000_000_200_000_000)
    ('2026-11-18T11:06:40Z', '2026-11-18T11:06:40.2Z')
    """
    fraction = f"{unix_nano % 1_000_000_000:09d}".rstrip("0")
    return moment(unix_nano).replace("Z", f".{fraction}Z") if fraction else moment(unix_nano)


def exact_moment(unix_nano: int) -> str:
    """Return a moment in UTC with its nanoseconds."""
    return f"{_utc(unix_nano):%Y-%m-%d %H:%M:%S}.{unix_nano % 1_000_000_000:09d}{NBSP}UTC"


def clock(unix_nano: int, now_unix_nano: int) -> str:
    """Return a moment as short as a reader at `now_unix_nano` can take it: today without its date."""
    when, now = _utc(unix_nano), _utc(now_unix_nano)
    if when.date() == now.date():
        return f"{when:%H:%M:%S}"
    same_year = when.year == now.year
    return f"{when.day}{NBSP}{MONTHS[when.month - 1]}{'' if same_year else f'{NBSP}{when.year}'}{NBSP}{when:%H:%M}"


def clock_to_minute(unix_nano: int, now_unix_nano: int) -> str:
    """Return a moment as `clock` does, without the seconds that a series of minutes does not know."""
    said = clock(unix_nano, now_unix_nano)
    return said[:5] if said[2:3] == ":" else said


def ago(unix_nano: int, now_unix_nano: int) -> str:
    """Return how long ago a moment was, in one unit."""
    seconds = (now_unix_nano - unix_nano) / 1e9
    if seconds < 1:
        return "just now" if seconds > -60 else "in the future"
    for scale, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * scale:
            return f"{int(seconds // scale)}{NBSP}{unit} ago"
    return f"{int(seconds)}{NBSP}s ago"


def _utc(unix_nano: int) -> datetime:
    """Moments that datetime cannot hold (before year 1, past 9999) are held at its bounds."""
    return datetime.fromtimestamp(min(max(unix_nano // 1_000_000_000, 0), 253_402_300_799), UTC)


def nice_ticks(start_ns: int, end_ns: int, about: int = 5) -> list[int]:
    """Return round offsets from `start_ns` to `end_ns`, about so many, for a time axis.

    >>> nice_ticks(0, 1_930_000_000, 4)
    [0, 500000000, 1000000000, 1500000000]
    """
    length = end_ns - start_ns
    if length <= 0:
        return [start_ns]
    step = min(_tick_steps(length), key=lambda s: (abs(math.log((length / s) / about)), s))
    return list(range(-(-start_ns // step) * step, end_ns + 1, step))


def _tick_steps(length_ns: int) -> list[int]:
    powers = [m * 10**e for e in range(11) for m in (1, 2, 5) if m * 10**e <= 50_000_000_000]
    minutes = [s * 1_000_000_000 for s in (60, 120, 300, 600, 1_200, 3_600, 7_200, 21_600, 43_200, 86_400)]
    days = [d * 86_400_000_000_000 for d in (2, 7, 30, 91, 365, 730, 1_826, 3_652, 7_305, 18_262, 36_525)]
    return [s for s in powers + minutes + days if s <= length_ns] or [1]
