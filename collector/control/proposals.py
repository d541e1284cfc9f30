"""Boosts that the critical path asks for: listed, accepted by one call, or made by themselves under a ceiling.

Lives in the loop thread, beside the service that it asks to boost.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from collector.control.requests import BoostRequest
from collector.control.service import Boosted, SamplingService
from collector.core.findings.model import JourneySeen
from collector.core.sampling.fleet import Rate
from collector.core.sampling.policies import is_live
from collector.core.sampling.proposals import Proposal, propose
from collector.core.sampling.roots import Root
from cpdd.errors import CpddError
from cpdd.sampling.document import Policy

log = logging.getLogger(__name__)

AUTHOR = "cpdd"
LOOK_S = 10.0
AGAIN_S = 3_600.0
"""After which a question that a boost of ours did not answer is worth another; somebody may have ended it."""


class UnknownProposal(CpddError):
    """Nothing of that name is proposed, any more or yet."""

    def __init__(self, proposal_id: str) -> None:
        self.proposal_id = proposal_id
        super().__init__(
            f"nothing is proposed under the id {proposal_id!r}\n"
            "hint: GET /v1/proposals says what is; a question that was answered, or that a boost is answering, is not"
        )


class Proposer:
    """What is proposed now. Every method runs in the loop thread."""

    def __init__(
        self,
        service: SamplingService,
        seen: Callable[[], Sequence[JourneySeen]] = lambda: (),
        ceiling: float = 0.0,
    ) -> None:
        """Args:
        seen: journeys as the judge saw them last.
        ceiling: traces per second that boosts may add which nobody accepted; 0: there are none.
        """
        self._service = service
        self._seen = seen
        self._ceiling = ceiling
        self._tried: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start to boost by itself, where that is allowed."""
        if self._ceiling > 0:
            self._task = asyncio.get_running_loop().create_task(self._look_again())

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def proposals(self) -> list[Proposal]:
        """Return what is proposed, the most urgent first; not what a live boost is answering."""
        costs = await self._service.costs()
        found = propose(self._seen(), self._rates(), costs, self._service.longest_boost_s)
        live = {policy.lease for policy in self._service.book.boosts(self._service.now_ms())}
        return [proposal for proposal in found if proposal.id not in live]

    async def accept(self, proposal_id: str, author: str, reason: str) -> Boosted:
        """Boost as proposed. Raises UnknownProposal."""
        for proposal in await self.proposals():
            if proposal.id == proposal_id:
                return await self._boost(proposal, author, reason)
        raise UnknownProposal(proposal_id)

    async def boost_by_itself(self) -> None:
        """Accept, the most urgent first, what the ceiling has room for; nothing twice within the hour."""
        service, rates, now_s = self._service, self._rates(), self._service.now_s()
        self._tried = {name: at for name, at in self._tried.items() if at > now_s - AGAIN_S}
        mine = [policy for policy in service.book.policies.values() if policy.author == AUTHOR]
        spent = sum(_at_most(policy, rates) for policy in mine if is_live(policy, service.now_ms()))
        before = self._tried.keys() | {policy.lease for policy in mine}
        for proposal in await self.proposals():
            if proposal.id not in before and spent + proposal.traces_per_second <= self._ceiling:
                spent += proposal.traces_per_second
                self._tried[proposal.id] = now_s
                await self._boost(proposal, AUTHOR, "")

    async def _boost(self, proposal: Proposal, author: str, reason: str) -> Boosted:
        first = proposal.roots[0]
        request = BoostRequest(
            service=first.service,
            operation=first.operation,
            caller="",
            percentage=proposal.percentage,
            duration_s=proposal.duration_s,
            max_traces=proposal.max_traces,
            attributes=(),
            here=False,
            detail=(),
            id=proposal.id,
            author=author,
            reason=reason or proposal.why[:256],
        )
        return await self._service.boost(request, proposal.roots)

    def _rates(self) -> dict[Root, Rate]:
        found: dict[Root, Rate] = {}
        for (service, operation, _), rate in self._service.fleet.recent_rates().items():
            root = Root(service, operation)
            found[root] = found.get(root, Rate()) + rate
        return found

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.boost_by_itself()
            except Exception:
                log.exception("cannot boost by itself, trying again")


def _at_most(policy: Policy, rates: Mapping[Root, Rate]) -> float:
    """What a boost may add a second: all that it keeps."""
    root = Root(*(next((m.text for m in policy.matchers if m.where == where), "") for where in _WHERE))
    return (policy.percentage or 0.0) / 100 * rates.get(root, Rate()).seen


_WHERE = ("resource_attribute", "name")


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as the port answers it."""
    ends = {
        name: None if end is None else dict(zip(("service", "operation", "kind"), end, strict=True))
        for name, end in (("caller", proposal.caller), ("callee", proposal.callee))
    }
    return {**asdict(proposal), **ends, "roots": [root._asdict() for root in proposal.roots]}
