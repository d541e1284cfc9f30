"""One service: whom it would take down, whom it calls, who calls it, and whom to call about it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.core.catalog import Owner
from collector.core.mandatory import through_marks
from collector.core.requirement import BY_NEED, MANDATORY, OPTIONAL, UNDETERMINED
from collector.observed import nines_of, step_of
from collector.store.values import Edge, Node, ServiceFacts
from ui.draw.text import count_of, in_a_row, shown
from ui.draw.units import percent
from ui.views.address import (
    boost_address,
    contracts_address,
    findings_address,
    journey_address,
    search_address,
    service_address,
    services_address,
)
from ui.views.errors import NothingThere
from ui.views.findings import FindingRow, finding_row, worst_first
from ui.views.journey_graph import WITHOUT_SPANS
from ui.views.journey_need import parts_of
from ui.views.page import RANGE_PARAMETERS, Elsewhere, Page, Visit
from ui.views.promises import NineRow, nine_row
from ui.views.source_link import repository_address
from ui.views.span_panel import OwnerLine, owner_line
from ui.views.time_range import TimeRange

BEGINS = "begins here"
ORDER = (MANDATORY, BEGINS, UNDETERMINED, OPTIONAL)
NAMED = 3
"""Journeys that the first sentence names."""


@dataclass(frozen=True, slots=True)
class Blast:
    """What becomes of a journey when the service is gone."""

    journey: str
    address: str
    contracts: str
    """The tab that says why."""
    need: str
    """`mandatory`, `optional`, `undetermined`, or `begins here`."""
    owner: str
    criticality: str
    calls: float
    failed: float
    status_known: bool
    nine: NineRow | None
    """How it stands against the nine that the journey needs of it: its worst operation."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who calls the service, or whom it calls, over all journeys."""

    name: str
    kind: str
    """Empty for a service."""
    address: str
    calls: float
    failed: float
    status_known: bool
    requirement: str
    """Whether the caller's service needs it: the strictest verdict of any call between the two, marks seen through."""
    mean_ns: float


@dataclass(frozen=True, slots=True)
class Version:
    version: str
    revision: str
    repository: str
    first_seen_unix_nano: int
    last_seen_unix_nano: int


@dataclass(frozen=True, slots=True)
class ServicePage:
    range: TimeRange
    service: str
    answer: str
    owner: OwnerLine
    criticality: str
    versions: tuple[Version, ...]
    """Seen last first."""
    journeys: tuple[Blast, ...]
    """Those that it takes down first."""
    callers: tuple[Neighbour, ...]
    """Most calls first; likewise what it calls."""
    callees: tuple[Neighbour, ...]
    findings: tuple[FindingRow, ...]
    findings_address: str
    traces: str
    """Address of its traces."""
    boost: str


def service_view(visit: Visit, service: str) -> ServicePage | Elsewhere:
    """Return what is known of a service; raises NothingThere for one that never sent spans."""
    if not service:
        return Elsewhere(services_address(visit.range.parameters))
    facts = visit.reader.service_facts(service)
    by_journey = visit.reader.calls(visit.range.window)
    callers = _between(by_journey, lambda edge: _is_of(edge.callee, service))
    callees = _between(by_journey, lambda edge: _is_of(edge.caller, service))
    if not (facts or callers or callees or service in visit.reader.services()):
        raise NothingThere(
            f"no service {shown(service)} has sent spans", "see who has", services_address(), may_come=True
        )
    journeys = _blasts(visit, service, by_journey)
    latest = facts[0] if facts else None
    listed = visit.settings.catalog.service(service)
    said = Owner(latest.owner, latest.owner_contact, latest.owner_url) if latest else Owner()
    owner = owner_line(visit.settings.catalog.owner(service, said))
    mine = [one for one in visit.reader.findings() if one.is_open and one.finding.service == service]
    at = visit.range.parameters
    return ServicePage(
        range=visit.range,
        service=service,
        answer=_answer(service, journeys, owner),
        owner=owner,
        criticality=shown(latest.criticality if latest and latest.criticality else listed.criticality),
        versions=_versions(facts, listed.repository),
        journeys=journeys,
        callers=_neighbours(((call.edge.caller, call) for call in callers), at),
        callees=_neighbours(((call.edge.callee, call) for call in callees), at),
        findings=tuple(finding_row(one, visit.now_unix_nano) for one in worst_first(mine)),
        findings_address=findings_address({"service": service}),
        traces=search_address({"service": service, **at}),
        boost=boost_address(service),
    )


def taken_down(by_journey: Mapping[str, Sequence[Edge]]) -> dict[str, tuple[str, ...]]:
    """Return for each service the journeys that cannot do without it, the ones that begin in it left out."""
    found: dict[str, list[str]] = {}
    for journey, edges in sorted(by_journey.items()):
        for service, need in _needs(edges).items():
            if need == MANDATORY:
                found.setdefault(service, []).append(journey)
    return {service: tuple(journeys) for service, journeys in found.items()}


class _Call(NamedTuple):
    edge: Edge
    requirement: str
    """Whether the caller's service needs it; what lies inside a mark is needed if the mark is."""


def _between(by_journey: Mapping[str, Sequence[Edge]], is_wanted: Callable[[Edge], bool]) -> list[_Call]:
    """Return the wanted calls between services; what else their journeys call is not judged, but for marks."""
    found: list[_Call] = []
    for edges in by_journey.values():
        wanted = [edge for edge in edges if edge.caller.service != edge.callee.service and is_wanted(edge)]
        callers = {edge.caller.service for edge in wanted}
        marks = [edge for edge in edges if edge.kind == "internal" and edge.caller.service in callers]
        words = through_marks([step_of(edge) for edge in (*wanted, *marks)])
        found += map(_Call, wanted, words)
    return found


def _is_of(node: Node, service: str) -> bool:
    return node.service == service and node.kind not in WITHOUT_SPANS


def _needs(edges: Sequence[Edge]) -> dict[str, str]:
    """Return what each service is for a journey: the strictest of its operations; `begins here` for its root's."""
    if not edges:
        return {}
    called = {edge.callee for edge in edges}
    needs: dict[str, str] = {}
    for part in parts_of(edges):  # mandatory ones first
        for node in part.nodes:
            if node.kind not in WITHOUT_SPANS:
                needs.setdefault(node.service, part.need)
    for edge in edges:
        if edge.caller not in called and edge.caller.kind not in (*WITHOUT_SPANS, "consumer"):
            needs[edge.caller.service] = BEGINS
    return needs


def _blasts(visit: Visit, service: str, by_journey: Mapping[str, Sequence[Edge]]) -> tuple[Blast, ...]:
    found = []
    for journey, edges in by_journey.items():
        need = _needs(edges).get(service)
        if need is not None:
            found.append(_blast(visit, service, journey, need, edges))
    found.sort(key=lambda one: (ORDER.index(one.need), -one.calls, one.journey))
    return tuple(found)


def _blast(visit: Visit, service: str, journey: str, need: str, edges: Sequence[Edge]) -> Blast:
    said = visit.settings.book.by_name.get(journey)
    to_it = [edge for edge in edges if _is_of(edge.callee, service) and edge.caller.service != service]
    nines = [nine for nine in nines_of(said.availability if said else None, 1.0, edges) if nine.node[0] == service]
    worst = min(nines, key=lambda nine: nine.availability.share, default=None)
    at = visit.range.parameters
    return Blast(
        journey=journey,
        address=journey_address(journey, at),
        contracts=contracts_address({"journey": journey, **at}),
        need=need,
        owner=said.owner if said else "",
        criticality=(said.criticality if said else "") or "",
        calls=sum(edge.calls for edge in to_it),
        failed=sum(edge.failed for edge in to_it),
        status_known=any(edge.status_known for edge in to_it),
        nine=nine_row(worst) if worst else None,
    )


def _neighbours(ends: Iterable[tuple[Node, _Call]], at: Mapping[str, str]) -> tuple[Neighbour, ...]:
    """Return the services (databases, queues, third parties) at the other ends of calls."""
    by_name: dict[tuple[str, str], list[_Call]] = {}
    for node, call in ends:
        kind = node.kind if node.kind in WITHOUT_SPANS else ""
        by_name.setdefault((node.service or node.operation, kind), []).append(call)
    rows = []
    for (name, kind), found in by_name.items():
        edges = [call.edge for call in found]
        calls = sum(edge.calls for edge in edges)
        rows.append(
            Neighbour(
                name=shown(name),
                kind=kind,
                address="" if kind else service_address(name, at),
                calls=calls,
                failed=sum(edge.failed for edge in edges),
                status_known=any(edge.status_known for edge in edges),
                requirement=min((call.requirement for call in found), key=BY_NEED.index),
                mean_ns=sum(edge.mean_ns * edge.calls for edge in edges) / calls if calls else 0.0,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.calls, row.name)))


def _versions(facts: Sequence[ServiceFacts], repository: str) -> tuple[Version, ...]:
    return tuple(
        Version(
            shown(each.version),
            shown(each.revision),
            repository_address(each.repository or repository),
            each.first_seen_unix_nano,
            each.last_seen_unix_nano,
        )
        for each in facts
        if each.version or each.revision
    )


def _answer(service: str, journeys: Sequence[Blast], owner: OwnerLine) -> str:
    """Say whom it takes down, and whom to call."""
    by = {need: [one.journey for one in journeys if one.need == need] for need in ORDER}
    name = shown(service)
    call = " ".join(part for part in (owner.name, owner.contact) if part) or "nobody, as far as spans and catalog say"
    whose = f"It belongs to {call}."
    if not journeys:
        return f"No journey called {name} in this time. {whose}"
    sentences = []
    down = by[MANDATORY]
    if down:
        names = [shown(journey) for journey in down[:NAMED]]
        rest = [count_of(len(down) - NAMED, "further one")] if len(down) > NAMED else []
        verb = "goes" if len(down) == 1 else "go"
        sentences.append(f"Without {name}, {in_a_row(names + rest)} {verb} down.")
    else:
        sentences.append(f"No journey is known to go down with {name}.")
    rest = [
        f"{count_of(len(by[need]), 'journey')} {words if len(by[need]) == 1 else plural}"
        for need, words, plural in (
            (BEGINS, "begins in it", "begin in it"),
            (OPTIONAL, "does without it", "do without it"),
            (UNDETERMINED, "has not shown yet whether it does", "have not shown yet whether they do"),
        )
        if by[need]
    ]
    if rest:
        sentences.append(f"{in_a_row(rest)}.")
    return " ".join([*sentences, whose])


def share_failed(row: Blast | Neighbour) -> str:
    """Return the share of calls that failed, in words."""
    return percent(row.failed / row.calls) if row.calls and row.status_known else "–"


PAGE = Page(
    name="service",
    address="/services/<anything:service>",
    template="service.html",
    view=service_view,
    value=ServicePage,
    summary="A service: the journeys that go down with it, its nines, its callers and dependencies, versions and owner",
    parameters=RANGE_PARAMETERS,
)
