"""What is posted to the control port, as values: boosts, changes of policies, reports. Raises PolicyError by field."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collector.core.sampling.fleet import Rate, Report
from collector.core.sampling.roots import Root
from cpdd.detail_letters import Detail
from cpdd.sampling.document import MAX_POLICIES, Matcher, Policy, check_id, check_key, parse_detail, parse_policy
from cpdd.sampling.fields import MAX_TEXT_CHARS, Fields, PolicyError

MAX_REPORTED = 4_000
WORKED_OUT = ("operations", "local_traces_per_second")


@dataclass(frozen=True, slots=True)
class BoostRequest:
    """More traces of something, for a while."""

    service: str
    operation: str
    caller: str
    """Service on the caller's side of an edge; empty where an operation is meant."""
    percentage: float
    duration_s: float
    max_traces: int | None
    attributes: tuple[tuple[str, str], ...]
    here: bool
    detail: tuple[Detail, ...]
    id: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Policies to put beside the others, or in place of all."""

    policies: tuple[Policy, ...]
    replace: bool
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """A boost to extend or to repeat."""

    duration_s: float
    author: str
    reason: str


def read_boost(value: object, longest_s: float) -> BoostRequest:
    fields = Fields(value, "")
    attributes = Fields(fields.take("attributes", dict, default={}), "attributes")
    names = list(fields_of(value, "attributes"))
    request = BoostRequest(
        service=fields.text("service"),
        operation=fields.text("operation", default=""),
        caller=fields.text("caller", default=""),
        percentage=fields.number("percentage", 0, 100, default=100.0),
        duration_s=_duration(fields, longest_s),
        max_traces=fields.integer("max_traces", 1, 10**9, default=None),
        attributes=tuple((name, attributes.text(name)) for name in names),
        here=fields.take("here", bool, default=False),
        detail=parse_detail(fields),
        id=fields.text("id", default="") or f"boost-{secrets.token_hex(3)}",
        author=fields.text("author", default=""),
        reason=fields.text("reason", default=""),
    )
    fields.finish()
    if not request.service:
        raise PolicyError("empty", "service")
    check_id(request.id, "id")
    for name in names:
        check_key(name, f"attributes.{name[:MAX_TEXT_CHARS]}")
    if len(names) > 8:
        raise PolicyError(f"{len(names)} attributes are over the limit of 8", "attributes")
    return request


def fields_of(value: object, name: str) -> dict[str, Any]:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _duration(fields: Fields, longest_s: float) -> float:
    seconds: float = fields.number("duration_s", 0.1, 10**9, default=300.0)
    if seconds > longest_s:
        raise PolicyError(
            f"{seconds:g} s are over the limit of {longest_s:g} s", "duration_s", "extend it when it is about to end"
        )
    return seconds


def read_renewal(value: object, longest_s: float) -> Renewal:
    fields = Fields(value, "")
    renewal = Renewal(
        _duration(fields, longest_s), fields.text("author", default=""), fields.text("reason", default="")
    )
    fields.finish()
    return renewal


def read_acceptance(value: object) -> tuple[str, str]:
    """Return who accepts a proposal, and why."""
    fields = Fields(value, "")
    author, reason = fields.text("author", default=""), fields.text("reason", default="")
    fields.finish()
    return author, reason


def read_change(value: object, longest_s: float, now_ms: int) -> PolicyChange:
    """Read `{"policies": [...]}`, or one policy alone; no boost may last longer than `longest_s` from now on."""
    longest_unix_ms = now_ms + round(1000 * longest_s)
    if isinstance(value, dict) and "policies" not in value and "trace" in value:
        value = {"policies": [value]}
    fields = Fields(value, "")
    items = fields.take("policies", list)
    replace = fields.take("replace", bool, default=False)
    author, reason = fields.text("author", default=""), fields.text("reason", default="")
    fields.take("version", int, default=0)  # a document that was read here may be sent back
    fields.take("hash", str, default="")
    fields.finish()
    if len(items) > MAX_POLICIES:
        raise PolicyError(f"{len(items)} policies are over the limit of {MAX_POLICIES}", "policies")
    policies: list[Policy] = []
    for index, item in enumerate(items):
        place = f"policies[{index}]"
        for name in WORKED_OUT:
            if name in fields_of(item, "cpdd"):
                raise PolicyError("worked out by the server, not said by people", f"{place}.cpdd.{name}")
        policy = parse_policy(item, place)
        if any(policy.id == other.id for other in policies):
            raise PolicyError(f"{policy.id!r} comes twice", f"{place}.id", "ids are unique")
        if (policy.expires_unix_ms or 0) > longest_unix_ms:
            raise PolicyError(
                f"the boost would last longer than {longest_s:g} s from now on",
                f"{place}.cpdd.expires_unix_ms",
                "extend it when it is about to end",
            )
        policies.append(policy)
    return PolicyChange(tuple(policies), replace, author, reason)


def read_report(value: object) -> Report:
    fields = Fields(value, "")
    items = fields.take("operations", list, default=[])[:MAX_REPORTED]
    interval_s: float = max(fields.number("interval_s", 0, 10**6, default=1.0), 0.05)
    rates: dict[tuple[str, str], Rate] = {}
    for index, item in enumerate(items):
        counted = Fields(item, f"operations[{index}]")
        key = counted.take("name", str)[:1_000], counted.text("rule", default="")
        rate = Rate(counted.integer("seen", 0) / interval_s, counted.integer("kept", 0) / interval_s)
        counted.finish()
        rates[key] = rates.get(key, Rate()) + rate
    leases = Fields(fields.take("leases", dict, default={}), "leases")
    used = {name: leases.integer(name, 0) for name in list(fields_of(value, "leases"))[:1_000]}
    report = Report(
        service=fields.text("service"),
        instance=fields.text("instance"),
        mode=fields.text("mode", default="follow"),
        baseline=fields.number("baseline", 0, 1, default=1.0),
        version=fields.integer("version", 0, default=0),
        hash=fields.text("hash", default=""),
        source=fields.take("source", str, default="")[:1_000],
        problem=fields.take("problem", str, default="")[:2_000],
        interval_s=interval_s,
        rates=rates,
        leases=used,
        spans_sent=fields.integer("spans_sent", 0, default=0),
        spans_lost=fields.integer("spans_lost", 0, default=0),
    )
    fields.finish()
    return report


def boosts_of(request: BoostRequest, targets: Sequence[Root], expires_unix_ms: int) -> tuple[Policy, ...]:
    """Return the policies of a boost, one a target; an empty operation means all of the service."""
    tenants = tuple(Matcher("span_attribute", "exact", text, key) for key, text in request.attributes)
    policies = []
    for number, target in enumerate(targets):
        names = (Matcher("name", "exact", target.operation),) if target.operation else ()
        policies.append(
            Policy(
                id=request.id if number == 0 else f"{request.id}.{number + 1}",
                matchers=(Matcher("resource_attribute", "exact", target.service, "service.name"), *names, *tenants),
                kind="boost",
                percentage=request.percentage,
                expires_unix_ms=expires_unix_ms,
                max_traces=request.max_traces,
                group=request.id if number else "",
                here=request.here,
                detail=request.detail,
                author=request.author,
                reason=request.reason,
            )
        )
    return tuple(policies)
