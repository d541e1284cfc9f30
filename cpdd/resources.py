"""What spans say of the program they come from: service, owner, version of the source, host, process."""

import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from opentelemetry.sdk.resources import Resource, ResourceDetector
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.util.types import AttributeValue

from cpdd.failures import contained, tell
from cpdd.names import SOURCE_ROOT, ServiceCriticality
from cpdd.vcs import find_checkout


@dataclass(frozen=True, slots=True)
class Service:
    """What `cpdd.init` was told of the service; None where the environment shall say it, or nobody."""

    name: str | None = None
    version: str | None = None
    criticality: ServiceCriticality | None = None
    owner: str | None = None
    owner_contact: str | None = None
    owner_url: str | None = None

    def attributes(self) -> dict[str, str]:
        """Return the resource attributes, without those that were not told."""
        said = {
            "service.name": self.name,
            "service.version": self.version,
            "service.criticality": self.criticality,
            "service.owner.name": self.owner,
            "service.owner.contact": self.owner_contact,
            "service.owner.url": self.owner_url,
        }
        return {key: value for key, value in said.items() if value is not None}


def build_resource(service: Service, more: Mapping[str, AttributeValue]) -> Resource:
    """Return the resource: what `init` was told, then OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, then detected."""
    return Resource(detected()).merge(Resource.create({**more, **service.attributes()}))


class CpddResourceDetector(ResourceDetector):
    """What `cpdd.init` detects, for an SDK that is set up without it: OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=cpdd."""

    def detect(self) -> Resource:
        return Resource(detected())


def detected() -> dict[str, AttributeValue]:
    """Return what can be found out; a detector that fails is told and costs its own attributes."""
    found: dict[str, AttributeValue] = {}
    detectors: tuple[Callable[[], dict[str, AttributeValue]], ...] = (_host, _process, _source, _distribution)
    for detector in detectors:
        try:
            found |= detector()
        except Exception as error:
            tell(f"detecting {detector.__name__.strip('_')}", error)
    return found


def _host() -> dict[str, AttributeValue]:
    return {"host.name": socket.gethostname(), "host.arch": platform.machine().lower()}


def _process() -> dict[str, AttributeValue]:
    return {
        "process.pid": os.getpid(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
    }


def _source() -> dict[str, AttributeValue]:
    folder = program_folder()
    checkout = find_checkout(folder)
    if checkout is None:
        return {SOURCE_ROOT: str(folder)}
    return {**checkout.attributes(), SOURCE_ROOT: str(checkout.root)}


def _distribution() -> dict[str, AttributeValue]:
    return {"telemetry.distro.name": "cpdd", "telemetry.distro.version": installed_version("cpdd")}


def program_folder() -> Path:
    """Return the folder of the program's main file, the working directory where that is a tool's own (gunicorn)."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = Path(main).absolute().parent if main else Path.cwd()
    return Path.cwd() if folder.is_relative_to(sys.prefix) or "site-packages" in folder.parts else folder


def follow_forks(provider: TracerProvider) -> None:
    """Let the resource name the pid of each forked child, as servers with workers make them."""

    @contained("naming the pid of a forked child", instead=None)
    def update() -> None:
        # the SDK's own way, with which it renews service.instance.id; it offers no public one
        provider._update_resource(Resource({"process.pid": os.getpid()}))

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=update)
