"""The names cpdd puts on the wire, and the words they may hold. Imported by everything that reads or writes them."""

from typing import Literal

REQUIREMENT = "cpdd.call.requirement"
OUTCOME = "cpdd.call.outcome"
FALLBACK = "cpdd.call.fallback"
DEADLINE_MS = "cpdd.call.deadline_ms"
GROUP = "cpdd.call.group"
QUORUM = "cpdd.call.quorum"
ATTEMPT = "cpdd.call.attempt"
JOURNEY = "cpdd.journey"
CRITICALITY = "cpdd.criticality"
SOURCE_ROOT = "cpdd.source.root"
"""Resource attribute: the folder that holds the service's own code; what lies outside is library or dependency."""

TRACESTATE_MEMBER = "cpdd"

SAMPLERS = ("cpdd", "jaeger_remote", "parentbased_jaeger_remote")
"""What OTEL_TRACES_SAMPLER may name of ours."""

Requirement = Literal["mandatory", "optional"]
Outcome = Literal["ok", "failed", "timed_out", "cancelled", "fallback_used", "not_awaited"]
FallbackKind = Literal["none", "default", "cache", "degraded"]
Criticality = Literal["critical_plus", "critical", "sheddable_plus", "sheddable"]
ServiceCriticality = Literal["critical", "high", "medium", "low"]
