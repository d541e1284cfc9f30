"""What a journey promises and what its callers say of their calls, against what was seen: the tab *Contracts*.

The verdicts are the core's; here they are held against what was declared, call by call, and put into words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.core.requirement import UNDETERMINED
from collector.core.said import FALLBACKS, Mark
from collector.store.values import Edge, Node, mark_of
from ui.draw.text import count_of, in_a_row, shown
from ui.draw.units import count, duration
from ui.views.address import journey_address
from ui.views.contract_text import contract_text
from ui.views.findings import FindingRow, finding_row, worst_first
from ui.views.journey import availability_of_journey, callee_traces, detail_of, edge_boost, nines_of_journey
from ui.views.journey_graph import callee_name
from ui.views.journey_need import needs_of
from ui.views.page import RANGE_PARAMETERS, Elsewhere, Page, Parameter, Visit
from ui.views.promises import AvailabilityRow, NineRow, PromiseRow, promise_row
from ui.views.requirement import EdgeRequirement, requirement_of
from ui.views.time_range import TimeRange

KEPT, BROKEN, UNSEEN, SILENT = "kept", "broken", "not seen yet", "not declared"
ORDER = (BROKEN, UNSEEN, KEPT, SILENT)
"""Worst first; calls of which nothing is said stand last."""
ICONS = {KEPT: "✓", BROKEN: "✕", UNSEEN: "?", SILENT: "·"}
COUNTED = {
    BROKEN: "not as declared",
    KEPT: "as declared",
    UNSEEN: "declared but failed too seldom to tell",
    SILENT: "not declared at all",
}
"""How the first sentence counts them."""
ABOUT_CONTRACTS = (
    "hidden mandatory",
    "needless mandatory",
    "optional but blocking",
    "timeout incoherent",
    "queue late",
    "missing nine",
    "criticality inversion",
    "journey disagrees",
)
"""Kinds of findings in which something promised or declared is not so."""


@dataclass(frozen=True, slots=True)
class Term:
    """A call: what its caller says of it, and what was seen."""

    edge: Edge
    outcome: str
    """One of ORDER."""
    icon: str
    requirement: EdgeRequirement
    need: str
    """What the call is for the journey."""
    is_mark: bool
    """The callee is the caller's own mark around a call (`with cpdd.optional("tips")`)."""
    inside: tuple[Node, ...]
    """What is called inside the mark."""
    because: str
    """Why the outcome is what it is, in words."""
    deadline: str
    """How long the caller waits at most, against how long the call takes; empty where nobody said."""
    fallback: str
    """What the caller has instead, as declared and as seen; empty where it has nothing that is known."""
    address: str
    """Traces with the call."""
    boost: str


@dataclass(frozen=True, slots=True)
class ContractsPage:
    range: TimeRange
    journey: str
    journey_address: str
    answer: str
    owner: str
    promises: tuple[PromiseRow, ...]
    """Of the journey, as they stand now."""
    availability: AvailabilityRow | None
    nines: tuple[NineRow, ...]
    terms: tuple[Term, ...]
    """Broken ones first, each kind by its share of the path."""
    findings: tuple[FindingRow, ...]
    """Open ones about something promised or declared, worst first."""
    contract: str
    """The same for `cpdd check`: a TOML document that holds today; empty where there is nothing to hold."""


def contracts_view(visit: Visit) -> ContractsPage | Elsewhere:
    """Return what a journey promises and declares against what was seen; raises NothingThere when it had no trace."""
    journey = visit.query.get("journey", "")
    if not journey:
        return Elsewhere("/")
    detail = detail_of(visit, journey)
    said = visit.settings.book.by_name.get(journey)
    standings = visit.reader.standings().get(journey, ()) if said else ()
    needs = needs_of(detail.edges, detail.call_paths)[1]
    terms = terms_of(detail.edges, needs, visit.range)
    promises = tuple(promise_row(standing, visit.now_unix_nano) for standing in standings)
    mine = [one for one in visit.reader.findings() if one.is_open and one.finding.journey == journey]
    return ContractsPage(
        range=visit.range,
        journey=journey,
        journey_address=journey_address(journey, visit.range.parameters),
        answer=_answer(terms, promises),
        owner=said.owner if said else "",
        promises=promises,
        availability=availability_of_journey(detail),
        nines=nines_of_journey(detail, said.availability if said else None),
        terms=terms,
        findings=tuple(
            finding_row(one, visit.now_unix_nano) for one in worst_first(mine) if one.finding.kind in ABOUT_CONTRACTS
        ),
        contract=contract_text(journey, detail.summary.p95_ns, detail.edges, needs),
    )


def terms_of(edges: Sequence[Edge], needs: Sequence[str], at: TimeRange) -> tuple[Term, ...]:
    """Return the calls of a journey as contracts. What is called inside a mark belongs to the mark's term.

    Args:
        needs: what each call is for the journey.
    """
    marks = {mark for edge in edges if edge.declared and (mark := mark_of(edge))}
    inside: dict[Mark, list[Node]] = {}
    for edge in edges:
        inside.setdefault((edge.caller.service, edge.caller.operation), []).append(edge.callee)
    terms = [
        _term(edge, need, tuple(inside.get(mark, ())) if (mark := mark_of(edge)) in marks and mark else (), at)
        for edge, need in zip(edges, needs, strict=True)
        if (edge.caller.service, edge.caller.operation) not in marks
    ]
    terms.sort(key=lambda one: (ORDER.index(one.outcome), -one.edge.critical_share, -one.edge.calls, one.edge.id))
    return tuple(terms)


def _term(edge: Edge, need: str, inside: tuple[Node, ...], at: TimeRange) -> Term:
    requirement = requirement_of(edge)
    outcome = _outcome(requirement)
    return Term(
        edge=edge,
        outcome=outcome,
        icon=ICONS[outcome],
        requirement=requirement,
        need=need,
        is_mark=bool(requirement.declared) and mark_of(edge) is not None,
        inside=inside,
        because=_because(requirement, outcome),
        deadline=_deadline(edge),
        fallback=_fallback(edge),
        address=callee_traces(edge, at),
        boost=edge_boost(edge),
    )


def _outcome(requirement: EdgeRequirement) -> str:
    if not requirement.declared:
        return SILENT
    if requirement.observed == UNDETERMINED:
        return UNSEEN
    return BROKEN if requirement.badge else KEPT


def _because(requirement: EdgeRequirement, outcome: str) -> str:
    if outcome == BROKEN:
        return requirement.badge
    if outcome == KEPT:
        return f"declared {requirement.declared}, and is"
    if outcome == UNSEEN:
        return f"declared {requirement.declared}, too few failures to tell"
    return "nobody says whether it matters" + (
        "" if requirement.observed == UNDETERMINED else f"; it is {requirement.observed}"
    )


def _deadline(edge: Edge) -> str:
    if not edge.said.deadline_ns:
        return ""
    over = ", longer than it is given" if edge.mean_ns > edge.said.deadline_ns else ""
    return f"waits {duration(edge.said.deadline_ns)} at most; takes {duration(edge.mean_ns)} on average{over}"


def _fallback(edge: Edge) -> str:
    words = []
    if edge.said.fallback:
        words.append(f"declares {FALLBACKS[edge.said.fallback]} in its place")
    words += [f"seen: {_spoken(node)}, {count(times)}×" for node, times in edge.fallbacks]
    return "; ".join(words)


def _spoken(node: Node) -> str:
    return shown(" ".join(part for part in (node.service, node.operation) if part) or node.kind)


def _answer(terms: Sequence[Term], promises: Sequence[PromiseRow]) -> str:
    """Say what is broken first, then how much of the rest is known."""
    return " ".join([*_of_promises(promises), *_of_calls(terms)])


def _of_promises(promises: Iterable[PromiseRow]) -> list[str]:
    """Sentences about the promises whose budget is gone or burns."""
    sentences = []
    for row in promises:
        troubles = [f"its budget is {row.budget}"] if row.budget_left <= 0 else []
        troubles += [f"its budget burns {row.burns}"] if row.burns else []
        if troubles:
            sentences.append(f"It promises {row.promised} and keeps {row.kept}: {', and '.join(troubles)}.")
    return sentences


def _of_calls(terms: Sequence[Term]) -> list[str]:
    by = {outcome: [term for term in terms if term.outcome == outcome] for outcome in ORDER}
    if not terms:
        return ["It calls nobody, so there is nothing to declare."]
    if len(by[SILENT]) == len(terms):
        return [
            f"None of its {count_of(len(terms), 'call')} says whether it matters; beside each stands what was seen."
        ]
    named = [f"{shown(t.edge.caller.service)} → {callee_name(t.edge)} is {t.requirement.badge}" for t in by[BROKEN][:2]]
    counted = [
        f"{number} {'is' if number == 1 else 'are'} {words}"
        for outcome, words in COUNTED.items()
        if (number := len(by[outcome]))
    ]
    return [*([f"{in_a_row(named)}."] if named else []), f"Of {count_of(len(terms), 'call')}, {in_a_row(counted)}."]


PAGE = Page(
    name="contracts",
    address="/contracts",
    template="contracts.html",
    view=contracts_view,
    value=ContractsPage,
    summary="What a journey promises and declares, call by call, against what was seen",
    parameters=(Parameter("journey", "the journey"), *RANGE_PARAMETERS),
)
