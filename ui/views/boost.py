"""Turn sampling up for something, from wherever it is seen: what that keeps and for how long, then one button.

The page only shows; `changes` takes the button.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from collector.control.requests import BoostRequest, Renewal, read_boost, read_renewal
from collector.core.sampling.words import DETAIL_WORDS
from cpdd.detail_letters import DETAILS
from cpdd.errors import CpddError
from cpdd.sampling.fields import PolicyError
from ui.draw.text import count_of, in_a_row, shown
from ui.views.boosts import Boosts
from ui.views.errors import BadAddress
from ui.views.page import Page, Parameter, Visit
from ui.views.sampling import LENGTHS, SHARES, Proposal, cost_of, proposal_of, rates_of
from ui.views.time_range import length_words

LONGEST_TEXT = 500
ROOTS_SAID = 3


@dataclass(frozen=True, slots=True)
class RootRow:
    service: str
    operation: str
    """Empty: all of the service's."""


@dataclass(frozen=True, slots=True)
class BoostPage:
    answer: str
    proposal: Proposal
    caller: str
    """Where an edge is meant: the service on the caller's side."""
    roots: tuple[RootRow, ...]
    """Where the traces begin that the boost keeps."""
    found: bool
    """The roots were found as those that reach what was asked for."""
    can_boost: bool
    needs_token: bool
    no_changes: str
    """Why nothing can be changed from where the visitor is; empty where it can."""
    problem: str
    detail: tuple[str, ...]
    """What the traces tell besides, by the words of a policy."""
    doubt: str
    """What may be wrong with the names: nobody has heard of them."""


def boost_view(visit: Visit) -> BoostPage:
    """Return what a boost would do; raises BadAddress where the address names no service."""
    proposal = proposal_of(visit, rates_of(visit.sampling()))
    if not proposal.service:
        raise BadAddress("a boost needs a service", hint="choose one", address="/sampling")
    request = boost_request(visit.query, visit.boosts)
    roots: tuple[RootRow, ...] = ()
    found, problem, doubt = False, "", ""
    if visit.boosts is None:
        problem = "No sampling service runs in this process: the command below asks another one."
    else:
        try:
            known, found = visit.boosts.roots_of(request)
            roots = tuple(RootRow(root.service, root.operation) for root in known)
            doubt = visit.boosts.doubt(request) or ("" if found else _unknown_service(visit, request.service))
        except CpddError as error:
            problem = str(error)
    return BoostPage(
        answer=_answer(proposal, roots, request, problem),
        proposal=replace(proposal, cost=proposal.cost if not roots else _cost(visit, proposal, roots)),
        caller=request.caller,
        roots=roots,
        found=found,
        can_boost=bool(roots) and not visit.no_changes,
        needs_token=visit.boosts.needs_token if visit.boosts else False,
        no_changes=visit.no_changes,
        problem=problem,
        detail=request.detail,
        doubt=shown(doubt, LONGEST_TEXT),
    )


def _unknown_service(visit: Visit, service: str) -> str:
    """Return whom else may be meant where no service of this name has sent spans or reports."""
    known = {*visit.reader.services(), *(row.service for row in rates_of(visit.sampling()))}
    if not known or service in known:
        return ""
    near = get_close_matches(service, sorted(known), n=3, cutoff=0.4)
    there = f"; there is {in_a_row(near)}" if near else ""
    return f"no service {service} has sent spans{there}"


def boost_request(said: Mapping[str, str], boosts: Boosts | None) -> BoostRequest:
    """Return what a form or an address asks for; raises BadAddress, which names the field."""
    length = said.get("for", "")
    share = said.get("to", "")
    value = {
        "service": said.get("service", "").strip()[:LONGEST_TEXT],
        "operation": said.get("operation", "").strip()[:LONGEST_TEXT],
        "caller": said.get("caller", "").strip()[:LONGEST_TEXT],
        "percentage": float(share) if share.isascii() and share.isdigit() and len(share) < 4 else float(SHARES[0]),
        "duration_s": float(LENGTHS.get(length, LENGTHS["5m"])),
        "detail": [word for word in DETAILS if said.get(word)],
        "author": said.get("author", "").strip()[:LONGEST_TEXT],
        "reason": said.get("reason", "").strip()[:LONGEST_TEXT],
    }
    try:
        return read_boost(value, boosts.longest_boost_s if boosts else max(LENGTHS.values()))
    except PolicyError as error:
        raise BadAddress(f"this is no boost: {shown(str(error))}", address="/sampling") from None


def renewal(said: Mapping[str, str], now_ns: int, longest_s: float) -> Renewal:
    """Return until when a form lets a boost last; one that says no end means the usual length from now on.

    An end, and not a length, so that a form that is sent twice does not extend twice. Raises BadAddress.
    """
    until = said.get("until_unix_ms", "")
    length_s = float(LENGTHS["5m"])
    if until.isascii() and until.isdigit() and len(until) < 16:
        length_s = int(until) / 1e3 - now_ns / 1e9
    value = {
        "duration_s": length_s,
        "author": said.get("author", "").strip()[:LONGEST_TEXT],
        "reason": said.get("reason", "").strip()[:LONGEST_TEXT],
    }
    try:
        return read_renewal(value, longest_s)
    except PolicyError as error:
        raise BadAddress(f"a boost cannot last so long: {shown(str(error))}", address="/sampling") from None


def _cost(visit: Visit, proposal: Proposal, roots: Sequence[RootRow]) -> str:
    """What the boost of the roots costs: they are what begins traces, whatever was asked for."""
    rows = [
        row
        for row in rates_of(visit.sampling())
        if any(row.service == root.service and root.operation in ("", row.operation) for root in roots)
    ]
    if not rows:
        return ""
    seen, kept = sum(row.seen_per_s for row in rows), sum(row.kept_per_s for row in rows)
    return cost_of(max(0.0, seen * proposal.share / 100 - kept), LENGTHS[proposal.length])


def _answer(proposal: Proposal, roots: Sequence[RootRow], request: BoostRequest, problem: str) -> str:
    what = f"{shown(proposal.service)} {shown(proposal.operation)}".rstrip()
    if problem:
        return f"{what} cannot be boosted from here."
    names = [f"{shown(root.service)} {shown(root.operation)}".rstrip() for root in roots[:ROOTS_SAID]]
    more = len(roots) - len(names)
    names += [count_of(more, "other")] if more else []
    told = f", with {in_a_row([DETAIL_WORDS[word] for word in request.detail])}" if request.detail else ""
    where, time = in_a_row(names), length_words(proposal.length)
    return f"Keep {proposal.share}\xa0% of the traces that begin at {where} for {time}{told}?"


PAGE = Page(
    name="boost",
    address="/sampling/boost",
    template="boost.html",
    view=boost_view,
    value=BoostPage,
    summary="What a boost of sampling would do; the page itself changes nothing",
    parameters=(
        Parameter("service", "the service to see more of"),
        Parameter("operation", "an operation of it; empty: all"),
        Parameter("caller", "only where this service calls it"),
        Parameter("to", "share of traces to keep, in percent"),
        Parameter("for", f"how long: {', '.join(LENGTHS)}"),
        *(Parameter(word, f"on: these traces tell {DETAIL_WORDS[word]}, too") for word in DETAILS),
        Parameter("reason", "for the log of changes"),
    ),
)
