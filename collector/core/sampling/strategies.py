"""Jaeger's strategies file, read and written. Pure.

Source: https://www.jaegertracing.io/docs/latest/sampling/#file-based-sampling-configuration.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cpdd.sampling.document import Matcher, Policy
from cpdd.sampling.fields import Fields, PolicyError
from cpdd.sampling.jaeger import Strategy

_EVERYTHING = Matcher("resource_attribute", "exists", key="service.name")


def read_strategies(value: object) -> list[Policy]:
    """Return the policies that a strategies file means. Raises PolicyError, which names the field."""
    fields = Fields(value, "")
    default = fields.take("default_strategy", dict, default={})
    services = fields.take("service_strategies", list, default=[])
    fields.finish()
    policies = _of_service(default, "default_strategy", "jaeger-default", _EVERYTHING) if default else []
    for index, item in enumerate(services):
        place = f"service_strategies[{index}]"
        if not isinstance(item, dict) or not isinstance(item.get("service"), str):
            raise PolicyError("missing", f"{place}.service")
        name = item["service"]
        matcher = Matcher("resource_attribute", "exact", name, "service.name")
        policies += _of_service({k: v for k, v in item.items() if k != "service"}, place, f"jaeger-{name}", matcher)
    return policies


def _of_service(value: Mapping[str, Any], place: str, policy_id: str, service: Matcher) -> list[Policy]:
    fields = Fields(dict(value), place)
    operations = fields.take("operation_strategies", list, default=[])
    policies = [_policy(fields, policy_id, (service,))]
    fields.finish()
    for index, item in enumerate(operations):
        inner = Fields(item, f"{place}.operation_strategies[{index}]")
        name = inner.text("operation")
        policies.append(_policy(inner, f"{policy_id}/{name}"[:256], (service, Matcher("name", "exact", name))))
        inner.finish()
    return policies


def _policy(fields: Fields, policy_id: str, matchers: tuple[Matcher, ...]) -> Policy:
    kind = fields.word("type", ("probabilistic", "ratelimiting"))
    if kind == "probabilistic":
        return Policy(policy_id, matchers, percentage=100 * float(fields.number("param", 0, 1)))
    # a limit of each instance in Jaeger; a budget of the whole fleet here
    return Policy(policy_id, matchers, "budget", traces_per_second=float(fields.number("param", 0, 1e9)))


def strategies_json(default: float, services: Iterable[tuple[str, Strategy]]) -> dict[str, Any]:
    """Return the strategies file that has Jaeger say what we say now."""
    return {
        "default_strategy": {"type": "probabilistic", "param": default},
        "service_strategies": [
            {
                "service": service,
                "type": "probabilistic",
                "param": strategy.probability,
                "operation_strategies": [
                    {"operation": name, "type": "probabilistic", "param": probability}
                    for name, probability in sorted(strategy.operations.items())
                ],
            }
            for service, strategy in sorted(services)
        ],
    }
