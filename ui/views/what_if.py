"""What if a call took another time? Traces of a journey, replayed: what to make faster first, what a wish is worth."""

from dataclasses import dataclass

from collector.core.population.parts import Part
from collector.core.population.whatif import Candidate, WhatIf
from collector.core.population.wishes import WAY, BadWish, UnknownTarget, Wish, read_wish
from collector.store.values import TraceQuery, TraceSummary
from ui.draw.text import shown
from ui.draw.units import duration, whole_percent
from ui.views.address import journey_address, what_if_address
from ui.views.errors import BadAddress
from ui.views.journey import no_trace
from ui.views.page import RANGE_PARAMETERS, Page, Parameter, Visit
from ui.views.time_range import TimeRange

MOST_TRACES = 300
MOST_SPANS = 60_000
"""Of the newest traces so many are replayed: enough for a p95, and done in a second."""
RANKED = 10
MOST_WISHES = 8


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """Own work of an operation, or the way between two services, and what making it faster is worth."""

    part: Part
    name: str
    mean_ns: float
    halved_ns: float
    halved_p95_ns: float
    gone_ns: float
    saturates_ns: float
    """By so much it can shrink before another path takes over."""
    address: str
    """This page with the wish to halve it."""


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """One figure before and after the wishes."""

    name: str
    before_ns: float
    after_ns: float
    interval_ns: tuple[float, float]
    """Of the change."""
    after_cautious_ns: float
    after_bold_ns: float


@dataclass(frozen=True, slots=True)
class WhatIfPage:
    range: TimeRange
    journey: str
    journey_address: str
    answer: str
    traces: int
    spans: int
    wishes: tuple[str, ...]
    touched: float
    """Share of the traces that have what is wished about."""
    predicted: tuple[PredictedRow, ...]
    """Empty without a wish."""
    candidates: tuple[CandidateRow, ...]
    """The one to make faster first at the front."""


def what_if_view(visit: Visit) -> WhatIfPage:
    """Return what the traces of a journey would take; raises NothingThere without traces, BadAddress for a wish."""
    journey, texts = visit.query.get("journey", ""), [text for text in visit.lists.get("set", []) if text.strip()]
    wishes = _read(texts[:MOST_WISHES])
    newest = _sample(visit.reader.find(TraceQuery(visit.range.window, journey, limit=MOST_TRACES)))
    batch = visit.reader.spans_of([trace.trace_id for trace in newest])
    if not newest or batch is None:
        raise no_trace(visit, journey)
    population = WhatIf(batch)
    try:
        prediction = population.predict(wishes) if wishes else None
    except UnknownTarget as error:
        raise BadAddress(f"no trace has {shown(error.wish.target)}", hint=_near(error)) from None
    candidates = tuple(_row(visit, journey, each) for each in population.rank(RANKED))
    figures = prediction.figures if prediction else ()
    predicted = tuple(
        PredictedRow(f.name, f.before_ns, f.after_ns, f.interval_ns, f.after_cautious_ns, f.after_bold_ns)
        for f in figures
    )
    return WhatIfPage(
        range=visit.range,
        journey=journey,
        journey_address=journey_address(journey, visit.range.parameters),
        answer=_answer(predicted, candidates, population.mean_ns),
        traces=len(population),
        spans=len(batch),
        wishes=tuple(texts[:MOST_WISHES]),
        touched=prediction.touched if prediction else 0.0,
        predicted=predicted,
        candidates=candidates,
    )


def _read(texts: list[str]) -> list[Wish]:
    try:
        return [read_wish(text) for text in texts]
    except BadWish as error:
        raise BadAddress(
            f"set={shown(error.text)}: {shown(error.problem)}",
            hint="write service/operation=-20ms, service=x0.5 or caller -> callee=-30%",
        ) from None


def _near(error: UnknownTarget) -> str:
    return f"there is {', '.join(shown(name) for name in error.near)}"


def _sample(traces: list[TraceSummary]) -> list[TraceSummary]:
    """The newest traces with no more than MOST_SPANS together; one at least."""
    kept: list[TraceSummary] = []
    spans = 0
    for trace in traces:
        spans += trace.spans
        if kept and spans > MOST_SPANS:
            break
        kept.append(trace)
    return kept


def _row(visit: Visit, journey: str, candidate: Candidate) -> CandidateRow:
    part = candidate.part
    callee = f"{part.service}/{part.operation}"
    target = f"{part.caller_service}{WAY}{callee}" if part.is_gap else callee
    return CandidateRow(
        part=part,
        name=_words(part),
        mean_ns=candidate.mean_ns,
        halved_ns=candidate.halved_ns,
        halved_p95_ns=candidate.halved_p95_ns,
        gone_ns=candidate.gone_ns,
        saturates_ns=candidate.saturates_at * candidate.mean_ns,
        address=what_if_address({"journey": journey, **visit.range.parameters, "set": f"{target}=x0.5"}),
    )


def _words(part: Part) -> str:
    if part.is_gap:
        return f"the way from {shown(part.caller_service)} to {_own_words(part)}"
    return _own_words(part)


def _own_words(part: Part) -> str:
    return f"{shown(part.service)} {shown(part.operation)}".rstrip()


def _answer(predicted: tuple[PredictedRow, ...], candidates: tuple[CandidateRow, ...], mean_ns: float) -> str:
    if predicted:
        mean, p95 = predicted[0], predicted[2]
        if duration(mean.after_ns) == duration(mean.before_ns):
            change = duration(mean.after_ns - mean.before_ns)
            return f"It would hardly matter: {change} of {duration(mean.before_ns)} on average."
        return (
            f"It would take {duration(mean.after_ns)} on average instead of {duration(mean.before_ns)}, "
            f"and {duration(p95.after_ns)} at p95 instead of {duration(p95.before_ns)}."
        )
    if not candidates or candidates[0].halved_ns <= 0:
        return "Nothing alone makes it faster: other work would take its place on the path."
    first = candidates[0]
    return (
        f"Make {first.name} faster first: at half its time the journey takes {duration(first.halved_ns)} less on "
        f"average, {whole_percent(first.halved_ns / mean_ns)}."
    )


PAGE = Page(
    name="what_if",
    address="/what-if",
    template="what_if.html",
    view=what_if_view,
    value=WhatIfPage,
    summary="What a journey would take if a call took another time, and what to make faster first",
    parameters=(
        Parameter("journey", "the journey"),
        Parameter("set", "service/operation=-20ms, service=x0.5, caller -> callee=-30%; may be repeated"),
        *RANGE_PARAMETERS,
    ),
)
