"""What the process says of itself as values, read off its own metrics: the page of the system shows no other truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

_OURS = "cpdd_"


@dataclass(frozen=True, slots=True)
class Receiver:
    """One way in."""

    name: str
    spans: float = 0.0
    """Durable before the answer."""
    last_minute: float = 0.0
    """Of these spans, how many came in the last minute."""
    idle_s: float | None = None
    """How long ago the last came; None before the first."""
    bytes: float = 0.0
    in_work: float = 0.0
    """Requests that have no answer yet."""
    answers: Mapping[str, float] = field(default_factory=dict)
    """Requests by answer: `ok`, `partial`, `disconnected`, or the reason of the refusal."""
    rejected: Mapping[str, float] = field(default_factory=dict)
    """Spans that were not taken while their neighbours were, by reason."""


@dataclass(frozen=True, slots=True)
class System:
    """The process now; counts are since its start."""

    version: str
    pid: int
    uptime_s: float
    state: str
    problems: tuple[str, ...]
    store: str
    addresses: Mapping[str, str]
    receivers: tuple[Receiver, ...]
    values: Mapping[str, float]
    """Other metrics of ours without labels, by name without `cpdd_`."""


def _receivers(samples: Sequence[Sample]) -> tuple[Receiver, ...]:
    """The ways in, by name."""
    found: dict[str, dict[str, float]] = {}
    answers: dict[str, dict[str, float]] = {}
    rejected: dict[str, dict[str, float]] = {}
    plain = {
        "cpdd_receiver_accepted_spans_total": "spans",
        "cpdd_receiver_last_minute_spans": "last_minute",
        "cpdd_receiver_idle_seconds": "idle_s",
        "cpdd_receiver_bytes_total": "bytes",
        "cpdd_receiver_requests_in_work": "in_work",
    }
    for sample in samples:
        name = sample.labels.get("receiver", "")
        if sample.name in plain and not isnan(sample.value):
            found.setdefault(name, {})[plain[sample.name]] = sample.value
        elif sample.name == "cpdd_receiver_requests_total" and sample.value:
            answers.setdefault(name, {})[sample.labels["answer"]] = sample.value
        elif sample.name == "cpdd_receiver_rejected_spans_total" and sample.value:
            rejected.setdefault(name, {})[sample.labels["reason"]] = sample.value
    return tuple(
        Receiver(name, **found[name], answers=answers.get(name, {}), rejected=rejected.get(name, {}))
        for name in sorted(found)
    )


def _values(samples: Sequence[Sample]) -> dict[str, float]:
    """Our metrics without labels by their name, and what the process costs."""
    wanted = (_OURS, "process_")
    return {
        sample.name.removeprefix(_OURS).removesuffix("_total"): sample.value
        for sample in samples
        if not sample.labels and sample.name.startswith(wanted) and not sample.name.endswith(("_sum", "_count"))
    }


def system_of(facts: Mapping[str, object], state: str, problems: Sequence[str], registry: CollectorRegistry) -> System:
    """Return what there is to say.

    Args:
        facts: as `/status` has them.
    """
    addresses = facts["addresses"]
    assert isinstance(addresses, dict)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return System(
        version=str(facts["version"]),
        pid=int(str(facts["pid"])),
        uptime_s=float(str(facts["uptime_s"])),
        state=state,
        problems=tuple(problems),
        store=str(facts["store"]),
        addresses=dict(addresses),
        receivers=_receivers(samples),
        values=_values(samples),
    )
