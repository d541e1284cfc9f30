"""Which libraries here are instrumented, and what to install for those that are not. Reads what is installed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, entry_points
from importlib.metadata import version as installed_version
from typing import Literal

from cpdd.instrumentations import disabled_in, modules_for

TRIED = "0.66b1"
"""The line of OpenTelemetry's contrib instrumentations that cpdd is tested with."""

KNOWN: Mapping[str, tuple[str, ...]] = {
    "aiohttp-client": ("aiohttp",),
    "aiohttp-server": ("aiohttp",),
    "celery": ("celery",),
    "confluent-kafka": ("confluent-kafka",),
    "django": ("django",),
    "fastapi": ("fastapi",),
    "flask": ("flask",),
    "grpc": ("grpcio",),
    "httpx": ("httpx",),
    "kafka-python": ("kafka-python", "kafka-python-ng"),
    "logging": (),
    "psycopg": ("psycopg",),
    "redis": ("redis",),
    "requests": ("requests",),
    "sqlalchemy": ("sqlalchemy",),
    "sqlite3": (),
    "starlette": ("starlette",),
    "urllib": (),
    "urllib3": ("urllib3",),
}
"""Instrumentations by the end of their distribution's name, and the libraries that each is for; none: Python's own."""

State = Literal["ready", "missing", "disabled", "unfit", "not needed"]


@dataclass(frozen=True, slots=True)
class Library:
    """A library, and what becomes of it under `cpdd.init`."""

    instrumentation: str
    library: str
    library_version: str
    instrumentation_version: str
    state: State
    comes_with: tuple[str, ...] = ()
    """Of a library that is not needed: what brought it along. Nobody asked for it by name."""

    @property
    def distribution(self) -> str:
        return f"opentelemetry-instrumentation-{self.instrumentation}"

    def next_step(self) -> str:
        """Return what to do, "" where nothing is."""
        match self.state:
            case "missing":
                return f"pip install {self.distribution}=={TRIED}"
            case "disabled":
                return "named in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
            case "unfit":
                return f"{self.distribution} {self.instrumentation_version} is not for this version"
        if self.comes_with:
            return f"comes with {', '.join(self.comes_with)}"
        return "" if self.instrumentation_version in ("", TRIED) else f"cpdd is tested with {TRIED}"


def libraries(
    environ: Mapping[str, str],
    version_of: Callable[[str], str] = lambda name: _version(name),
    brought_by: Callable[[str], frozenset[str]] = lambda name: _brought_by(name),
) -> list[Library]:
    """Return every library that is here and can be instrumented, in the order of their names.

    One is not needed where it only came along, with us or with a library that has spans of its own: grpcio with
    `cpdd[collector]`, urllib3 with an instrumented requests.
    """
    disabled = disabled_in(environ)
    found = []
    for name, candidates in KNOWN.items():
        library = next((candidate for candidate in candidates if version_of(candidate)), "")
        if candidates and not library:
            continue
        instrumentation_version = version_of(f"opentelemetry-instrumentation-{name}")
        found.append(
            Library(
                name,
                library or f"{name} of Python",
                version_of(library) if library else "",
                instrumentation_version,
                _state(name, bool(candidates), instrumentation_version, disabled),
            )
        )
    seen_to = {"cpdd", *(library.library for library in found if library.state == "ready")}
    return [_needed(library, seen_to, brought_by) for library in found]


def _needed(library: Library, seen_to: set[str], brought_by: Callable[[str], frozenset[str]]) -> Library:
    if library.state != "missing":
        return library
    along = _came_along(library.library, seen_to, brought_by, frozenset())
    return replace(library, state="not needed", comes_with=tuple(sorted(along))) if along else library


def _came_along(
    name: str, seen_to: set[str], brought_by: Callable[[str], frozenset[str]], below: frozenset[str]
) -> frozenset[str]:
    """What brought it, where all of that is seen to or came along itself; else nothing."""
    by = brought_by(name) - below
    for other in by:
        if other in seen_to or other.startswith("opentelemetry-"):
            continue
        if not _came_along(other, seen_to, brought_by, below | {name, other}):
            return frozenset()
    return by


def _brought_by(name: str) -> frozenset[str]:
    """The installed distributions that require it; none where somebody asked for it by name (PEP 376)."""
    if distribution(name).read_text("REQUESTED") is not None:
        return frozenset()
    return frozenset(
        _normal(other.name)
        for other in distributions()
        for line in other.requires or ()
        if (match := re.match(r"[\w.-]+", line)) and _normal(match[0]) == name and _is_asked_for(other, line)
    )


def _is_asked_for(other: Distribution, requirement: str) -> bool:
    """Ours may come by an extra; of others an extra is somebody's wish that nothing tells."""
    return "extra ==" not in requirement or _normal(other.name) == "cpdd"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _state(name: str, is_library: bool, instrumentation_version: str, disabled: frozenset[str]) -> State:
    if not instrumentation_version:
        return "missing" if is_library else "not needed"
    points = [point for point in entry_points(group="opentelemetry_instrumentor") if _is_of(point.dist, name)]
    if disabled & {"*", *(point.name for point in points)}:
        return "disabled"
    return "ready" if any(modules_for(point) for point in points) else "unfit"


def _is_of(distribution: object, name: str) -> bool:
    return getattr(distribution, "name", "").replace("_", "-").lower() == f"opentelemetry-instrumentation-{name}"


def _version(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return ""
