"""A sampling port on loopback, its log in memory: what `cpdd serve` runs, without a store."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from collector.control.api import BODY_S, ControlApp
from collector.control.guard import Guard
from collector.control.ledger import Log
from collector.control.proposals import Proposer
from collector.control.service import SamplingService
from collector.core.findings.model import JourneySeen
from collector.core.sampling.costs import Cost
from collector.core.sampling.roots import Root
from collector.listen import Endpoint, bind, port_of
from collector.loop import LoopThread
from collector.receive.limits import Limits
from collector.receive.protocol import uvicorn_config
from collector.store.sampling_log import RESERVED, Change
from collector.tokens import Tokens


class MemoryLog:
    """Keeps changes; outlives the servers that write it, of which several may at once."""

    def __init__(self) -> None:
        self.rows: list[tuple[Change, dict[str, Any]]] = []
        self.writers: list[str] = []
        """Of each row."""

    def written(self) -> Mapping[str, int]:
        return Counter(self.writers)

    def states(self, writers: Collection[str]) -> Sequence[Mapping[str, Any]]:
        last = dict(zip(self.writers, self.rows, strict=True))
        return [json.loads(json.dumps(last[writer][1])) for writer in writers]

    def append(self, writer: str, change: Change, state: Mapping[str, Any]) -> None:
        self.rows.append((change, dict(state)))
        self.writers.append(writer)

    def changes(self, limit: int = 100) -> Sequence[Change]:
        return [change for change, _ in reversed(self.rows) if change.action != RESERVED][:limit]


class SlowLog(MemoryLog):
    """A log that says when something is to be written, and waits until it may be, or is to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may_go_on = threading.Event(), threading.Event()
        self.fails = False

    def append(self, writer: str, change: Change, state: Mapping[str, Any]) -> None:
        self.asked.set()
        assert self.may_go_on.wait(60)
        if self.fails:
            raise OSError("no space left on device")
        super().append(writer, change, state)


class KnownRoots:
    """Root operations said by hand, by (service, operation, caller)."""

    def __init__(self, known: dict[tuple[str, str, str], list[Root]] | None = None) -> None:
        self.known = known or {}

    def find(self, service: str, operation: str = "", below: str = "") -> list[Root]:
        return self.known.get((service, operation, below), [])

    def operations(self, service: str) -> list[str]:
        return sorted({operation for of, operation, _ in self.known if of == service and operation})


class ControlServer:
    """A running port."""

    def __init__(self, service: SamplingService, proposer: Proposer, loop: LoopThread, port: int) -> None:
        self.service = service
        self.proposer = proposer
        self.loop = loop
        self.port = port

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, value: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request; returns the status and the JSON value of the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        said = {"Content-Type": "application/json"} if value is not None else {}
        said |= {name.replace("_", "-"): text for name, text in headers.items()}
        body = value if isinstance(value, bytes) else None if value is None else json.dumps(value).encode()
        connection.request(method, path, body, said)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else None

    def boost(self, **asked: Any) -> Any:
        status, answer = self.ask("POST", "/v1/boosts", asked)
        assert status == 200, answer
        return answer


@contextmanager
def control_server(
    log: Log | None = None,
    roots: KnownRoots | None = None,
    token: str = "",
    ingest_tokens: str = "",
    port: int = 0,
    seen: Sequence[JourneySeen] = (),
    costs: Mapping[Root, Cost] | None = None,
    offered: Mapping[Root, float] | None = None,
    ceiling: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    body_s: float = BODY_S,
    is_shared: bool = False,
) -> Iterator[ControlServer]:
    """Serve while the context lasts; `seen` and `costs` are what the judge and the store would say."""
    loop, workers = LoopThread(), ThreadPoolExecutor(1)
    loop.start()

    async def begin() -> SamplingService:
        service = SamplingService(
            log or MemoryLog(),
            roots or KnownRoots(),
            workers,
            clock=clock,
            wall_clock=wall_clock,
            read_costs=lambda: costs or {},
            read_offered=lambda: offered or {},
            is_shared=is_shared,
        )
        await service.begin()
        return service

    service = loop.run(begin())
    listener: socket.socket = bind(Endpoint("sampling_http", "sampling"), "127.0.0.1", port)
    bound = port_of(listener)
    proposer = Proposer(service, lambda: seen, ceiling)
    guard = Guard("127.0.0.1", Tokens("control_token", token), Tokens("ingest_tokens", ingest_tokens))
    app = ControlApp(service, guard, proposer, body_s)
    running = loop.serve(uvicorn_config(app, Limits(), 1), listener)
    try:
        yield ControlServer(service, proposer, loop, bound)
    finally:
        loop.run(service.end())
        running.stop()
        loop.stop()
        workers.shutdown()
