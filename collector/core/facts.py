"""What a resource says of the service that it is: the few facts that are kept beside its spans. Pure."""

from dataclasses import dataclass

from collector.core.detail import Attributes

MAX_CHARS = 500
"""Of each fact; longer ones are cut."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One deployment of a service, as far as its resource tells; empty texts where it does not."""

    service: str
    version: str
    revision: str
    repository: str
    owner: str
    owner_contact: str
    owner_url: str
    criticality: str


_KEYS = (
    "service.name",
    "service.version",
    "vcs.ref.head.revision",
    "vcs.repository.url.full",
    "service.owner.name",
    "service.owner.contact",
    "service.owner.url",
    "service.criticality",
)
"""In the order of the fields."""


def facts_of(resource: Attributes) -> Facts:
    """Return the facts in a resource's attributes.

    >>> facts_of((("service.name", "shop"), ("service.owner.name", "Storefront"), ("process.pid", 7))).owner
    'Storefront'
    """
    said = {key: value[:MAX_CHARS] for key, value in resource if isinstance(value, str)}
    return Facts(*(said.get(key, "") for key in _KEYS))
