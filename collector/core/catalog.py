"""Owners of services, and what they say they depend on: a catalog that people keep, beside what spans say. Pure.

[service.payment]
owner = "Payments"
contact = "#payments-oncall"
url = "https://runbooks.example/payment"
criticality = "critical"
depends_on = ["bank", "ledger"]
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from collector.core.detail import Attributes
from collector.core.toml_table import Table, TableError, read_toml
from cpdd.names import ServiceCriticality

KEYS = ("owner", "contact", "url", "criticality", "repository", "depends_on")
CRITICALITIES: tuple[str, ...] = get_args(ServiceCriticality)


class CatalogError(TableError):
    """A catalog that cannot be used."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom to call; empty texts where nobody said."""

    name: str = ""
    contact: str = ""
    url: str = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.contact or self.url)


@dataclass(frozen=True, slots=True)
class CatalogService:
    """What the catalog says of a service."""

    owner: Owner = Owner()
    criticality: str = ""
    repository: str = ""
    depends_on: tuple[str, ...] | None = None
    """None: the catalog says nothing of it; empty: it depends on nothing."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Services by name."""

    services: Mapping[str, CatalogService] = field(default_factory=dict)

    def service(self, name: str) -> CatalogService:
        """Return what is said of a service, nothing where it is not listed."""
        return self.services.get(name, CatalogService())

    def owner(self, name: str, said: Owner = Owner()) -> Owner:
        """Return the owner of a service: what its spans said, completed by the catalog."""
        listed = self.service(name).owner
        if said.name and listed.name and said.name != listed.name:
            return said  # contact and address of another owner would lead to the wrong people
        return Owner(said.name or listed.name, said.contact or listed.contact, said.url or listed.url)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the catalog and the traces disagree about whom a service calls."""

    service: str
    never_seen: tuple[str, ...]
    """Declared, and never called."""
    never_declared: tuple[str, ...]
    """Called, and not declared."""
    is_seen: bool
    """Whether the service itself was seen; if not, nothing it declares could be."""


def owner_of(resource: Attributes) -> Owner:
    """Return the owner that a resource names (`service.owner.*`)."""
    said = {key: value for key, value in resource if isinstance(value, str)}
    return Owner(*(said.get(f"service.owner.{part}", "") for part in ("name", "contact", "url")))


def read_catalog(text: str, name: str) -> Catalog:
    """Return the catalog in `text`.

    Raises:
        CatalogError: names the file, the table, the key and the value, and what would do.
    """
    top = read_toml(text, f"catalog {name}", CatalogError)
    top.expect(("service",))
    services = top.table("service")
    return Catalog({service: _service(services.table(service)) for service in services.content})


def _service(table: Table) -> CatalogService:
    table.expect(KEYS)
    said = {key: table.text(key) for key in ("owner", "contact", "url", "repository") if key in table.content}
    return CatalogService(
        owner=Owner(said.get("owner", ""), said.get("contact", ""), said.get("url", "")),
        criticality=table.one_of("criticality", CRITICALITIES) if "criticality" in table.content else "",
        repository=said.get("repository", ""),
        depends_on=table.texts("depends_on", '["bank"]') if "depends_on" in table.content else None,
    )


def compare_dependencies(
    catalog: Catalog, seen: Iterable[tuple[str, str]], services: Iterable[str] = ()
) -> tuple[Difference, ...]:
    """Return where services that say what they depend on differ from what was seen, by name.

    Args:
        seen: caller and callee service of every call; a database, a queue or a third party is a callee too.
        services: further services that have sent spans, whether they called anybody or not.
    """
    called: dict[str, set[str]] = {service: set() for service in services}
    for caller, callee in seen:
        called.setdefault(caller, set())
        called.setdefault(callee, set())
        if callee != caller:
            called[caller].add(callee)
    differences = []
    for name, service in sorted(catalog.services.items()):
        if service.depends_on is None:
            continue
        declared, found = set(service.depends_on), called.get(name, set())
        if declared != found:
            lost, extra = tuple(sorted(declared - found)), tuple(sorted(found - declared))
            differences.append(Difference(name, lost, extra, name in called))
    return tuple(differences)
