"""Sampling: what is kept now and why, live boosts, who follows, who changed it; and the command that boosts.

The form fills in the command and says what the boost would cost; `boost` says of which roots, and has the button.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cpdd.detail_letters import DETAILS
from ui.draw.text import count_of
from ui.views.address import is_addressable, search_address
from ui.views.page import Page, Parameter, Visit

SamplingState = Mapping[str, Any]
"""What `collector.control.state` says."""
ReadSampling = Callable[[], SamplingState | None]
"""The state now; None where no sampling service runs."""

DEFAULT_ADDRESS = "http://127.0.0.1:5778"
LENGTHS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600}
SHARES = (100, 50, 25, 10)
EXTENSION_MS = 300_000
"""How much longer a boost lasts by one press."""


@dataclass(frozen=True, slots=True)
class LiveBoost:
    id: str
    of: str
    does: str
    reason: str
    author: str
    group: str
    """Id under which it ends with all its parts."""
    ends_unix_ms: int
    left_s: float
    max_traces: int | None
    added_traces: int | None
    """How many it has added; None where nobody counts."""
    end_command: str
    extended_unix_ms: int | None
    """Until when a press lets it last; None where that is longer than boosts may last from now on."""


@dataclass(frozen=True, slots=True)
class EndedBoost:
    """A boost of the last hour, which can be repeated."""

    group: str
    of: str
    does: str
    others: int
    """Further things that it was of."""
    reason: str
    author: str
    ended_unix_nano: int


@dataclass(frozen=True, slots=True)
class PolicyRow:
    id: str
    of: str
    does: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class RateRow:
    """What is decided on one operation: per second, over the clients' last reports."""

    service: str
    operation: str
    seen_per_s: float
    kept_per_s: float
    kept_share: float | None
    set_share: float
    """What is asked for now, by the operation's name alone."""
    rule: str
    """Id of the policy that decides most of it; empty: the clients' own baseline."""
    address: str = ""
    """Of the traces behind it; empty for a name that no address can hold."""


@dataclass(frozen=True, slots=True)
class ClientRow:
    service: str
    instance: str
    is_pushed: bool
    is_current: bool
    applied_s_ago: float | None
    heard_s_ago: float
    problem: str
    spans_lost: int
    """Since its start; its traces are undercounted by them."""
    lost_share: float
    """Of its spans."""


@dataclass(frozen=True, slots=True)
class PolicyChangeRow:
    version: int
    at_unix_nano: int
    action: str
    change: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A boost as the form asks for it."""

    service: str
    operation: str
    share: int
    length: str
    command: str
    cost: str
    reason: str


@dataclass(frozen=True, slots=True)
class SamplingPage:
    answer: str
    is_running: bool
    can_change: bool
    needs_token: bool
    no_changes: str
    """Why nothing can be changed from where the visitor is; empty where it can."""
    boosts: tuple[LiveBoost, ...]
    ended: tuple[EndedBoost, ...]
    """The last one first."""
    policies: tuple[PolicyRow, ...]
    rates: tuple[RateRow, ...]
    clients: tuple[ClientRow, ...]
    clients_in_all: int
    unweighted: tuple[str, ...]
    """Services whose traces come without the weights that their programs write."""
    changes: tuple[PolicyChangeRow, ...]
    proposal: Proposal


def sampling_view(visit: Visit) -> SamplingPage:
    """Return what the sampling service says, in rows."""
    found = visit.sampling()
    state = found or {}
    boosts = tuple(
        _boost(boost, visit.settings.sampling_http, state["now_unix_ms"] + round(1e3 * state["longest_boost_s"]))
        for boost in state.get("boosts", ())
    )
    rates = rates_of(found)
    clients = tuple(_client(row) for row in state.get("clients", ()))
    return SamplingPage(
        answer=_answer(found is not None, boosts, rates, clients),
        is_running=found is not None,
        can_change=visit.boosts is not None and not visit.no_changes,
        needs_token=visit.boosts.needs_token if visit.boosts else False,
        no_changes=visit.no_changes,
        boosts=boosts,
        ended=_ended(state.get("ended", ())),
        policies=tuple(_policy(policy) for policy in state.get("policies", ())),
        rates=rates,
        clients=clients,
        clients_in_all=state.get("clients_in_all", 0),
        unweighted=tuple(state.get("unweighted", ())),
        changes=tuple(_change(row) for row in state.get("log", ())),
        proposal=proposal_of(visit, rates),
    )


def _boost(boost: Mapping[str, Any], address: str, latest_unix_ms: int) -> LiveBoost:
    ours = boost["cpdd"]
    extended = ours["expires_unix_ms"] + EXTENSION_MS
    return LiveBoost(
        id=boost["id"],
        of=boost["of"],
        does=boost["does"],
        reason=ours.get("reason", ""),
        author=ours.get("author", ""),
        group=ours.get("group") or boost["id"],
        ends_unix_ms=ours["expires_unix_ms"],
        left_s=max(0.0, boost["left_s"]),
        max_traces=ours.get("max_traces"),
        added_traces=boost["added_traces"],
        end_command=_command(["--end", ours.get("group") or boost["id"]], address),
        extended_unix_ms=extended if extended <= latest_unix_ms else None,
    )


def _ended(policies: Iterable[Mapping[str, Any]]) -> tuple[EndedBoost, ...]:
    by_group: dict[str, list[Mapping[str, Any]]] = {}
    for policy in policies:
        by_group.setdefault(policy["cpdd"].get("group") or policy["id"], []).append(policy)
    rows = []
    for group, parts in by_group.items():
        first, ours = parts[0], parts[0]["cpdd"]
        said = (ours.get("reason", ""), ours.get("author", ""), ours["expires_unix_ms"] * 1_000_000)
        rows.append(EndedBoost(group, first["of"], first["does"], len(parts) - 1, *said))
    return tuple(sorted(rows, key=lambda row: -row.ended_unix_nano))


def _policy(policy: Mapping[str, Any]) -> PolicyRow:
    ours = policy.get("cpdd", {})
    return PolicyRow(policy["id"], policy["of"], policy["does"], ours.get("author", ""), ours.get("reason", ""))


def _client(row: Mapping[str, Any]) -> ClientRow:
    return ClientRow(
        service=row["service"],
        instance=row["instance"],
        is_pushed=row["pushed"],
        is_current=row["is_current"],
        applied_s_ago=row["applied_s_ago"],
        heard_s_ago=row["heard_s_ago"],
        problem=row["problem"],
        spans_lost=row["spans_lost"],
        lost_share=row["spans_lost"] / max(1, row["spans_lost"] + row["spans_sent"]),
    )


def _change(row: Mapping[str, Any]) -> PolicyChangeRow:
    return PolicyChangeRow(
        row["version"], row["at_unix_ms"] * 1_000_000, row["action"], row["change"], row["author"], row["reason"]
    )


def _answer(
    is_running: bool, boosts: tuple[LiveBoost, ...], rates: tuple[RateRow, ...], clients: tuple[ClientRow, ...]
) -> str:
    if not is_running:
        return "No sampling service runs in this process."
    lost = [client for client in clients if client.problem]
    if lost:
        return f"{count_of(len(lost), 'program')} of {len(clients)} cannot follow; the others sample as shown."
    seen = sum(row.seen_per_s for row in rates)
    if not seen:
        return "No program reports to this sampling service yet." if not clients else "No traces begin just now."
    kept = sum(row.kept_per_s for row in rates)
    boosted = f"; {count_of(len(boosts), 'boost')} live" if boosts else ""
    return f"{_share(kept / seen)} of {_rate(seen)} traces begun a second are kept{boosted}."


def rates_of(state: SamplingState | None) -> tuple[RateRow, ...]:
    return tuple(RateRow(**row, address=_traces_of(row)) for row in (state or {}).get("rates", ()))


def _traces_of(row: Mapping[str, Any]) -> str:
    names = {"service": row["service"], "operation": row["operation"]}
    return search_address(names) if all(map(is_addressable, names.values())) else ""


def proposal_of(visit: Visit, rates: Iterable[RateRow]) -> Proposal:
    """Return the boost that the address asks for, as a command and with its cost."""
    service, operation = visit.query.get("service", "").strip(), visit.query.get("operation", "").strip()
    share = min(max(visit.number("to", SHARES[0]), 1), 100)
    length = visit.one_of("for", tuple(LENGTHS)) or "5m"
    caller = visit.query.get("caller", "").strip()
    whose = [*(["--op", operation] if operation else []), *(["--from", caller] if caller else [])]
    detail = [word for name in DETAILS if visit.query.get(name) for word in ("--detail", name)]
    words = [service or "SERVICE", *whose, "--to", f"{share}%", "--for", length, *detail]
    concerned = [row for row in rates if row.service == service and operation in ("", row.operation)]
    seen, kept = sum(row.seen_per_s for row in concerned), sum(row.kept_per_s for row in concerned)
    more = max(0.0, seen * share / 100 - kept)
    cost = ""
    if service and concerned:
        cost = cost_of(more, LENGTHS[length])
    elif service:
        cost = "nobody reports how often it is called, so its cost is not known"
    command = _command(words, visit.settings.sampling_http)
    return Proposal(service, operation, share, length, command, cost, visit.query.get("reason", ""))


def cost_of(more_per_s: float, length_s: float) -> str:
    """Return what keeping so many traces a second more costs, in words that follow "it costs"."""
    in_all = round(more_per_s * length_s)
    if not in_all:
        return "nothing: as many are kept already"
    return f"about {_rate(more_per_s)} traces a second more, {in_all:,} in all"


def _command(words: Iterable[str], address: str) -> str:
    elsewhere = ["--sampling", address] if address and address != DEFAULT_ADDRESS else []
    return shlex.join(["cpdd", "boost", *words, *elsewhere])


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.2g}"


PAGE = Page(
    name="sampling",
    address="/sampling",
    template="sampling.html",
    view=sampling_view,
    value=SamplingPage,
    summary="What is sampled now and why, live boosts, clients and the log of changes",
    parameters=(
        Parameter("service", "a service to boost, for the command"),
        Parameter("operation", "an operation of it"),
        Parameter("to", "share of traces to keep, in percent"),
        Parameter("for", f"how long: {', '.join(LENGTHS)}"),
    ),
)
