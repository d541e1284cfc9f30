"""What every page is: an address, a view that makes a plain value, and a way to draw that value.

A view reads from the store and builds a value; it knows nothing of Flask. The application renders the value with
the page's template, or sends it as JSON at the same address with `.json`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from collector.core.catalog import Catalog
from collector.core.detail import OutlinedSpans
from collector.core.explain import Explanation
from collector.core.journeys import JourneyBook
from collector.own_names import OwnNames
from collector.store.pins import Pin
from collector.system import System
from ui.draw.svg import Shape
from ui.draw.text import sentence, shown
from ui.views.boosts import Boosts
from ui.views.errors import BadAddress
from ui.views.explanations import Explanations
from ui.views.reader import TraceReader
from ui.views.time_range import TimeRange, read_range
from ui.views.trace_sheet import Sheets


@dataclass(frozen=True, slots=True)
class UiSettings:
    """What the pages need to know of the process around them."""

    otlp_http: str = "http://127.0.0.1:4318"
    """Where spans may be sent; shown to those who have sent none. Empty: the port is off."""
    otlp_grpc: str = "127.0.0.1:4317"
    version: str = ""
    sampling_http: str = ""
    """Where the sampling service listens, for commands. Empty: the usual place."""
    source_link: str = ""
    """Address of a line of code, with places to fill in; empty: as known forges have it."""
    logs_link: str = ""
    """Address of the logs of a trace or a span, with places to fill in; empty: nobody knows where they are."""
    catalog: Catalog = Catalog()
    """Owners of services, and what they say they depend on."""
    book: JourneyBook = JourneyBook()
    """The journeys that somebody named, with what they promise."""
    public_url: str = ""
    """Where people open the pages; empty: as each spells it."""
    names: OwnNames = field(default_factory=OwnNames)
    """What the server is called; others are refused where that protects what it shows."""


@dataclass(frozen=True)
class Visit:
    """One request, as a view sees it."""

    reader: TraceReader
    settings: UiSettings
    now_unix_nano: int
    query: Mapping[str, str]
    """The last value of each parameter of the address."""
    lists: Mapping[str, list[str]]
    """All values of each."""
    explanations: Explanations = field(default_factory=Explanations)
    sheets: Sheets = field(default_factory=Sheets)
    sampling: Callable[[], Mapping[str, Any] | None] = lambda: None
    """The state of the sampling service; None where none runs."""
    boosts: Boosts | None = None
    """What takes boosts; None where no sampling service runs in this process."""
    system: Callable[[], System | None] = lambda: None
    """What the process says of itself; None where pages are served without a collector."""
    pinned: Callable[[], Sequence[Pin]] = lambda: ()
    """The traces that are kept."""
    trouble: Callable[[], Sequence[str]] = tuple
    """What keeps the process from taking and analyzing spans now, the worst first."""
    base: str = ""
    """Address of the server for links that people pass on, without a slash at its end: the public one, else `here`."""
    here: str = ""
    """As the visitor's request spells it; behind a proxy perhaps as nobody else would."""
    peer: str = ""
    """The address that the visitor comes from; empty where that is not known."""

    @cached_property
    def range(self) -> TimeRange:
        return read_range(self.query, self.now_unix_nano)

    @cached_property
    def no_changes(self) -> str:
        """Why nothing can be changed from where the visitor is, in a sentence; empty where it can."""
        refusal = self.boosts.refusal_of_all_from(self.peer) if self.boosts else None
        return f"{sentence(refusal.problem)}: {refusal.hint}." if refusal else ""

    def explain(self, spans: OutlinedSpans, target: str) -> Explanation | None:
        """Return the critical path of one trace, None when it has no such target."""
        return self.explanations.get(spans, target)

    def number(self, name: str, default: int, least: int = 1) -> int:
        """Return a whole number of the address, the default where it has none; raises BadAddress for another text."""
        text = self.query.get(name, "").strip()
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise BadAddress(f"{name}={shown(text)} is no whole number", hint=f"write one of at least {least}")
        return max(int(text), least)

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Return what the address chooses, "" where it says nothing; raises BadAddress for what is no choice."""
        text = self.query.get(name, "").strip()
        if text and text not in choices:
            raise BadAddress(f"{name}={shown(text)} is no choice", hint=f"write {' or '.join(choices)}")
        return text


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a view answers when another page has what was asked for."""

    address: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a page's address, for openapi.json."""

    name: str
    description: str


Pictures = Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Page:
    """A page and its `.json` twin."""

    name: str
    address: str
    """As Flask writes rules: `/traces/<trace_id>`."""
    template: str
    view: Callable[..., object]
    """Visit and the parts of the address to the page's value, or Elsewhere."""
    value: type
    summary: str
    parameters: tuple[Parameter, ...] = ()
    pictures: Callable[..., Pictures] = lambda value: {}
    """The page's value to its drawings, for the template."""


RANGE_PARAMETERS = (
    Parameter("last", "a range that moves with the clock: 15m, 1h, 7d"),
    Parameter("start", "begin of an absolute range: ISO 8601, or Unix time in s, ms, µs or ns"),
    Parameter("end", "end of an absolute range, likewise"),
)
