"""The policy document: JSON to frozen values, strictly, and back.

The shape is OpenTelemetry's telemetry policies (OTEP 4738, `trace` targets); what it lacks stands under `cpdd`. Pure.
Every bound of what a policy may ask is here, so that a document which was read can be compiled without fear: a fixed
number of policies, plain comparisons of bounded texts instead of regular expressions.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from cpdd.detail_letters import DETAILS, Detail
from cpdd.sampling.fields import MAX_TEXT_CHARS, Fields, PolicyError, short

MAX_BYTES = 4 << 20
MAX_POLICIES = 4_000
MAX_MATCHERS = 16
MAX_OPERATIONS = 4_000
MAX_SHARED_PREDICATES = 32
"""Policies that look at attributes and may concern any operation; as many more may name one operation exactly."""
MAX_UNIX_MS = 1 << 53

Kind = Literal["fixed", "budget", "adaptive", "boost", "limit", "drop"]
Scope = Literal["fleet", "service"]
Where = Literal["name", "span_attribute", "resource_attribute", "baggage", "kind"]
How = Literal["exact", "starts_with", "ends_with", "contains", "exists"]

SPAN_KINDS = ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_ATTRIBUTES: tuple[Where, ...] = ("span_attribute", "resource_attribute", "baggage")
_LATER = {
    "scope_attribute": "the sampler is not told the scope",
    "span_status": "a span has no status when it starts",
    "event_name": "a span has no events when it starts",
    "event_attribute": "a span has no events when it starts",
    "link_trace_id": "links are not looked at",
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition. All conditions of a policy must hold."""

    where: Where
    how: How
    text: str = ""
    """What is compared with; empty for `exists`."""
    key: str = ""
    """Of an attribute or of baggage."""
    negate: bool = False
    case_insensitive: bool = False

    def test(self) -> Callable[[object], bool]:
        """Return the function that says whether a value (None: there is none) meets the condition."""
        text = self.text.casefold() if self.case_insensitive else self.text
        compare: Callable[[str], bool]
        match self.how:
            case "exists":
                return (lambda value: value is None) if self.negate else (lambda value: value is not None)
            case "exact":
                compare = text.__eq__
            case "starts_with":
                compare = lambda value: value.startswith(text)  # noqa: E731
            case "ends_with":
                compare = lambda value: value.endswith(text)  # noqa: E731
            case "contains":
                compare = lambda value: text in value  # noqa: E731
        fold, negate = self.case_insensitive, self.negate

        def holds(value: object) -> bool:
            said = as_text(value)
            if said is None:
                return negate
            return compare(said.casefold() if fold else said) is not negate

        return holds


def as_text(value: object) -> str | None:
    """Return what a value is compared as: texts as they are, `true` and `false`, numbers in decimal; others as None."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule of sampling."""

    id: str
    matchers: tuple[Matcher, ...]
    kind: Kind = "fixed"
    percentage: float | None = None
    """Of traces to keep, 0-100; None where the server has yet to work it out (budget, adaptive)."""
    operations: Mapping[str, float] = field(default_factory=dict)
    """Percentages of single operations, worked out by the server for an adaptive policy."""
    traces_per_second: float | None = None
    """Of a budget or adaptive policy, which has this or one of the two below; of those the server knows the cost."""
    spans_per_second: float | None = None
    bytes_per_second: float | None = None
    scope: Scope = "fleet"
    min_traces_per_minute: float = 0.0
    """What an adaptive policy leaves to each journey, however seldom it is."""
    expires_unix_ms: int | None = None
    max_traces: int | None = None
    """How many traces a boost may add, all instances together."""
    group: str = ""
    """Boosts that share `max_traces`; the policy's own id where it is empty."""
    here: bool = False
    """A boost that samples from this service down, whatever the caller decided; such traces are partial."""
    detail: tuple[Detail, ...] = ()
    """What spans of the traces that a boost keeps tell beside what they always do."""
    local_traces_per_second: float | None = None
    """What one instance may keep of a budget before it slows down by itself; worked out by the server."""
    name: str = ""
    author: str = ""
    reason: str = ""

    @property
    def budgets(self) -> dict[str, float]:
        """What it says may be kept, by the names of the fields; a policy that was read has one at most."""
        names = ("traces_per_second", "spans_per_second", "bytes_per_second")
        return {name: said for name in names if (said := getattr(self, name)) is not None}

    @property
    def lease(self) -> str:
        """The id under which the traces of this boost are counted."""
        return self.group or self.id


@dataclass(frozen=True, slots=True)
class Document:
    """All policies in force; a new one replaces the old as a whole."""

    version: int = 0
    policies: tuple[Policy, ...] = ()
    hash: str = ""
    sent_unix_ms: int | None = None
    """The sender's clock when it sent this, by which the ends of boosts are counted."""


EMPTY = Document()


def read_document(text: str | bytes) -> Document:
    """Return the document that a JSON text holds.

    Raises:
        PolicyError: names the first field that cannot be used. Nothing is skipped: a document is taken whole or not.
    """
    if len(text) > MAX_BYTES:
        raise PolicyError(f"{len(text)} bytes are over the limit of {MAX_BYTES}", "the document")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"not valid JSON: {error}", "the document") from None
    return parse_document(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def parse_document(value: object) -> Document:
    """Return the document that a JSON value means. Raises PolicyError."""
    fields = Fields(value, "")
    version = fields.integer("version", 0, default=0)
    said_hash = fields.text("hash", default="")
    sent = fields.integer("sent_unix_ms", 0, MAX_UNIX_MS, default=None)
    items = fields.take("policies", list, default=[])
    fields.finish()
    if len(items) > MAX_POLICIES:
        raise PolicyError(f"{len(items)} policies are over the limit of {MAX_POLICIES}", "policies")
    policies = tuple(parse_policy(item, f"policies[{index}]") for index, item in enumerate(items))
    _check_together(policies)
    found = hash_of(policies)
    if said_hash and said_hash != found:
        raise PolicyError(
            f"it says {said_hash!r}, but its policies hash to {found!r}", "hash", "was it cut on its way?"
        )
    return Document(version, policies, found, sent)


def parse_policy(value: object, place: str = "policy") -> Policy:
    """Return the policy that a JSON value means. Raises PolicyError, which names fields below `place`."""
    fields = Fields(value, place)
    policy_id = fields.text("id")
    check_id(policy_id, fields.at("id"))
    name = fields.text("name", default="")
    fields.text("description", default="")
    trace = Fields(fields.take("trace", dict), fields.at("trace"))
    ours = Fields(fields.take("cpdd", dict, default={}), fields.at("cpdd"))
    fields.finish()
    kind = cast("Kind", ours.word("kind", get_args(Kind), default="fixed"))
    policy = Policy(
        id=policy_id,
        matchers=_parse_matchers(trace),
        kind=kind,
        percentage=_parse_keep(trace, kind),
        operations=_parse_operations(ours),
        traces_per_second=ours.number("traces_per_second", 0, 1e9, default=None),
        spans_per_second=ours.number("spans_per_second", 0, 1e12, default=None),
        bytes_per_second=ours.number("bytes_per_second", 0, 1e15, default=None),
        scope=cast("Scope", ours.word("scope", get_args(Scope), default="fleet")),
        min_traces_per_minute=ours.number("min_traces_per_minute", 0, 1e9, default=0.0),
        expires_unix_ms=ours.integer("expires_unix_ms", 0, MAX_UNIX_MS, default=None),
        max_traces=ours.integer("max_traces", 1, 10**9, default=None),
        group=ours.text("group", default=""),
        here=ours.take("here", bool, default=False),
        detail=parse_detail(ours),
        local_traces_per_second=ours.number("local_traces_per_second", 0, 1e9, default=None),
        name=name,
        author=ours.text("author", default=""),
        reason=ours.text("reason", default=""),
    )
    trace.finish()
    ours.finish()
    _check_kind(policy, place)
    return policy


def check_id(text: str, place: str) -> None:
    """Raise PolicyError for what is no id."""
    if not text or not text.isprintable():
        raise PolicyError(f"{text!r} is no id: printable characters are expected", place)


def _parse_keep(trace: Fields, kind: Kind) -> float | None:
    said = trace.take("keep", dict, default=None)
    if said is None:
        return 0.0 if kind == "drop" else None
    keep = Fields(said, trace.at("keep"))
    percentage: float = keep.number("percentage", 0, 100)
    keep.finish()
    return percentage


def _parse_matchers(trace: Fields) -> tuple[Matcher, ...]:
    items = trace.take("match", list)
    if not 1 <= len(items) <= MAX_MATCHERS:
        raise PolicyError(
            f"{len(items)} matchers, 1 to {MAX_MATCHERS} are expected",
            trace.at("match"),
            'everything is matched by {"resource_attribute": ["service.name"], "exists": true}',
        )
    return tuple(_parse_matcher(item, f"{trace.at('match')}[{index}]") for index, item in enumerate(items))


def _parse_matcher(value: object, place: str) -> Matcher:
    fields = Fields(value, place)
    for name, why in _LATER.items():
        if name in fields:
            raise PolicyError(f"{name} cannot be matched: {why}", fields.at(name))
    if "regex" in fields:
        raise PolicyError(
            "regex is not evaluated inside programs: a pattern may take for ever",
            fields.at("regex"),
            "exact, starts_with, ends_with, contains or exists",
        )
    wheres = [name for name in ("trace_field", "span_kind", *_ATTRIBUTES) if name in fields]
    if len(wheres) != 1:
        raise PolicyError(
            f"{' and '.join(wheres) or 'nothing'} says what is matched, exactly one is expected",
            place,
            f"one of trace_field, span_kind, {', '.join(_ATTRIBUTES)}",
        )
    negate = fields.take("negate", bool, default=False)
    if "span_kind" in fields:
        kind = fields.text("span_kind").removeprefix("SPAN_KIND_").upper()
        if kind not in SPAN_KINDS:
            raise PolicyError(f"{kind!r} is none of {', '.join(SPAN_KINDS)}", fields.at("span_kind"))
        fields.finish()
        return Matcher("kind", "exact", kind, negate=negate)
    where, key = _parse_where(fields, wheres[0])
    how, text, flipped = _parse_how(fields)
    folded = fields.take("case_insensitive", bool, default=False)
    fields.finish()
    return Matcher(where, how, text, key, negate is not flipped, folded)


def check_key(key: object, place: str) -> None:
    """Raise PolicyError for what is no key of an attribute."""
    if not isinstance(key, str) or not 0 < len(key) <= MAX_TEXT_CHARS:
        raise PolicyError(f"{short(key)} is no key of 1 to {MAX_TEXT_CHARS} characters", place)


def _parse_where(fields: Fields, said: str) -> tuple[Where, str]:
    if said == "trace_field":
        fields.word("trace_field", ("NAME",))
        return "name", ""
    path = fields.take(said, list)
    if len(path) != 1:
        raise PolicyError(f"{short(path)} is no list of one key", fields.at(said))
    check_key(path[0], f"{fields.at(said)}[0]")
    return cast("Where", said), path[0]


def _parse_how(fields: Fields) -> tuple[How, str, bool]:
    """The comparison, its text, and whether it is turned round (`"exists": false`)."""
    hows = [name for name in get_args(How) if name in fields]
    if len(hows) != 1:
        raise PolicyError(
            f"{' and '.join(hows) or 'nothing'} says how it is matched, exactly one is expected",
            fields.place,
            f"one of {', '.join(get_args(How))}",
        )
    how = cast("How", hows[0])
    if how == "exists":
        return how, "", not fields.take("exists", bool)
    return how, fields.text(how), False


def parse_detail(fields: Fields) -> tuple[Detail, ...]:
    """Return the field `detail`, a list of words. Raises PolicyError."""
    words = fields.take("detail", list, default=[])
    for index, word in enumerate(words):
        if word not in DETAILS:
            raise PolicyError(f"{short(word)} is none of {', '.join(DETAILS)}", f"{fields.at('detail')}[{index}]")
    return tuple(detail for detail in DETAILS if detail in words)


def _parse_operations(ours: Fields) -> dict[str, float]:
    said = ours.take("operations", dict, default={})
    if len(said) > MAX_OPERATIONS:
        raise PolicyError(f"{len(said)} operations are over the limit of {MAX_OPERATIONS}", ours.at("operations"))
    fields = Fields(said, ours.at("operations"))
    return {name: fields.number(name, 0, 100) for name in said}


def _check_kind(policy: Policy, place: str) -> None:
    """Raise where a policy lacks what its kind lives by, or says what only another kind can."""
    needs: dict[str, object] = {}
    match policy.kind:
        case "fixed" | "limit":
            needs = {"trace.keep": policy.percentage}
        case "boost":
            needs = {"trace.keep": policy.percentage, "cpdd.expires_unix_ms": policy.expires_unix_ms}
        case "budget" | "adaptive":
            needs = {"cpdd.traces_per_second": next(iter(policy.budgets.values()), None)}
        case "drop":
            if policy.percentage != 0:
                raise PolicyError("a drop keeps nothing", f"{place}.trace.keep.percentage", "leave keep out, or say 0")
    for name, value in needs.items():
        if value is None:
            raise PolicyError(f"missing; a policy of kind {policy.kind} needs it", f"{place}.{name}")
    only_boosts = {
        "expires_unix_ms": policy.expires_unix_ms,
        "max_traces": policy.max_traces,
        "here": policy.here or None,
        "detail": policy.detail or None,
    }
    for name, value in only_boosts.items():
        if value is not None and policy.kind != "boost":
            raise PolicyError(f"only a boost has it, this is of kind {policy.kind}", f"{place}.cpdd.{name}")
    for name in policy.budgets:
        if policy.kind not in ("budget", "adaptive"):
            raise PolicyError(
                f"only budget and adaptive have it, this is of kind {policy.kind}", f"{place}.cpdd.{name}"
            )
    if len(policy.budgets) > 1:
        raise PolicyError(
            f"{' and '.join(policy.budgets)} say how much is kept, exactly one is expected",
            f"{place}.cpdd",
            "two policies, a budget and a limit, can say two things",
        )


def _check_together(policies: tuple[Policy, ...]) -> None:
    """Raise for an id that comes twice, and for what one decision may not evaluate."""
    seen: dict[str, int] = {}
    for index, policy in enumerate(policies):
        if policy.id in seen:
            raise PolicyError(
                f"{policy.id!r} is the id of policies[{seen[policy.id]}] too", f"policies[{index}].id", "ids are unique"
            )
        seen[policy.id] = index
    check_predicates(policies, [f"policies[{index}]" for index in range(len(policies))])


def check_predicates(policies: Sequence[Policy], places: Sequence[str]) -> None:
    """Raise PolicyError, with the place of the first that is too many, where one decision would evaluate too much."""
    shared: dict[str, int] = {}
    for policy, place in zip(policies, places, strict=True):
        if any(matcher.where in ("span_attribute", "baggage", "kind") for matcher in policy.matchers):
            operation = exact_name(policy.matchers) or ""
            shared[operation] = shared.get(operation, 0) + 1
            if shared[operation] > MAX_SHARED_PREDICATES:
                whom = f"operation {operation!r}" if operation else "operations that are not named exactly"
                raise PolicyError(
                    f"more than {MAX_SHARED_PREDICATES} policies look at attributes of {whom}",
                    place,
                    "each is evaluated for every root span; name the operation, or match fewer",
                )


def exact_name(matchers: tuple[Matcher, ...]) -> str | None:
    """Return the one operation that matchers can concern, None where there may be several."""
    for matcher in matchers:
        if matcher.where == "name" and matcher.how == "exact" and not matcher.negate and not matcher.case_insensitive:
            return matcher.text
    return None


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return the JSON value of a policy, without what is as by default; `parse_policy` reads it back."""
    trace: dict[str, Any] = {"match": [_matcher_json(matcher) for matcher in policy.matchers]}
    if policy.percentage is not None and policy.kind != "drop":
        trace["keep"] = {"percentage": policy.percentage}
    ours = {
        "kind": policy.kind if policy.kind != "fixed" else None,
        "operations": dict(policy.operations) or None,
        **policy.budgets,
        "scope": policy.scope if policy.scope != "fleet" else None,
        "min_traces_per_minute": policy.min_traces_per_minute or None,
        "expires_unix_ms": policy.expires_unix_ms,
        "max_traces": policy.max_traces,
        "group": policy.group or None,
        "here": policy.here or None,
        "detail": list(policy.detail) or None,
        "local_traces_per_second": policy.local_traces_per_second,
        "author": policy.author or None,
        "reason": policy.reason or None,
    }
    said = {key: value for key, value in ours.items() if value is not None}
    return {
        "id": policy.id,
        **({"name": policy.name} if policy.name else {}),
        "trace": trace,
        **({"cpdd": said} if said else {}),
    }


def _matcher_json(matcher: Matcher) -> dict[str, Any]:
    said: dict[str, Any] = {"negate": True} if matcher.negate else {}
    match matcher.where:
        case "kind":
            return {"span_kind": matcher.text, **said}
        case "name":
            said["trace_field"] = "NAME"
        case _:
            said[matcher.where] = [matcher.key]
    if matcher.case_insensitive:
        said["case_insensitive"] = True
    said[matcher.how] = True if matcher.how == "exists" else matcher.text
    return said


def document_json(document: Document) -> dict[str, Any]:
    """Return the JSON value of a document; `parse_document` reads it back."""
    sent = {} if document.sent_unix_ms is None else {"sent_unix_ms": document.sent_unix_ms}
    policies = [policy_json(policy) for policy in document.policies]
    return {"version": document.version, "hash": document.hash, **sent, "policies": policies}


def hash_of(policies: tuple[Policy, ...]) -> str:
    """Return what tells two sets of policies apart: 16 hex digits over their canonical JSON."""
    text = json.dumps([policy_json(policy) for policy in policies], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
