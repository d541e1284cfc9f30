"""The one process: ports, store, receivers, analyzer and whatever web application it is given, in threads.

    ports -> health, metrics -> store -> sampling -> committer -> kernels warm -> analyzer, judge -> web -> receivers
    -> ready

Each part is started after what it needs, and stopped in the opposite order: receivers answer what they have taken,
the analyzer ends its round, the committer stores what it has queued, the store closes. Nothing may be inside the
engine when the interpreter leaves, or the process crashes. Knows no page and imports nothing of `ui`.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from collector.analyze import Analyzer
from collector.background import ALWAYS, Share, Turn
from collector.clock_watch import ClockWatch
from collector.control.run import Control
from collector.core.catalog import Catalog
from collector.core.journeys import JourneyBook
from collector.core.redaction import Redaction, parse_rules
from collector.follow import Follower
from collector.health import Health, HealthPage, State
from collector.judge import Judge
from collector.listen import Endpoint, address, bind, port_of, reachable
from collector.login import Login, Proxies
from collector.loop import LoopThread
from collector.metrics import Metrics, MetricsPage
from collector.minutes import MinuteWriter
from collector.precedence import GivingWay, Precedence
from collector.receive.asgi import Application
from collector.receive.grpc import GrpcReceiver
from collector.receive.http import HttpReceiver, OtlpDialect
from collector.receive.intake import Intake
from collector.receive.limits import InflightBytes, Limits
from collector.receive.protocol import uvicorn_config
from collector.receive.senders import Senders
from collector.receive.zipkin import ZipkinDialect
from collector.remember import Rememberer
from collector.retain import Retainer, retention_of
from collector.secret import own_secret
from collector.service_metrics import EdgeRequirementMetrics, ServiceGraphMetrics
from collector.store.engine import Store, check_unused, open_store
from collector.store.facts import FactsKeeper
from collector.store.fresh import Fresh
from collector.store.native import EncodedBatch
from collector.store.reader import Reader
from collector.store.recent_places import RecentPlaces
from collector.store.turns import Turns, open_turns
from collector.store.writer import Committer
from collector.system import System, system_of
from collector.tls import load_tls
from collector.tokens import Tokens
from collector.warm import warm
from collector.watch import watch_analyzer, watch_commits, watch_follower, watch_judge, watch_retention
from collector.web import WebServer, WsgiApplication, as_asgi
from collector.webhook import Webhook
from cpdd.errors import CpddError
from cpdd.setting_values import networks
from cpdd.settings import Settings, flag_of

log = logging.getLogger(__name__)

OTLP_HTTP = Endpoint("otlp_http", "OTLP/HTTP")
OTLP_GRPC = Endpoint("otlp_grpc", "OTLP/gRPC", scheme="")
ZIPKIN = Endpoint("zipkin", "Zipkin v2 JSON")
UI = Endpoint("ui", "pages and query API")
HEALTH = Endpoint("health", "health")
METRICS = Endpoint("metrics", "Prometheus metrics")
SAMPLING_HTTP = Endpoint("sampling_http", "sampling over HTTP")
SAMPLING_GRPC = Endpoint("sampling_grpc", "sampling over gRPC", scheme="")
SAMPLING_GRPC_LEGACY = Endpoint("sampling_grpc_legacy", "sampling (old port)", scheme="")
ENDPOINTS = (
    *(UI, OTLP_HTTP, OTLP_GRPC, ZIPKIN, SAMPLING_HTTP, SAMPLING_GRPC, SAMPLING_GRPC_LEGACY),
    *(HEALTH, METRICS),
)
"""What listens, in the order in which people are told."""
OVER_TLS = frozenset({UI, OTLP_HTTP, OTLP_GRPC, ZIPKIN, SAMPLING_HTTP})
"""Where there is a certificate; the others are for machines nearby."""

DRAIN_S = 15
"""How long requests in work have to finish when the process is told to stop."""
BLOCK_PER_BODY = 4
"""How much larger than the largest body its spans may be in the store, where each repeats its resource."""
UNHEALTHY_AFTER_S = 30.0
"""How long commits may fail until `/ready` says so; senders are told at once."""

MakeWeb = Callable[[Reader], WsgiApplication]
MakeAnalyzer = Callable[[Store, Settings, JourneyBook, Share, str], Analyzer]


def make_analyzer(store: Store, settings: Settings, book: JourneyBook, share: Share, owner: str) -> Analyzer:
    return Analyzer(store, settings, book=book, share=share, owner=owner)


class LimitsContradict(CpddError):
    """A request of the largest size allowed could never be held."""

    def __init__(self, max_body_bytes: int, max_inflight_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_inflight_bytes = max_inflight_bytes
        super().__init__(
            f"cannot start: max_inflight_bytes is {max_inflight_bytes}, less than twice max_body_bytes "
            f"({max_body_bytes}): one half is for bodies, the other for what waits to be stored\n"
            f"hint: raise {flag_of('max_inflight_bytes')} or lower {flag_of('max_body_bytes')}"
        )


class _Part(Protocol):
    """What works in threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Return when nothing of it runs any more."""


class Collector:
    """Everything that runs in the process, from `start` to `stop`."""

    def __init__(
        self,
        settings: Settings,
        make_web: MakeWeb | None = None,
        make_analyzer: MakeAnalyzer | None = make_analyzer,
        book: JourneyBook = JourneyBook(),
        catalog: Catalog = Catalog(),
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Args:
        make_web: builds the pages' application of a reader; None: there are none.
        make_analyzer: None leaves traces as they came, for a benchmark of receiving alone.
        book: the journeys that somebody named, with what they promise.
        catalog: who owns services that do not say so themselves.
        tell: is told what takes long.
        Raises:
            LimitsContradict, SettingsError, TlsUnusable, TokensUnreadable
        """
        self.addresses: dict[str, str] = {}
        """Where things listen, by the key of their endpoint; empty before `start`."""
        self.store_shown = ""
        """Where the store is, without its password; empty before `start`."""
        self._settings = settings
        self._make_web = make_web
        self._make_analyzer = make_analyzer
        self._precedence = Precedence()
        self._book = book
        self._catalog = catalog
        self._tell = tell
        self._limits = _limits(settings)
        self._tls = load_tls(settings)
        self._rules = parse_rules(settings.redact)
        self._ingest_tokens = Tokens("ingest_tokens", settings.ingest_tokens)
        self._login = _login(settings)
        self._inflight = InflightBytes(self._limits.max_inflight_bytes)
        self._senders = Senders(self._limits.max_inflight_bytes)
        self._metrics = Metrics(version("cpdd"))
        self._health = Health(self._faults, self._problems, self._facts)
        self._loop = LoopThread()
        self.control = Control(settings, self._loop)
        """The sampling service."""
        self._fresh = Fresh()
        self._places: RecentPlaces | None = None
        self._committer: Committer | None = None
        self._intake: Intake | None = None
        self._analyzer: Analyzer | None = None
        self._minutes: MinuteWriter | None = None
        self._follower: Follower | None = None
        self._judge: Judge | None = None
        self._retainer: Retainer | None = None
        self._parts = ExitStack()
        """Stops what was started, the last first."""
        self._began_s = time.monotonic()

    def start(self) -> None:
        """Start every part and return when spans are taken. When a part fails, those before it are stopped.

        Raises:
            PortUnavailable, StoreInUse, StoreUnreachable and other kinds of CpddError.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Finish what was accepted and stop every part. A second call does nothing."""
        self._health.state = State.STOPPING
        if self._committer:
            self._committer.hurry()
        self._parts.close()
        self.addresses = {}

    def listening(self) -> list[tuple[str, str]]:
        """Return what listens where, for people."""
        return [(end.what, self.addresses[end.key]) for end in ENDPOINTS if end.key in self.addresses]

    def trouble(self) -> list[str]:
        """Return what keeps the process from its work now, the worst first."""
        return self._health.told()[1]

    def system(self) -> System:
        """Return what the process says of itself now."""
        word, wrong = self._health.told()
        return system_of(self._facts(), word, wrong, self._metrics.registry)

    def _start(self) -> None:
        # Whoever starts it twice is told of the first one, rather than of a port that is taken.
        check_unused(self._settings.store_dsn, self._settings.data_dir)
        listeners = self._bind_ports()
        grpc = self._bind_grpc()
        self._loop.start()
        self._parts.callback(self._loop.stop)
        self._parts.callback(self.control.stop)
        self._serve(HealthPage(self._health), listeners.get(HEALTH))
        self._serve(MetricsPage(self._metrics), listeners.get(METRICS))
        self._start_part(ClockWatch(self._metrics))

        store = self._open_store()
        self._start_control(store, listeners.get(SAMPLING_HTTP))
        keeper = FactsKeeper(store)
        self._start_part(keeper)
        if self._make_web and UI in listeners and store.embedded:  # into a server's store others insert, too
            self._places = RecentPlaces()
            self._start_part(Rememberer(store, self._places))
        intake = self._open_intake(store, keeper)
        warm(self._tell)
        if self._make_analyzer:
            turns = self._start_turns(store)
            turn: Share = turns or ALWAYS
            owner = turns.id if turns else ""
            if turns:  # before the analyzer: what that announces when it stops is still made
                self._minutes = MinuteWriter(store, self._settings, turn=turn)
                self._start_part(self._minutes)
            self._start_analyzer(self._make_analyzer(store, self._settings, self._book, turn, owner), intake, turn)
            if self._settings.follow:
                self._follower = Follower(store, intake, self._settings, turn=turn)
                self._start_part(self._follower)
                watch_follower(self._metrics, self._follower.progress)
            self._start_judge(store, turn)
            self._start_retainer(store, turn)
        if self._make_web and (listener := listeners.get(UI)):
            pages = self._precedence.before(self._make_web(Reader(store, self._places)))
            self._start_web(self._login.before(pages), listener)
        self._start_receivers(intake, listeners, grpc)
        self._health.state = State.READY
        log.info("ready", extra={"addresses": self.addresses})

    def _bind_ports(self) -> dict[Endpoint, socket.socket]:
        """Listen on every port that is not off; from here on its address is known."""
        listeners = {}
        for endpoint in ENDPOINTS:
            port: int | None = getattr(self._settings, endpoint.setting)
            if port is None or (endpoint is UI and self._make_web is None):
                continue
            if endpoint in (SAMPLING_GRPC, SAMPLING_GRPC_LEGACY):
                self._note_address(endpoint, self.control.bind_grpc(endpoint, self._settings.host, port))
                continue
            if endpoint is OTLP_GRPC:
                continue
            listener = bind(endpoint, self._settings.host, port)
            self._parts.callback(listener.close)
            self._note_address(endpoint, port_of(listener))
            listeners[endpoint] = listener
        return listeners

    def _bind_grpc(self) -> GrpcReceiver[EncodedBatch] | None:
        port = self._settings.otlp_grpc_port
        if port is None:
            return None
        metrics = self._metrics.receiver(OTLP_GRPC.key)
        receiver: GrpcReceiver[EncodedBatch] = GrpcReceiver(
            OTLP_GRPC,
            self._settings.host,
            port,
            self._limits,
            self._inflight,
            metrics,
            self._ingest_tokens,
            self._tls,
            self._senders,
        )
        self._parts.callback(receiver.stop, 0)  # lets go of the port when the start fails
        self._note_address(OTLP_GRPC, receiver.port)
        return receiver

    def _note_address(self, endpoint: Endpoint, port: int) -> None:
        is_secure = self._tls is not None and endpoint in OVER_TLS
        scheme = endpoint.scheme.replace("http://", "https://") if is_secure else endpoint.scheme
        self.addresses[endpoint.key] = scheme + address(reachable(self._settings.host), port)

    def _open_store(self) -> Store:
        settings = self._settings
        store = open_store(settings.store_dsn, settings.data_dir, retention_of(settings))
        self._parts.callback(store.close)
        self.store_shown = store.address.shown
        return store

    def _open_intake(self, store: Store, keeper: FactsKeeper) -> Intake:
        settings = self._settings
        committer = Committer(
            store,
            linger_ms=settings.commit_linger_ms,
            max_rows=settings.commit_rows,
            max_pending_bytes=self._limits.max_inflight_bytes,
            fresh=self._fresh if self._make_analyzer else None,
            places=self._places,
            give_way=self._precedence.give_way,
        )
        self._parts.callback(committer.close)
        max_block_bytes = BLOCK_PER_BODY * self._limits.max_body_bytes
        intake = Intake(
            committer.submit,
            max_block_bytes,
            committed=self._metrics.committed,
            noted=keeper.note,
            redact=self._redact(store.data_dir),
        )
        watch_commits(self._metrics, committer, self._inflight)
        self._committer, self._intake = committer, intake
        return intake

    def _redact(self, data_dir: Path) -> Callable[[bytes], bytes]:
        if not self._rules:
            return lambda body: body
        return Redaction(self._rules, self._settings.redact_key.encode() or own_secret(data_dir)).apply

    def _start_turns(self, store: Store) -> Turns | None:
        turns = open_turns(store)
        if turns is not None:
            self._start_part(turns)
        return turns

    def _start_analyzer(self, analyzer: Analyzer, intake: Intake, share: Share) -> None:
        analyzer.told = self.control.told
        analyzer.read_first(self._fresh)
        analyzer.give_way_to(self._precedence)
        self._start_part(analyzer)
        watch_analyzer(self._metrics, analyzer.progress, intake, share)
        self._analyzer = analyzer

    def _start_control(self, store: Store, listener: socket.socket | None) -> None:
        app = self.control.start(store, lambda: self._judge.journeys if self._judge else ())
        self._serve(app, listener, over_tls=True)
        self._parts.callback(self.control.end_streams)  # before the server, which waits for them

    def _start_judge(self, store: Store, turn: Turn) -> None:
        assert self._analyzer is not None
        settings = self._settings
        webhook = None
        if settings.webhook_url:
            webhook = Webhook(settings.webhook_url, settings.webhook_format == "slack", self._pages_address)
            self._start_part(webhook)
        notify = webhook.tell if webhook else lambda changed: None
        judge = Judge(store, settings, self._book, self._analyzer.inventor, notify, catalog=self._catalog, turn=turn)
        self._start_part(judge)
        watch_judge(self._metrics, judge.progress, webhook.delivery if webhook else None)
        self._metrics.add(ServiceGraphMetrics(self._analyzer.service_graph))
        self._metrics.add(EdgeRequirementMetrics(lambda: judge.journeys))
        self._judge = judge

    def _start_retainer(self, store: Store, turn: Turn) -> None:
        self._retainer = Retainer(store, self._settings, turn=turn, boosts=self.control.lives)
        self._start_part(self._retainer)
        watch_retention(self._metrics, self._retainer.progress)

    def _pages_address(self) -> str:
        return (self._settings.public_url or self.addresses.get(UI.key, "")).rstrip("/")

    def _start_part(self, part: _Part) -> None:
        part.start()
        self._parts.callback(part.stop)

    def _start_receivers(
        self, intake: Intake, listeners: dict[Endpoint, socket.socket], grpc: GrpcReceiver[EncodedBatch] | None
    ) -> None:
        # Two at least: one may be busy for long with a large JSON body.
        workers = GivingWay(self._precedence, max(2, os.cpu_count() or 2), "cpdd-decode")
        self._parts.callback(workers.shutdown)
        for endpoint, dialect in ((OTLP_HTTP, OtlpDialect()), (ZIPKIN, ZipkinDialect())):
            metrics = self._metrics.receiver(endpoint.key)
            receiver = HttpReceiver(
                dialect, intake, self._limits, self._inflight, workers, metrics, self._ingest_tokens, self._senders
            )
            self._serve(receiver, listeners.get(endpoint), over_tls=True)
        if grpc:
            grpc.start(intake)
            self._parts.callback(grpc.stop, DRAIN_S)

    def _start_web(self, app: WsgiApplication, listener: socket.socket) -> None:
        """Pages run on waitress, which knows no TLS; where there is a certificate, on the loop's server."""
        if self._tls is None:
            self._start_part(WebServer(app, listener))
        else:
            self._serve(as_asgi(app), listener, over_tls=True)

    def _serve(self, app: Application, listener: socket.socket | None, over_tls: bool = False) -> None:
        if listener is not None:
            config = uvicorn_config(app, self._limits, DRAIN_S, self._tls if over_tls else None)
            server = self._loop.serve(config, listener)
            self._parts.callback(server.stop)

    def _faults(self) -> list[str]:
        if self._health.state is not State.READY:
            return []
        parts = (
            *(("storing", self._committer), ("analysis", self._analyzer), ("judging", self._judge)),
            *(("retention", self._retainer), ("making minutes", self._minutes), ("following", self._follower)),
        )
        return [f"{work} has ended; restart the process" for work, part in parts if part and not part.alive]

    def _problems(self) -> list[str]:
        intake = self._intake
        if intake is None or intake.failing_since_s is None:
            return []
        failing_s = time.monotonic() - intake.failing_since_s
        if failing_s < UNHEALTHY_AFTER_S:
            return []
        return [f"nothing could be stored for {failing_s:.0f} s: {intake.store_problem}"]

    def _facts(self) -> dict[str, object]:
        return {
            "version": version("cpdd"),
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._began_s, 1),
            "addresses": self.addresses,
            "store": self.store_shown,
            "commits": asdict(self._committer.stats()) if self._committer else None,
            "analysis": asdict(self._analyzer.progress) if self._analyzer else None,
            "judging": asdict(self._judge.progress) if self._judge else None,
            "retention": asdict(self._retainer.progress) if self._retainer else None,
        }


def _login(settings: Settings) -> Login:
    tokens = Tokens("read_tokens", settings.read_tokens)
    proxies = Proxies(settings.trusted_user_header, networks(settings.trusted_proxies))
    return Login(tokens, time.time, proxies, settings.public_url)


def _limits(settings: Settings) -> Limits:
    """Half of the bytes in flight for bodies, half for what waits to be stored."""
    half = settings.max_inflight_bytes // 2
    if half < settings.max_body_bytes:
        raise LimitsContradict(settings.max_body_bytes, settings.max_inflight_bytes)
    return Limits(max_body_bytes=settings.max_body_bytes, max_inflight_bytes=half)
