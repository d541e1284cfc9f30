"""Who is where: every service's address, owner and importance. What a deployment would know; no service's code."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOST = "127.0.0.1"
PORTS_VARIABLE = "SHOP_PORTS"
_FIRST_PORT = 18080


@dataclass(frozen=True, slots=True)
class Service:
    """One service as it is deployed."""

    name: str
    version: str
    owner: str
    contact: str
    criticality: str

    def resource_attributes(self) -> str:
        """Return OTEL_RESOURCE_ATTRIBUTES for it."""
        said = {
            "service.version": self.version,
            "service.namespace": "shop",
            "service.criticality": self.criticality,
            "service.owner.name": self.owner,
            "service.owner.contact": self.contact,
            "deployment.environment.name": "demo",
        }
        return ",".join(f"{key}={value}" for key, value in said.items())


SERVICES = (
    Service("shop", "5.2.0", "Storefront", "%23storefront", "critical"),
    Service("catalog", "3.1.4", "Storefront", "%23storefront", "high"),
    Service("pricing", "1.9.2", "Pricing", "%23pricing", "low"),
    Service("stock", "2.0.7", "Warehouse", "%23warehouse", "high"),
    Service("shipping", "1.3.0", "Warehouse", "%23warehouse", "high"),
    Service("cart", "4.4.1", "Storefront", "%23storefront", "high"),
    Service("recommendations", "0.9.3", "Discovery", "%23discovery", "low"),
    Service("payment", "2.3.1", "Payments", "pay-oncall@shop.example", "critical"),
    Service("bank", "7.0.0", "Payments", "pay-oncall@shop.example", "critical"),
    Service("broker", "1.1.0", "Platform", "%23platform", "high"),
    Service("mailer", "1.0.5", "Platform", "%23platform", "medium"),
)
NAMES = tuple(service.name for service in SERVICES)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a service listens: for its callers, and for whoever switches its faults."""

    port: int
    control: int


def encode(ports: Mapping[str, Ports]) -> str:
    """Return the value of SHOP_PORTS that `decode` reads."""
    return json.dumps({name: [at.port, at.control] for name, at in ports.items()})


def decode(text: str) -> dict[str, Ports]:
    """Return the ports of each service; fixed ones from 18080 on for an empty text, to run a service by hand."""
    if not text:
        return {name: Ports(_FIRST_PORT + 2 * i, _FIRST_PORT + 2 * i + 1) for i, name in enumerate(NAMES)}
    return {name: Ports(*pair) for name, pair in json.loads(text).items()}


@cache
def ports() -> dict[str, Ports]:
    """Return the ports that this process was told of."""
    return decode(os.environ.get(PORTS_VARIABLE, ""))


def address(name: str) -> str:
    """Return host and port of a service."""
    return f"{HOST}:{ports()[name].port}"


def url(name: str) -> str:
    """Return the address of a service that speaks HTTP."""
    return f"http://{address(name)}"


def state_file() -> Path:
    """Return the file that the running shop writes its ports to: SHOP_STATE, else one for each user."""
    user = getattr(os, "getuid", lambda: "")()
    return Path(os.environ.get("SHOP_STATE") or f"{tempfile.gettempdir()}/cpdd-shop-{user}.json")
