"""`min=12ms&max=45ms` of an address: the durations that are asked about, of a search or of a journey's histogram."""

import re
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from collector.core.population.levels import BANDS
from collector.store.values import BandDetail, Durations
from ui.draw.text import shown
from ui.draw.units import duration, spelled
from ui.views.address import NONE, Parameters
from ui.views.errors import BadAddress
from ui.views.page import Parameter, Visit

BAND = Parameter("band", f"traces between two quantiles of latency: {', '.join(BANDS)}; all for all")
MIN = Parameter(
    "min", "traces that took so long or longer: 12ms, 1.2s; means whole bars of the histogram, without band"
)
MAX = Parameter("max", "traces that took so long or shorter, likewise")

UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3_600 * 10**9,
}
_DURATION_PART = re.compile(r"(\d{1,19}(?:\.\d{1,12})?)(ns|us|µs|μs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The durations that a page is about: whole bars of the histogram, those nearest to what was asked for."""

    words: str
    from_ns: float
    to_ns: float
    traces: int
    weighted_traces: float
    mean_ns: float
    min: str
    """As addresses spell its ends; empty where it has none."""
    max: str


@dataclass(frozen=True, slots=True)
class Part:
    """The traces of a journey that a page is about: a band, a stretch of durations, or all of them."""

    detail: BandDetail
    band: str
    """Empty for all, and for a stretch."""
    stretch: Stretch | None

    @property
    def words(self) -> str:
        """Its name on a page; empty for all traces."""
        return self.stretch.words if self.stretch else self.band

    @property
    def traces(self) -> str:
        """Its traces, in a sentence."""
        if self.stretch:
            return f"the traces that took {self.stretch.words}"
        return f"the traces in {self.band}" if self.band else "all traces"

    @property
    def parameters(self) -> Parameters:
        """For addresses about it."""
        if self.stretch:
            return {MIN.name: self.stretch.min, MAX.name: self.stretch.max}
        return {BAND.name: self.band} if self.band else NONE

    @property
    def of_search(self) -> Parameters:
        """For a search after its traces: the exact bounds, in whole ns."""
        if not self.words:
            return NONE
        least = floor(self.detail.from_ns) + 1
        return {MIN.name: f"{least}ns", MAX.name: f"{max(floor(self.detail.to_ns), least)}ns"}


def parse_duration_ns(name: str, text: str) -> int:
    """Return the length of `100ms`, `1.2s`, `1m30s`, or of a bare number in ms; empty is 0.

    >>> parse_duration_ns("min", "1m1.5s"), parse_duration_ns("min", "250")
    (61500000000, 250000000)
    """
    text = "".join(text.split())
    if not text:
        return 0
    if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text):
        text += "ms"
    parts = _DURATION_PART.findall(text)
    length = int(sum(Fraction(number) * UNITS_NS[unit] for number, unit in parts))
    if "".join(number + unit for number, unit in parts) != text or length > 2**63 - 1:
        raise BadAddress(f"{name}={shown(text)} is no duration", hint="write 250ms, 1.2s or 1m30s")
    return length


def parse_durations(least: str, most: str) -> tuple[int, int]:
    """Return the least and the greatest duration that an address asks for (`min`, `max`), 0 for none.

    Raises:
        BadAddress: an end cannot be read, or no duration can be both.
    """
    low, high = parse_duration_ns(MIN.name, least), parse_duration_ns(MAX.name, most)
    if high and low > high:
        raise BadAddress(
            f"no trace takes at least min={shown(least)} and at most max={shown(most)}", hint="exchange min and max"
        )
    return low, high


def durations_of(visit: Visit) -> Durations | None:
    """Return the stretch of durations that an address asks about, None where it asks for none.

    Raises:
        BadAddress: an end cannot be read, or the address asks for a band, too.
    """
    ends = {each.name: visit.query.get(each.name, "").strip() for each in (MIN, MAX)}
    least, most = parse_durations(*ends.values())
    if not (least or most):
        return None
    band = visit.query.get(BAND.name, "").strip()
    if band:
        name, end = next((name, end) for name, end in ends.items() if end)
        raise BadAddress(
            f"band={shown(band)} and {name}={shown(end)} both say which traces", hint="leave one of them out"
        )
    return Durations(least or None, most or None)


def stretch_of(asked: Durations, found: BandDetail) -> Stretch:
    """Return what a page says of a stretch that was asked for and of what was found in it."""
    low, high = duration(found.from_ns), duration(found.to_ns)
    if asked.min_ns is None:
        words = f"{high} or shorter"
    elif asked.max_ns is None:
        words = f"{low} or longer"
    else:
        words = f"{low} to {high}"
    return Stretch(
        words=words,
        from_ns=found.from_ns,
        to_ns=found.to_ns,
        traces=found.traces,
        weighted_traces=found.weighted_traces,
        mean_ns=found.mean_ns,
        min=spelled(found.from_ns) if asked.min_ns is not None else "",
        max=spelled(found.to_ns) if asked.max_ns is not None else "",
    )
