"""Samplers for declarative configuration: what `OTEL_CONFIG_FILE` names below `tracer_provider: sampler:`.

The file's keys are those of OTEL_TRACES_SAMPLER_ARG, also written `initial_sampling_rate`. The SDK (1.45) makes a
plugin's sampler without telling it what the file says, so it is looked up here. Loaded by the entry points alone: the
package `opentelemetry-configuration`, which brings such files, may be absent elsewhere.
"""

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry.configuration import load_config_file
from opentelemetry.configuration._resource import create_resource
from opentelemetry.sdk.resources import Resource

from cpdd.failures import tell
from cpdd.sampling.configure import ConfiguredSampler, configured


def cpdd_sampler(**said: object) -> ConfiguredSampler:
    """Return the sampler `cpdd`."""
    return _declared("cpdd", said)


def jaeger_remote(**said: object) -> ConfiguredSampler:
    """Return the sampler `jaeger_remote`."""
    return _declared("jaeger_remote", said)


def parentbased_jaeger_remote(**said: object) -> ConfiguredSampler:
    """Return the sampler `parentbased_jaeger_remote`."""
    return _declared("parentbased_jaeger_remote", said)


def _declared(name: str, said: Mapping[str, object]) -> ConfiguredSampler:
    resource: Mapping[str, object] = Resource.create().attributes
    try:
        resource, in_file = _from_file(os.environ.get("OTEL_CONFIG_FILE", ""), name)
        said = said or in_file
    except Exception as error:
        tell("reading OTEL_CONFIG_FILE for its sampler", error)
    argument = ",".join(f"{_camel(key)}={value}" for key, value in said.items())
    return configured(name, argument, str(resource.get("service.name", "")), os.environ, resource)


def _from_file(path: str, name: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The resource's attributes, and what the file says of the sampler of that name."""
    config = load_config_file(path)
    sampler = config.tracer_provider.sampler if config.tracer_provider else None
    return create_resource(config.resource).attributes, _said_of(sampler, name)


def _said_of(sampler: Any, name: str) -> Mapping[str, object]:
    """What is said of a sampler, which may be the root of a parent-based one."""
    if sampler is None:
        return {}
    if name in sampler.additional_properties:
        return sampler.additional_properties[name] or {}
    return _said_of(sampler.parent_based.root if sampler.parent_based else None, name)


def _camel(key: str) -> str:
    """Return a key as the argument has it.

    >>> _camel("initial_sampling_rate"), _camel("policyTtlMs")
    ('initialSamplingRate', 'policyTtlMs')
    """
    first, *others = key.split("_")
    return first + "".join(other.capitalize() for other in others)
