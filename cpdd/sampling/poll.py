"""Policies that are asked for again and again: Jaeger's remote sampling over HTTP or gRPC, and a file.

Called by `configure`; each tells the keeper.
"""

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cpdd.sampling.document import MAX_BYTES
from cpdd.sampling.http import PROBLEMS, Server, Unusable, body_of, words
from cpdd.sampling.jaeger import (
    GRPC_METHOD,
    Strategy,
    as_document,
    parameters_bytes,
    read_strategy,
    read_strategy_bytes,
)
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.workers import Worker

GRPC_PORTS = (14250, 5779)
"""Where Jaeger and cpdd serve gRPC; an address with another port is asked over HTTP."""
FILE_EVERY_S = 0.5

Ask = Callable[[], Strategy]


class JaegerProvider:
    """Asks a Jaeger, an OpenTelemetry Collector or a cpdd every `interval_s`."""

    def __init__(self, address: str, keeper: Keeper, interval_s: float = 60.0) -> None:
        """Raises ValueError for an address that is none, ModuleNotFoundError for gRPC where grpcio is missing."""
        self._address = address
        self._keeper = keeper
        self._interval_s = interval_s
        self._connect: Callable[[], Ask]
        if urlsplit(address).port in GRPC_PORTS:
            grpc: Any = importlib.import_module("grpc")
            self._connect = lambda: _ask_grpc(grpc, address, keeper.sampler.service)
        else:
            Server(address, 10.0)
            self._connect = lambda: _ask_http(address, keeper.sampler.service)
        self._worker = Worker("cpdd-sampling", self._run)

    def start(self) -> None:
        self._worker.start()

    def stop(self) -> None:
        self._worker.stop()

    def _run(self, stopped: threading.Event) -> None:
        ask, version = self._connect(), 0
        while not stopped.is_set():
            try:
                strategy = ask()
            except (*PROBLEMS, Unusable, KeyError, TypeError, AttributeError) as error:
                self._keeper.lose(words(error))
            else:
                version += 1
                self._keeper.sampler.limit(strategy.traces_per_second)
                self._keeper.take_document(as_document(strategy, version), self._address)
            stopped.wait(self._interval_s)


def _ask_http(address: str, service: str) -> Ask:
    """An address with a path is asked there (`…:14268/api/sampling`), one without at /sampling."""
    server = Server(address, 10.0)
    path = "" if server.path else "/sampling"

    def ask() -> Strategy:
        return read_strategy(body_of(server.get(path, {"service": service}), address))

    return ask


def _ask_grpc(grpc: Any, address: str, service: str) -> Ask:
    url = urlsplit(address)
    where = f"{url.hostname}:{url.port}"
    secure = url.scheme == "https"
    channel = grpc.secure_channel(where, grpc.ssl_channel_credentials()) if secure else grpc.insecure_channel(where)
    call = channel.unary_unary(GRPC_METHOD)

    def ask() -> Strategy:
        try:
            return read_strategy_bytes(call(parameters_bytes(service), timeout=10.0))
        except grpc.RpcError as error:
            raise ConnectionError(f"{address}: {error.details()}") from None

    return ask


class FileProvider:
    """Reads a policy document, and again whenever the file has changed."""

    def __init__(self, path: Path, keeper: Keeper, interval_s: float = FILE_EVERY_S) -> None:
        self._path = path
        self._keeper = keeper
        self._interval_s = interval_s
        self._seen: tuple[int, int, int] | None = None
        self._worker = Worker("cpdd-sampling", self._run)

    def start(self) -> None:
        """Take what is there now, then watch."""
        self.look()
        self._worker.start()

    def stop(self) -> None:
        self._worker.stop()

    def look(self) -> None:
        """Take the file's policies if it has changed since the last look."""
        try:
            status = self._path.stat()
            now = status.st_mtime_ns, status.st_size, status.st_ino
            if now == self._seen:
                self._keeper.stay()
                return
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            self._seen = None
            self._keeper.lose(words(error))
            return
        self._seen = now
        self._keeper.take(text, str(self._path))

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._interval_s):
            self.look()
