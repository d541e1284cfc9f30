"""The sampling service of a process: made, bound, started and stopped. Called by `serve`; others ask through it."""

from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from collector.control.api import ControlApp
from collector.control.grpc import SamplingManager
from collector.control.guard import Caller, Forbidden, Guard
from collector.control.proposals import Proposer, proposal_json
from collector.control.requests import BoostRequest, Renewal
from collector.control.service import Boosted, SamplingService
from collector.control.state import state_of
from collector.control.told_keeper import ToldKeeper
from collector.control.traffic_keeper import TrafficKeeper
from collector.core.findings.model import JourneySeen
from collector.core.sampling.lives import Life
from collector.core.sampling.proposals import Proposal
from collector.core.sampling.roots import Root
from collector.core.sampling.told import Told
from collector.forms import Forms
from collector.listen import Endpoint
from collector.loop import LoopThread
from collector.receive.asgi import Application
from collector.store.engine import Store
from collector.store.journey_shares import JourneyShares
from collector.store.offered_traffic import OfferedTraffic
from collector.store.roots import RootFinder
from collector.store.sampling_log import SamplingLog
from collector.store.sampling_told import ToldLog
from collector.store.sampling_traffic import TrafficLog
from collector.store.trace_costs import TraceCosts
from collector.tokens import Tokens
from cpdd.errors import CpddError
from cpdd.sampling.jaeger import Strategy
from cpdd.settings import Settings

_T = TypeVar("_T")


class NotRunning(CpddError):
    """Sampling is asked for before the start, or after the stop."""

    def __init__(self) -> None:
        super().__init__("the sampling service does not run")


class Control:
    """From `bind_grpc` over `start` to `stop`. The methods are for threads other than the loop's."""

    def __init__(self, settings: Settings, loop: LoopThread) -> None:
        self._settings = settings
        self._loop = loop
        tokens = Tokens("control_token", settings.control_token)
        self.forms = Forms(tokens)
        """Whose tokens the forms of pages bring."""
        self._guard = Guard(
            settings.host,
            tokens,
            Tokens("ingest_tokens", settings.ingest_tokens),
            settings.public_url,
        )
        self.told = Told()
        """What clients were told, which the analyzer weighs traces by."""
        self._service: SamplingService | None = None
        self._proposer: Proposer | None = None
        self._told_keeper: ToldKeeper | None = None
        self._traffic_keeper: TrafficKeeper | None = None
        self._manager: SamplingManager | None = None
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="cpdd-sampling")

    def bind_grpc(self, endpoint: Endpoint, host: str, port: int) -> int:
        """Listen for Jaeger clients on one more port; returns which. Raises PortUnavailable."""
        if self._manager is None:
            self._manager = SamplingManager()
        return self._manager.bind(endpoint, host, port)

    def start(self, store: Store, seen: Callable[[], Sequence[JourneySeen]] = lambda: ()) -> Application:
        """Take up what the store says is in force; returns the application of the HTTP port.

        Args:
            seen: journeys as the judge saw them last; boosts are proposed by them.
        """
        settings = self._settings
        self._service = self._loop.run(self._make(store))
        self._proposer = Proposer(self._service, seen, settings.sampling_auto_traces_per_s)
        self._loop.run(self._proposer.begin())
        if self._manager is not None:
            self._manager.start(self.strategy)
        return ControlApp(self._service, self._guard, self._proposer)

    async def _make(self, store: Store) -> SamplingService:
        settings = self._settings
        service = SamplingService(
            SamplingLog(store),
            RootFinder(store),
            self._workers,
            settings.sampling_default,
            settings.sampling_max_boost_s,
            read_costs=TraceCosts(store).read,
            told=self.told,
            read_rarest=JourneyShares(store).read,
            read_offered=OfferedTraffic(store).read,
            is_shared=not store.embedded,
        )
        await service.begin()
        self._told_keeper = ToldKeeper(self.told, ToldLog(store), self._workers, is_shared=not store.embedded)
        await self._told_keeper.begin()
        if not store.embedded:
            traffic_log = TrafficLog(store)
            self._traffic_keeper = TrafficKeeper(service.fleet, service.budgets, traffic_log, self._workers)
            self._traffic_keeper.begin()
        return service

    def end_streams(self) -> None:
        """Let clients that are pushed to go, so that the server need not wait for them."""
        if self._service is not None and not self._service.ending:
            self._loop.run(self._service.end())
            if self._proposer is not None:
                self._loop.run(self._proposer.end())

    def stop(self) -> None:
        """Answer nothing more. The loop must still run."""
        self.end_streams()
        if self._manager is not None:
            self._manager.stop()
        if self._traffic_keeper is not None:
            self._loop.run(self._traffic_keeper.end())
        if self._told_keeper is not None:
            self._loop.run(self._told_keeper.end())
        self._workers.shutdown()

    def strategy(self, service: str) -> Strategy:
        """Return what a Jaeger client of a service samples by."""
        return self._run(self._strategy(service))

    def state(self) -> dict[str, Any]:
        """Return what is in force, as `GET /v1/state` does. Raises NotRunning."""
        return self._run(state_of(self._running()))

    def admit(self, caller: Caller) -> None:
        """Raise Forbidden for a change that this caller may not make, by the rules of the control port."""
        self._guard.check(caller)
        self._guard.check_change(caller)

    def refusal_of_all_from(self, peer: str) -> Forbidden | None:
        """Return why nobody at an address may change anything; None where who brings what is asked for may."""
        return self._guard.refusal_of_all_from(peer)

    def roots_of(self, request: BoostRequest) -> tuple[Sequence[Root], bool]:
        """Return what a boost would be of. Raises NotRunning, NoRoots, TooManyRoots."""
        return self._run(self._running().roots_of(request))

    def doubt(self, request: BoostRequest) -> str:
        """Return what is odd about the operation of a request, "" for nothing. Raises NotRunning."""
        return self._run(self._running().doubt(request))

    def boost(self, request: BoostRequest) -> Boosted:
        """Keep more of something for a while. Raises NotRunning, NoRoots, TooManyRoots."""
        return self._run(self._running().boost(request))

    def renew_boost(self, boost_id: str, renewal: Renewal, repeat: bool) -> Boosted:
        """Let a boost last on, or begin it anew. Raises NotRunning, UnknownPolicy."""
        return self._run(self._running().renew(boost_id, renewal, repeat))

    def end_boost(self, boost_id: str, author: str, reason: str) -> int:
        """End a boost with all its parts; returns the version. Raises NotRunning, UnknownPolicy."""
        return self._run(self._running().delete(boost_id, author, reason))

    @property
    def longest_boost_s(self) -> float:
        return self._settings.sampling_max_boost_s

    @property
    def needs_token(self) -> bool:
        """Whether a change must bring the token of this server."""
        return bool(self._settings.control_token)

    def _running(self) -> SamplingService:
        if self._service is None:
            raise NotRunning
        return self._service

    def lives(self) -> list[Life]:
        """Return the boosts of now and of the last hour. Raises NotRunning."""
        return self._run(self._lives())

    def proposals(self) -> list[dict[str, Any]]:
        """Return what is proposed, as `GET /v1/proposals` does. Raises NotRunning."""
        return [proposal_json(proposal) for proposal in self._run(self._proposals())]

    async def _proposals(self) -> list[Proposal]:
        if self._proposer is None:
            raise NotRunning
        return await self._proposer.proposals()

    async def _lives(self) -> list[Life]:
        return self._running().lives()

    async def _strategy(self, service: str) -> Strategy:
        return self._running().tell(service)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run(work)
