"""Policies for tests, said briefly."""

from typing import Any

from cpdd.sampling.document import Document, parse_document

EVERY_SERVICE = {"resource_attribute": ["service.name"], "exists": True}


def policy(
    policy_id: str,
    percentage: float | None = None,
    *,
    service: str = "",
    op: str = "",
    journey: str = "",
    attributes: dict[str, str] | None = None,
    **ours: Any,
) -> dict[str, Any]:
    """Return the JSON value of a policy."""
    match: list[dict[str, Any]] = []
    if service:
        match.append({"resource_attribute": ["service.name"], "exact": service})
    if op:
        match.append({"trace_field": "NAME", "exact": op})
    if journey:
        match.append({"baggage": ["cpdd.journey"], "exact": journey})
    match += [{"span_attribute": [key], "exact": value} for key, value in (attributes or {}).items()]
    trace: dict[str, Any] = {"match": match or [EVERY_SERVICE]}
    if percentage is not None:
        trace["keep"] = {"percentage": percentage}
    return {"id": policy_id, "trace": trace, **({"cpdd": ours} if ours else {})}


def document(*policies: dict[str, Any], version: int = 1, sent_unix_ms: int | None = None) -> Document:
    value: dict[str, Any] = {"version": version, "policies": list(policies)}
    if sent_unix_ms is not None:
        value["sent_unix_ms"] = sent_unix_ms
    return parse_document(value)
