"""What is in force and what it does: the value behind `cpdd sampling show`, the page and `GET /v1/state`."""

from dataclasses import asdict
from typing import Any

from collector.control.service import SamplingService
from collector.core.sampling.fleet import Instance, Rate
from collector.core.sampling.policies import is_live
from collector.core.sampling.words import what, whom
from cpdd.sampling.document import Policy, policy_json

MAX_ROWS = 500
MAX_CHANGES = 50


async def state_of(service: SamplingService) -> dict[str, Any]:
    """Return the state. Rates are per second, over the last ten reports of each client."""
    now_s, now_ms = service.now_s(), service.now_ms()
    instances = sorted(service.fleet.instances(), key=lambda instance: (instance.service, instance.name))
    rates = _rates(service)
    return {
        "version": service.book.version,
        "now_unix_ms": now_ms,
        "baseline": service.baseline,
        "longest_boost_s": service.longest_boost_s,
        "unweighted": service.unweighted(),
        "boosts": [_boost(service, policy, now_ms) for policy in service.book.boosts(now_ms)],
        "ended": [_policy(p) for p in service.book.policies.values() if not is_live(p, now_ms)],
        "policies": [_policy(p) for p in service.book.live(now_ms) if p.kind != "boost"],
        "rates": rates[:MAX_ROWS],
        "clients": [_client(service, instance, now_s) for instance in instances[:MAX_ROWS]],
        "clients_in_all": len(instances),
        "log": [asdict(change) for change in await service.changes(MAX_CHANGES)],
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {**policy_json(policy), "of": whom(policy), "does": what(policy)}


def _boost(service: SamplingService, policy: Policy, now_ms: int) -> dict[str, Any]:
    left_ms = (policy.expires_unix_ms or now_ms) - now_ms
    used = service.used(policy.lease) if policy.max_traces is not None else None
    return {**_policy(policy), "left_s": round(left_ms / 1000, 1), "added_traces": used}


def _rates(service: SamplingService) -> list[dict[str, Any]]:
    """What is seen and kept of each operation, the busiest first; `rule` decides most of it.

    `set_share` is what is asked for now by its name, beside what chance and the last seconds made of it.
    """
    baselines = {of.service: of.report.baseline for of in service.fleet.instances() if of.report is not None}
    by_operation: dict[tuple[str, str], dict[str, Rate]] = {}
    for (name, operation, rule), rate in service.fleet.recent_rates().items():
        by_operation.setdefault((name, operation), {})[rule] = rate
    rows = []
    for (name, operation), by_rule in by_operation.items():
        total = sum(by_rule.values(), Rate())
        main = max(by_rule, key=lambda rule: by_rule[rule].seen)
        rows.append(
            {
                "service": name,
                "operation": operation,
                "seen_per_s": round(total.seen, 3),
                "kept_per_s": round(total.kept, 3),
                "kept_share": round(total.kept / total.seen, 6) if total.seen else None,
                "set_share": round(service.share(name, operation, baselines.get(name, 1.0)), 6),
                "rule": main,
            }
        )
    return sorted(rows, key=lambda row: (-float(str(row["seen_per_s"])), str(row["service"]), str(row["operation"])))


def _client(service: SamplingService, instance: Instance, now_s: float) -> dict[str, Any]:
    report = instance.report
    wanted = service.document(instance.service).hash
    return {
        "service": instance.service,
        "instance": instance.name,
        "pushed": instance.streams > 0,
        "heard_s_ago": round(now_s - instance.heard_s, 1),
        "applied_s_ago": None if instance.applied_s is None else round(now_s - instance.applied_s, 1),
        "version": report.version if report else None,
        "is_current": report is not None and report.hash == wanted,
        "mode": report.mode if report else "",
        "problem": report.problem if report else "",
        "spans_sent": report.spans_sent if report else 0,
        "spans_lost": report.spans_lost if report else 0,
    }
