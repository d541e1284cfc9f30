"""A trace beside another of its journey, or beside the typical one: where the difference comes from, call by call."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.explain import Explanation
from collector.core.spans import STATUS_ERROR, SpanBatch
from collector.core.trace_pair import PairedCall, Side, pair_calls
from collector.store.values import TraceOutcome, TraceQuery, Window
from ui.draw.pair import Extent, PairBars, pair_picture
from ui.draw.text import count_of, shown
from ui.draw.units import duration, exact_duration, whole_percent
from ui.draw.waterfall import Axis, time_axis
from ui.views.address import journey_address, trace_address, trace_pair_address
from ui.views.errors import BadAddress
from ui.views.page import Page, Parameter, Pictures, Visit
from ui.views.search_words import TraceWanted, read_words, settled
from ui.views.time_range import around, range_of
from ui.views.trace_asked import read_trace_id, stored_trace

TYPICAL, EARLIER, SLOWEST = "typical", "1d", "slowest"
OTHERS = {TYPICAL: "typical of its hour", EARLIER: "typical a day earlier", SLOWEST: "slowest of its hour"}
_DAY_NS = 86_400 * 1_000_000_000
NEAR = (0.8, 1.25)
"""A trace is typical that lies within these parts of the median; nearest wins."""
CANDIDATES = 100
DRAWN = 120
"""Rows of the picture; the calls that differ most, with those above them."""
LISTED = 200
STRETCHES = 500
"""Of one call path in the value of the page."""
WORTH_SAYING = 0.1
"""A smaller part of the difference is not put into the sentence."""
MORE_THAN_ALL = 1.05
"""A call that differs by a larger part is said with what the others made up for: no one understands 380 %."""
ALIKE = 0.02
"""Durations that differ by less than this part of the other's are about the same."""


@dataclass(frozen=True, slots=True)
class TraceSide:
    """One of the two traces."""

    trace_id: str
    address: str
    journey: str
    """Empty until the trace was analyzed."""
    start_unix_nano: int
    duration_ns: int
    spans: int
    errors: int
    failed: bool


@dataclass(frozen=True, slots=True)
class CallSide:
    """What one of the traces has of a call path."""

    calls: int
    failed: int
    time_ns: int
    """Own time on the critical path."""
    start_ns: int
    """Offset from the start of the request."""
    end_ns: int
    owned_ns: tuple[tuple[int, int], ...]
    """Its first stretches of the path, as offsets."""


@dataclass(frozen=True, slots=True)
class CallRow:
    name: str
    service: str
    operation: str
    way_to: str
    """The service that its own time is the way to; empty for work of its own."""
    depth: int
    address: str
    """Of the span in this trace, else in the other."""
    this: CallSide | None
    """None: this trace has no such call."""
    other: CallSide | None
    delta_ns: int
    share_of_difference: float
    """Negative where it made up for others; 0 where the traces took the same time."""


@dataclass(frozen=True, slots=True)
class OtherTrace:
    words: str
    address: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class PairPage:
    answer: str
    this: TraceSide
    other: TraceSide | None
    """None where there is no such trace."""
    against: str
    journey_address: str
    choices: tuple[OtherTrace, ...]
    difference_ns: int
    """What the rows add up to, those that are left out included."""
    axis_end_ns: int
    rows: tuple[CallRow, ...]
    """In the order of the calls: those that differ most, and what is above them."""
    changes: tuple[CallRow, ...]
    """Those with a difference, the largest first; the first LISTED."""
    total_calls: int
    total_changes: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A trace with what is computed of it."""

    outcome: TraceOutcome | None
    explained: Explanation
    failed: list[bool]
    side: TraceSide


def pair_view(visit: Visit, trace_id: str) -> PairPage:
    """Return a trace beside another; raises as `trace_view` does, for either of them."""
    this = _read(visit, read_trace_id(trace_id))
    against = visit.query.get("with", "").strip() or TYPICAL
    other_id = _other(visit, this, against)
    other = _read(visit, other_id) if other_id else None
    calls = pair_calls(this.explained, other.explained, this.failed, other.failed) if other else ()
    difference = this.side.duration_ns - other.side.duration_ns if other else 0
    changed = sorted((at for at, call in enumerate(calls) if call.delta_ns), key=lambda at: -abs(calls[at].delta_ns))
    row = _Rows(this, other, calls, difference).row
    changes = tuple(row(at) for at in changed[:LISTED])
    return PairPage(
        answer=_answer(this.side, other.side, against, changes, calls) if other else _nothing(this, against),
        this=this.side,
        other=other.side if other else None,
        against=against,
        journey_address=_journey_address(visit, this),
        choices=_choices(this, against),
        difference_ns=difference,
        axis_end_ns=max(this.side.duration_ns, other.side.duration_ns if other else 0),
        rows=tuple(row(at) for at in _drawn(calls, changed)),
        changes=changes,
        total_calls=len(calls),
        total_changes=len(changed),
    )


def _read(visit: Visit, trace_id: str) -> _Known:
    stored = stored_trace(visit, trace_id)
    explained = visit.explain(stored.spans, "root")
    assert explained is not None, "every trace has a root"
    outcome, failed = stored.outcome, _failed(stored.spans.batch, explained)
    side = TraceSide(
        trace_id=trace_id,
        address=trace_address(trace_id),
        journey=outcome.journey if outcome else "",
        start_unix_nano=explained.target_start_unix_nano,
        duration_ns=explained.target_duration_ns,
        spans=len(explained.nodes),
        errors=sum(failed),
        failed=outcome.failed if outcome else failed[max(explained.target, 0)],
    )
    return _Known(outcome, explained, failed, side)


def _failed(batch: SpanBatch, explained: Explanation) -> list[bool]:
    failed = (batch.status_code == STATUS_ERROR).tolist()
    return [failed[node.row] for node in explained.nodes]


def _other(visit: Visit, this: _Known, against: str) -> str:
    """Return the id of the trace to hold it against, "" where there is none of that kind."""
    if against not in OTHERS:
        return _named(against, this.side.trace_id)
    if this.outcome is None:
        return ""
    window = around(this.outcome.start_unix_nano)
    match against:
        case "slowest":
            query = TraceQuery(window, this.outcome.journey, slowest_first=True, limit=2)
            return next((t.trace_id for t in visit.reader.find(query) if t.trace_id != this.side.trace_id), "")
        case "1d":
            window = Window(window.start_unix_nano - _DAY_NS, window.end_unix_nano - _DAY_NS)
    return _typical(visit, this.outcome, window)


def _named(text: str, this_id: str) -> str:
    wanted = settled(read_words(text), lambda trace_id: True)
    if not isinstance(wanted, TraceWanted):
        hint = f"write the id or the address of a trace, or {', '.join(OTHERS)}"
        raise BadAddress(f"with={shown(text)} is no trace", hint=hint)
    if wanted.trace_id == this_id:
        raise BadAddress("a trace beside itself has no difference", hint="write the id of another trace")
    return wanted.trace_id


def _typical(visit: Visit, this: TraceOutcome, window: Window) -> str:
    """Return the trace nearest to the journey's median duration; one that did not fail where there is any."""
    median = visit.reader.median_ns(this.journey, window)
    if median is None:
        return ""
    least, most = (int(part * median) for part in NEAR)
    near = TraceQuery(window, this.journey, min_duration_ns=least, max_duration_ns=most, limit=CANDIDATES)
    anything = TraceQuery(window, this.journey, limit=CANDIDATES)
    for query in (near, anything):
        others = [trace for trace in visit.reader.find(query) if trace.trace_id != this.trace_id]
        if others:
            return min(others, key=lambda t: (t.failed, abs(t.duration_ns - median), t.trace_id)).trace_id
    return ""


def _journey_address(visit: Visit, this: _Known) -> str:
    if this.outcome is None:
        return ""
    there = range_of(around(this.outcome.start_unix_nano), visit.now_unix_nano)
    return journey_address(this.outcome.journey, there.parameters)


def _choices(this: _Known, against: str) -> tuple[OtherTrace, ...]:
    id_ = this.side.trace_id
    offered = [
        OtherTrace(words, trace_pair_address(id_, {"with": name if name != TYPICAL else ""}), against == name)
        for name, words in OTHERS.items()
    ]
    named = [] if against in OTHERS else [OtherTrace("the one named", trace_pair_address(id_, {"with": against}), True)]
    return (*offered, *named)


class _Rows:
    """Paired calls to rows of the page."""

    def __init__(self, this: _Known, other: _Known | None, calls: Sequence[PairedCall], difference_ns: int) -> None:
        self.this, self.other, self.calls, self.difference = this, other, calls, difference_ns

    def row(self, at: int) -> CallRow:
        call = self.calls[at]
        return CallRow(
            name=_name(call),
            service=shown(call.service),
            operation=shown(call.operation),
            way_to=shown(call.way_to),
            depth=call.depth,
            address=self._address(call),
            this=_side(call.this),
            other=_side(call.other),
            delta_ns=call.delta_ns,
            share_of_difference=call.delta_ns / self.difference if self.difference else 0.0,
        )

    def _address(self, call: PairedCall) -> str:
        known, side = (self.this, call.this) if call.this.calls else (self.other, call.other)
        assert known is not None
        span = known.explained.nodes[side.first].id
        return f"{trace_address(known.side.trace_id, {'span': span})}#span"


def _name(call: PairedCall) -> str:
    if call.way_to:
        return f"the way from {shown(call.service)} to {shown(call.way_to)}"
    return f"{shown(call.service)} {shown(call.operation)}".rstrip()


def _side(side: Side) -> CallSide | None:
    if not side.calls:
        return None
    owned = tuple(side.sections[:STRETCHES])
    return CallSide(side.calls, side.failed, side.time_ns, side.start_ns, side.end_ns, owned)


def _drawn(calls: Sequence[PairedCall], changed: Sequence[int]) -> list[int]:
    """Return which calls are drawn: those on a path, the most different first, each with what is above it."""
    on_path = [at for at, call in enumerate(calls) if not call.delta_ns and (call.this.time_ns or call.other.time_ns)]
    drawn: set[int] = set()
    for at in (*changed, *on_path):
        chain = set()
        above = at
        while above >= 0 and above not in drawn:
            chain.add(above)
            above = calls[above].parent
        if len(drawn) + len(chain) <= DRAWN:
            drawn |= chain
    return sorted(drawn)


def _nothing(this: _Known, against: str) -> str:
    if this.outcome is None:
        return "This trace is not analyzed yet, so its journey is not known: name a trace to hold it against."
    name = shown(this.outcome.journey)
    if against == EARLIER:
        return f"A day earlier there was no trace of {name}."
    return f"There is no other trace of {name} in the hour before this one."


def _answer(
    this: TraceSide, other: TraceSide, against: str, changes: Sequence[CallRow], calls: Sequence[PairedCall]
) -> str:
    """Say which is longer and by how much, what it comes from, and who failed."""
    which = {TYPICAL: "the typical one", EARLIER: "the typical one a day earlier", SLOWEST: "the slowest of its hour"}
    that = f"{which.get(against, 'the other')} ({duration(other.duration_ns)})"
    difference = this.duration_ns - other.duration_ns
    sentences = []
    if abs(difference) < ALIKE * other.duration_ns or not difference:
        sentences.append(f"It took {duration(this.duration_ns)}, about as long as {that}.")
    else:
        verb = "longer" if difference > 0 else "shorter"
        sentences.append(f"It took {duration(this.duration_ns)}, {duration(abs(difference))} {verb} than {that}.")
        named = [row for row in changes if row.share_of_difference > WORTH_SAYING][:2]
        if named and named[0].share_of_difference > MORE_THAN_ALL:
            most = named[0]
            made_up = duration(abs(most.delta_ns - difference))
            sentences.append(f"{most.name} took {duration(abs(most.delta_ns))} {verb}, the rest made up for {made_up}.")
        elif named:
            first, *also = [(whole_percent(min(row.share_of_difference, 1.0)), row.name) for row in named]
            sentences.append(f"{first[0]} of that is {first[1]}{''.join(f', {part} {name}' for part, name in also)}.")
    if this.failed != other.failed:
        sentences.append("It failed, the other did not." if this.failed else "The other failed, it did not.")
    alone = sum(1 for call in calls if not call.other.calls)
    if alone:
        sentences.append(f"It has {count_of(alone, 'call')} that the other has not.")
    return " ".join(sentences)


def pictures(page: PairPage) -> Pictures:
    if page.other is None:
        return {}
    axis = Axis(0, page.axis_end_ns)
    bars = [PairBars(_extent(row, row.this, "this"), _extent(row, row.other, "the other")) for row in page.rows]
    return {"pair": pair_picture(bars, axis, "Both traces on one ruler, call by call"), "axis": time_axis(axis)}


def _extent(row: CallRow, side: CallSide | None, which: str) -> Extent | None:
    if side is None:
        return None
    words = f"{row.service} {row.operation} in {which}: {exact_duration(side.time_ns)} of its own on the path"
    return Extent(words, side.start_ns, side.end_ns, side.owned_ns)


PAGE = Page(
    name="trace_pair",
    address="/traces/<trace_id>/compare",
    template="trace_pair.html",
    view=pair_view,
    value=PairPage,
    summary="A trace beside another, or beside the typical one: where the difference comes from, call by call",
    parameters=(Parameter("with", f"id or address of the other trace, or {', '.join(OTHERS)}; {TYPICAL} unless said"),),
    pictures=pictures,
)
