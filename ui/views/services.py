"""Services: who sends spans, who owns them, what runs, and where the catalog and the traces disagree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from collector.core.catalog import Catalog, Owner, compare_dependencies
from collector.store.values import ServiceFacts
from ui.draw.text import count_of, in_a_row, shown
from ui.views.address import service_address
from ui.views.page import RANGE_PARAMETERS, Page, Visit
from ui.views.service import taken_down
from ui.views.source_link import repository_address
from ui.views.span_panel import OwnerLine, owner_line
from ui.views.time_range import TimeRange

LISTED = 1_000


@dataclass(frozen=True, slots=True)
class ServiceRow:
    service: str
    address: str
    """Of its page; empty for a name that no address can hold."""
    mandatory_for: tuple[str, ...]
    """Journeys that go down with it, in the range."""
    owner: OwnerLine
    criticality: str
    version: str
    """That was seen last."""
    revision: str
    repository: str
    """Web address; empty where it has none."""
    since_unix_nano: int
    """When this version was seen first, 0 where that is not known."""
    last_seen_unix_nano: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Where a service calls others than the catalog says."""

    service: str
    never_seen: tuple[str, ...]
    never_declared: tuple[str, ...]
    is_seen: bool


@dataclass(frozen=True, slots=True)
class ServicesPage:
    range: TimeRange
    answer: str
    services: tuple[ServiceRow, ...]
    total_services: int
    differences: tuple[DifferenceRow, ...]
    """In the calls of the range; none where there is no catalog."""
    has_catalog: bool


def services_view(visit: Visit) -> ServicesPage:
    """Return what is known of services, and of what they call in the range."""
    catalog = visit.settings.catalog
    facts = {name: list(states) for name, states in groupby(visit.reader.service_facts(), lambda f: f.service)}
    names = sorted({*visit.reader.services(), *facts})
    by_journey = visit.reader.calls(visit.range.window)
    down = taken_down(by_journey)
    rows = [_row(name, facts.get(name, []), catalog, visit.range, down.get(name, ())) for name in names]
    ends = {(edge.caller.service, edge.callee.service) for edges in by_journey.values() for edge in edges}
    seen = sorted((caller, callee) for caller, callee in ends if caller != callee)
    differences = tuple(
        DifferenceRow(shown(d.service), _shown(d.never_seen), _shown(d.never_declared), d.is_seen)
        for d in compare_dependencies(catalog, seen, _seen_in(facts, visit.range))
    )
    return ServicesPage(
        range=visit.range,
        answer=_answer(rows, differences, bool(catalog.services)),
        services=tuple(rows[:LISTED]),
        total_services=len(rows),
        differences=differences,
        has_catalog=bool(catalog.services),
    )


def _row(
    name: str, states: Sequence[ServiceFacts], catalog: Catalog, range: TimeRange, down: tuple[str, ...]
) -> ServiceRow:
    latest = states[0] if states else None
    said = Owner(latest.owner, latest.owner_contact, latest.owner_url) if latest else Owner()
    of_version = [state.first_seen_unix_nano for state in states if latest and state.version == latest.version]
    listed = catalog.service(name)
    return ServiceRow(
        service=shown(name),
        address=service_address(name, range.parameters),
        mandatory_for=down,
        owner=owner_line(catalog.owner(name, said)),
        criticality=shown(latest.criticality if latest and latest.criticality else listed.criticality),
        version=shown(latest.version) if latest else "",
        revision=shown(latest.revision) if latest else "",
        repository=repository_address((latest.repository if latest else "") or listed.repository),
        since_unix_nano=min(of_version, default=0),
        last_seen_unix_nano=latest.last_seen_unix_nano if latest else 0,
    )


def _seen_in(facts: dict[str, list[ServiceFacts]], range: TimeRange) -> Iterable[str]:
    """Services that sent spans in the range, or since."""
    begin = range.window.start_unix_nano
    return (name for name, states in facts.items() if states[0].last_seen_unix_nano >= begin)


def _shown(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(shown, names))


def _answer(rows: Sequence[ServiceRow], differences: Sequence[DifferenceRow], has_catalog: bool) -> str:
    if not rows:
        return "No service has sent spans yet."
    unowned = sum(not (row.owner.name or row.owner.contact or row.owner.url) for row in rows)
    verb = "has" if len(rows) == 1 else "have"
    sentences = [f"{count_of(len(rows), 'service')} {verb} sent spans."]
    if unowned:
        sentences.append(f"Nobody is named as the owner of {unowned}.")
    if differences:
        names = in_a_row([row.service for row in differences[:3]])
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        sentences.append(f"The catalog and the traces disagree about whom {names}{more} called.")
    elif has_catalog:
        sentences.append("What was called is what the catalog says.")
    return " ".join(sentences)


PAGE = Page(
    name="services",
    address="/services",
    template="services.html",
    view=services_view,
    value=ServicesPage,
    summary="Services: owner, version, criticality, what goes down with them, where catalog and traces disagree",
    parameters=RANGE_PARAMETERS,
)
