"""Policies in a few words, for the page and the command."""

from cpdd.detail_letters import Detail
from cpdd.sampling.document import Matcher, Policy

DETAIL_WORDS: dict[Detail, str] = {
    "query_text": "values of queries",
    "attributes": "extra attributes",
    "function_spans": "spans of functions",
}
_HOW = {"exact": "", "starts_with": "starting with ", "ends_with": "ending in ", "contains": "containing "}


def whom(policy: Policy) -> str:
    """Return whom a policy concerns: `shop, POST /pay`."""
    return ", ".join(_matcher(matcher) for matcher in policy.matchers)


def what(policy: Policy) -> str:
    """Return what a policy does: `keeps 1 %`, `budget of 5 traces/s`."""
    per_second = " and ".join(f"{said:g} {name.partition('_')[0]}/s" for name, said in policy.budgets.items())
    match policy.kind:
        case "budget":
            return f"budget of {per_second}" + (" for each service" if policy.scope == "service" else "")
        case "adaptive":
            return f"{per_second}, fairly shared by operations"
        case "limit":
            return f"keeps at most {policy.percentage:.4g} %"
        case "drop":
            return "drops"
    more = f", with {' and '.join(DETAIL_WORDS[detail] for detail in policy.detail)}" if policy.detail else ""
    return f"keeps {policy.percentage:.4g} %{more}"


def _matcher(matcher: Matcher) -> str:
    is_service = matcher.where == "resource_attribute" and matcher.key == "service.name"
    if is_service and matcher.how == "exists":
        return "every service"
    key = {"kind": "kind", "name": ""}.get(matcher.where, "" if is_service else matcher.key)
    said = "is there" if matcher.how == "exists" else f"{_HOW[matcher.how]}{matcher.text}"
    return " ".join(part for part in ("not" if matcher.negate else "", key, said) if part)
