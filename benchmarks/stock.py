"""Folders with many spans for benchmarks: filled once, added to, and measured as often as one likes on a copy.

A folder holds the data of a `cpdd serve` and, beside it, what it was filled with. Spans of `tests.workload` end evenly
over the hours before the first filling; who adds more puts them between those, so that the same hours get denser.
"""

import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.serving import ServerProcess, server_process
from tests.workload import Workload, generator

CONNECTIONS = 6
QUIET_S = 3_600.0
"""So long the analysis may take to catch up."""
KNOWN_IDS = 20_000
LARGE_SPANS = 5_000
HOUR_NS = 3_600 * 10**9
_LINKED_FROM_BYTES = 100_000
"""Files of this size are parts of tables, which nobody changes: a copy shares them."""
_NOTE = "stock.json"


@dataclass(frozen=True)
class Stock:
    """What a folder was filled with."""

    preset: str
    begin_unix_nano: int
    end_unix_nano: int
    spans: int = 0
    traces: int = 0
    seconds: float = 0.0
    ids: list[str] = field(default_factory=list)
    """Some traces, whatever their size."""

    @property
    def hours(self) -> float:
        return (self.end_unix_nano - self.begin_unix_nano) / HOUR_NS

    @classmethod
    def read(cls, folder: Path) -> "Stock | None":
        """Return what a folder holds, None for one that nobody filled."""
        note = folder / _NOTE
        return cls(**json.loads(note.read_text())) if note.exists() else None


def fill(folder: Path, spans: int, preset: str, hours: float) -> Stock:
    """Fill a folder up to so many spans, analysis included; one that has them is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time_ns()
    stock = Stock.read(folder) or Stock(preset, now - int(hours * HOUR_NS), now)
    if stock.spans >= spans:
        return stock
    began = time.monotonic()
    with server_process(folder / "data") as server:
        more = _Filling(stock, spans - stock.spans).send(server)
        await_analysis(server)
        server.process.terminate()
        if code := server.process.wait(QUIET_S):
            raise RuntimeError(f"cpdd serve ended with {code}")
    stock = replace(more, seconds=stock.seconds + time.monotonic() - began)
    (folder / _NOTE).write_text(json.dumps(asdict(stock)))
    return stock


@contextmanager
def copy_of(folder: Path) -> Iterator[Path]:
    """Lend a copy of a folder's data that costs next to nothing, so that the folder stays as it was."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        copied = Path(place) / "data"
        shutil.copytree(folder / "data", copied, symlinks=True, copy_function=_copy)
        yield copied


def _copy(source: str, target: str) -> None:
    if os.path.getsize(source) >= _LINKED_FROM_BYTES:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


class Sender:
    """Sends requests over one connection; raises for an answer other than 200."""

    def __init__(self, server: ServerProcess) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.otlp_http_port, timeout=300)

    def send(self, body: bytes) -> None:
        while True:
            self._connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = self._connection.getresponse()
            answer.read()
            if answer.status == 200:
                return
            if answer.status not in (429, 503):
                raise RuntimeError(f"the collector answered {answer.status}")
            time.sleep(float(answer.headers.get("Retry-After", 1)))


class _Filling:
    """Sends the spans of a stock, several connections at once."""

    def __init__(self, stock: Stock, spans: int) -> None:
        self._stock = stock
        self._wanted = spans
        self._workload = Workload(stock.preset)
        self._lock = threading.Lock()
        self._spans = self._traces = 0
        self._ids = list(stock.ids)
        self._chance = random.Random(stock.spans)
        self._errors: list[Exception] = []

    def send(self, server: ServerProcess) -> Stock:
        workers = [threading.Thread(target=self._work, args=(server,)) for _ in range(CONNECTIONS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if self._errors:
            raise self._errors[0]
        stock = self._stock
        return replace(stock, spans=stock.spans + self._spans, traces=stock.traces + self._traces, ids=self._ids)

    def _work(self, server: ServerProcess) -> None:
        try:
            sender, random_ = Sender(server), generator()
            while (part := self._part()) < 1:
                at = self._stock.begin_unix_nano + int(part * (self._stock.end_unix_nano - self._stock.begin_unix_nano))
                body, spans, ids = self._workload.request(at, random_)
                self._note(spans, ids)
                sender.send(body)
        except Exception as error:
            self._errors.append(error)

    def _part(self) -> float:
        with self._lock:
            return 2.0 if self._errors else self._spans / self._wanted

    def _note(self, spans: int, ids: list[str]) -> None:
        with self._lock:
            self._spans += spans
            for trace_id in ids:
                self._traces += 1
                seen = self._stock.traces + self._traces
                if len(self._ids) < KNOWN_IDS:
                    self._ids.append(trace_id)
                elif (place := self._chance.randrange(seen)) < KNOWN_IDS:
                    self._ids[place] = trace_id


def await_analysis(server: ServerProcess) -> None:
    """Wait until no trace is open and nothing waits to be read."""
    until = time.monotonic() + QUIET_S
    while time.monotonic() < until:
        values = read_json(server.addresses["ui"], "/system.json")["values"]
        if not values.get("analyzer_open_traces") and values.get("analyzer_lag_seconds", 0.0) < 1:
            return
        time.sleep(1)
    raise RuntimeError(f"the analysis is not done after {QUIET_S:.0f} s")


def read_json(base: str, path: str) -> Any:
    connection = HTTPConnection(base.partition("://")[2], timeout=120)
    connection.request("GET", path)
    value = json.loads(connection.getresponse().read())
    connection.close()
    return value
