"""OTEL_TRACES_SAMPLER and its argument to a sampler that runs: `cpdd`, `jaeger_remote`, `parentbased_jaeger_remote`.

The argument has the specification's grammar, `endpoint=…,pollingIntervalMs=…,initialSamplingRate=…`. A sampler that
cannot be set up as asked is told and sampled by its baseline; it never stops a program.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol, cast, get_args
from urllib.parse import unquote, urlsplit

from opentelemetry.sdk.resources import Resource

from cpdd.detail_letters import DETAILS, Detail, letters_of
from cpdd.errors import CpddError
from cpdd.failures import tell
from cpdd.names import SAMPLERS
from cpdd.sampling.credentials import authorization
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.poll import FileProvider, JaegerProvider
from cpdd.sampling.push import PushProvider
from cpdd.sampling.sampler import Ceilings, DynamicSampler, Mode
from cpdd.sampling.saved import SavedPolicy, default_path

DEFAULT_ENDPOINT = "http://127.0.0.1:5778"


class ArgumentError(CpddError):
    """A part of OTEL_TRACES_SAMPLER_ARG that cannot be used."""

    def __init__(self, problem: str, part: str) -> None:
        self.problem = problem
        self.part = part
        super().__init__(f"{problem}\n  at {part!r} in OTEL_TRACES_SAMPLER_ARG")


@dataclass(frozen=True, slots=True)
class Argument:
    """What OTEL_TRACES_SAMPLER_ARG says; the names are its keys."""

    endpoint: str = DEFAULT_ENDPOINT
    """A sampling server, or `file:///path` of a policy document."""
    pollingIntervalMs: float = 60_000
    initialSamplingRate: float = 1.0
    """The baseline: until policies came, where none matches, and when they are lost."""
    mode: str = "follow"
    policyTtlMs: float = 600_000
    maxSamplingRate: float = 1.0
    maxBoostMs: float = 3_600_000
    maxTracesPerSecond: float = 0
    """0: no cap."""
    detail: str = "attributes+function_spans"
    """What boosts may turn up here: words joined by `+`, `all` or `off`."""
    cache: str = ""
    """File of the last good policy; `off` for none, empty for one in the user's cache."""
    token: str = ""
    """What reports show; empty: that of the spans, where these go to the same host."""


class Provider(Protocol):
    """Where policies come from."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class ConfiguredSampler(DynamicSampler):
    """A sampler together with what feeds it, which lives as long as it does."""

    keeper: Keeper
    provider: Provider | None = None


def parse_argument(text: str, default: Argument = Argument()) -> Argument:
    """Return what the argument says.

    >>> parse_argument("endpoint=http://h:5778,initialSamplingRate=0.25").initialSamplingRate
    0.25

    Raises:
        ArgumentError: names the part.
    """
    said: dict[str, object] = {}
    known = {field.name: field.type for field in fields(Argument)}
    for part in (part.strip() for part in text.split(",")):
        key, equals, value = part.partition("=")
        if not part:
            continue
        if not equals or key not in known:
            raise ArgumentError(f"unknown key {key!r}, known: {', '.join(known)}", part)
        said[key] = value.strip() if known[key] is str else _number(value, part)
    argument = replace(default, **said)  # type: ignore[arg-type]
    if argument.mode not in get_args(Mode):
        raise ArgumentError(f"mode is one of {', '.join(get_args(Mode))}", f"mode={argument.mode}")
    for key in ("initialSamplingRate", "maxSamplingRate"):
        if not 0 <= getattr(argument, key) <= 1:
            raise ArgumentError("a share from 0 to 1 is expected", f"{key}={getattr(argument, key)}")
    granted_detail(argument.detail)
    return argument


def granted_detail(text: str) -> str:
    """Return the letters of what boosts may turn up.

    >>> granted_detail("attributes+query_text"), granted_detail("all"), granted_detail("off")
    ('qa', 'qaf', '')
    """
    words = {"all": DETAILS, "off": ()}.get(text) or [word for word in text.split("+") if word != "off"]
    unknown = [word for word in words if word not in DETAILS]
    if unknown:
        raise ArgumentError(f"{unknown[0]!r} is none of all, off, {', '.join(DETAILS)}", f"detail={text}")
    return letters_of(cast("list[Detail]", words))


def _number(text: str, part: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ArgumentError("a number is expected", part) from None
    if not 0 <= number < float("inf"):
        raise ArgumentError("a number of 0 or more is expected", part)
    return number


def configured(
    name: str, argument: str, service: str, environ: Mapping[str, str], resource: Mapping[str, object] | None = None
) -> ConfiguredSampler:
    """Return the sampler of one of SAMPLERS, its provider running. What is wrong with the argument is told."""
    default = Argument() if name == "cpdd" else Argument(initialSamplingRate=0.001)
    if name == "jaeger_remote":
        default = replace(default, mode="consistent")
    try:
        asked = parse_argument(argument, default)
    except ArgumentError as error:
        tell(f"sampler {name!r} of OTEL_TRACES_SAMPLER", error)
        asked = default
    ceilings = Ceilings(
        asked.maxSamplingRate,
        asked.maxBoostMs / 1000,
        round(asked.maxTracesPerSecond) or None,
        granted_detail(asked.detail),
    )
    sampler = ConfiguredSampler(
        service,
        baseline=asked.initialSamplingRate,
        mode=cast("Mode", asked.mode),
        resource=resource,
        ceilings=ceilings,
    )
    sampler.keeper = Keeper(sampler, _saved(asked, service, environ), asked.policyTtlMs / 1000)
    try:
        sampler.provider = _provider(name, asked, sampler.keeper, environ)
        sampler.keeper.begin()
        sampler.provider.start()
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        tell(f"fetching policies for the sampler {name!r}", error)
    return sampler


def _provider(name: str, asked: Argument, keeper: Keeper, environ: Mapping[str, str]) -> Provider:
    url = urlsplit(asked.endpoint)
    if url.scheme == "file":
        return FileProvider(Path(unquote(url.path)), keeper)
    if name == "cpdd":
        return PushProvider(asked.endpoint, keeper, authorization=authorization(asked.token, asked.endpoint, environ))
    return JaegerProvider(asked.endpoint, keeper, max(asked.pollingIntervalMs, 100) / 1000)


def _saved(asked: Argument, service: str, environ: Mapping[str, str]) -> SavedPolicy | None:
    if asked.cache == "off" or asked.endpoint.startswith("file:"):
        return None
    path = Path(asked.cache) if asked.cache else default_path(environ, service, asked.endpoint)
    return SavedPolicy(path) if path else None


def sampler_for(environ: Mapping[str, str], resource: Mapping[str, object]) -> ConfiguredSampler | None:
    """Return the sampler that OTEL_TRACES_SAMPLER names, None where it is none of ours."""
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if name not in SAMPLERS:
        return None
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    return configured(name, argument, str(resource.get("service.name", "unknown_service")), environ, resource)


def _from_entry_point(name: str, argument: str) -> DynamicSampler:
    """For the SDK's configurator, which tells nothing but the argument: the service is what the environment says."""
    resource = Resource.create().attributes
    return configured(name, argument or "", str(resource.get("service.name", "")), os.environ, resource)


def cpdd_sampler(argument: str) -> DynamicSampler:
    """Return the sampler `cpdd`: policies pushed by `cpdd serve`."""
    return _from_entry_point("cpdd", argument)


def jaeger_remote(argument: str) -> DynamicSampler:
    """Return the sampler `jaeger_remote`: every service keeps by the rate it was told, whatever its caller did."""
    return _from_entry_point("jaeger_remote", argument)


def parentbased_jaeger_remote(argument: str) -> DynamicSampler:
    """Return the sampler `parentbased_jaeger_remote`: the same for roots, others follow their parent."""
    return _from_entry_point("parentbased_jaeger_remote", argument)
