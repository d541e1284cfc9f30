"""How long does a page take, with so many spans stored, and how much does it transfer?

    python -m benchmarks.ui                                            a million spans, in a temporary folder
    python -m benchmarks.ui --folder /tmp/ten --fill 10000000          fill a folder up to ten million; done once
    python -m benchmarks.ui --folder /tmp/ten                          measure, idle
    python -m benchmarks.ui --folder /tmp/ten --ingest 100000          measure while 100,000 spans/s come in
    python -m benchmarks.ui ... --pause 0.5                            half a second between pages, as people leave more

A real `cpdd serve` in a process of its own, on a copy of the folder, which stays as it is; `--fill` with a larger
number adds to it. Traces are those of `tests.workload` (`--preset mixed` unless said), evenly over `--hours`, and
analyzed. Each page and its `.json` is asked for over HTTP, one request at a time, as a browser does: gzip, no ETag,
another trace, journey or hour each time, so that nothing is answered from memory. Times are on the wire, from the
request to the last byte, and of the page what of it was the store (`Server-Timing`); CPU is that of the whole server
(merges, analysis and judging included) over the number of requests; *others* is how many cores other programs used.
Wanted: journey p95 300 ms, trace by id p95 50 ms beside drawing, search p95 500 ms, 500 kB for a page with its style
and scripts.
"""

import argparse
import gzip
import os
import platform
import random
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from benchmarks.stock import HOUR_NS, Stock, await_analysis, copy_of, fill, read_json
from benchmarks.traffic import ingesting
from tests.serving import ServerProcess, server_process

RANGE_NS = HOUR_NS
BUSIEST = 20
"""Journeys that are asked for: those with most traces."""
_HEAD = "    p50     p95    most"
JUDGED_S = 10.0
"""The judge looks at the store when it is opened; so long it may."""


def main() -> None:
    arguments = _arguments()
    if arguments.fill:
        _fill(arguments)
    elif arguments.folder:
        _measure(Path(arguments.folder), arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _print_stock(fill(Path(folder), 1_000_000, arguments.preset, arguments.hours))
            _measure(Path(folder), arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="", help="where the data is, or shall be")
    parser.add_argument("--fill", type=int, default=0, help="fill the folder up to so many spans, and end")
    parser.add_argument("--preset", default="mixed", help="mixed, uber, alibaba, ads")
    parser.add_argument("--hours", type=float, default=6.0, help="over how many hours the traces end")
    parser.add_argument("--asked", type=int, default=50, help="how often each page is asked for")
    parser.add_argument("--ingest", type=int, default=0, help="spans a second that come in meanwhile")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between a page and the next")
    parser.add_argument("--only", default="", help="pages with this in their name")
    return parser.parse_args()


def _fill(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder or ".")
    if not arguments.folder:
        raise SystemExit("--fill needs --folder: where shall the spans be?")
    _print_stock(fill(folder, arguments.fill, arguments.preset, arguments.hours))


def _print_stock(stock: Stock) -> None:
    what = f"{stock.spans:,} spans in {stock.traces:,} traces of preset {stock.preset} over {stock.hours:.1f} h"
    print(f"stock     {what}; filled in {stock.seconds:.0f} s, analysis included", flush=True)


def _measure(folder: Path, arguments: argparse.Namespace) -> None:
    stock = Stock.read(folder)
    if stock is None:
        raise SystemExit(f"{folder} was never filled; begin with --folder {folder} --fill 10000000")
    processor = platform.processor() or platform.machine()
    print(f"machine   {processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    print(f"stored    {stock.spans:,} spans, {stock.traces:,} traces, preset {stock.preset}, {stock.hours:.1f} h")
    with copy_of(folder) as data, server_process(data) as server:
        await_analysis(server)
        time.sleep(JUDGED_S)
        pages = Pages(server, stock, arguments.only, arguments.pause)
        with ingesting(server, arguments.ingest, stock.preset) as reached:
            pages.ask_all(arguments.asked)
        for rate in reached:
            print(f"meanwhile {rate:,.0f} spans/s came in")
        server.stop()


@dataclass(frozen=True)
class _Clock:
    """What was used until now, in seconds of CPU."""

    at_s: float
    server_s: float
    busy_s: float
    """Of the whole machine, but this process."""

    @classmethod
    def now(cls, pid: int) -> "_Clock":
        ticks = os.sysconf("SC_CLK_TCK")
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / ticks
        return cls(time.perf_counter(), (int(stat[11]) + int(stat[12])) / ticks, busy - time.process_time())


@dataclass(frozen=True)
class _Answer:
    ms: float
    store_ms: float
    body: bytes
    """As it came."""


class Pages:
    """Asks for pages, and says how long they took and what they weigh."""

    def __init__(self, server: ServerProcess, stock: Stock, only: str, pause_s: float) -> None:
        self._base = server.addresses["ui"]
        self._host = self._base.partition("://")[2]
        self._pid = server.process.pid
        self._connection = HTTPConnection(self._host, timeout=120)
        self._chance = random.Random(1)
        self._stock = stock
        self._only = only
        self._pause_s = pause_s
        self._files: dict[str, int] = {}
        self._first_path: dict[str, str] = {}
        whole = {"start": _moment(stock.begin_unix_nano), "end": _moment(stock.end_unix_nano)}
        listed = self._read("/", whole)
        rows = sorted(listed["needs_you"] + listed["others"], key=lambda row: -row["summary"]["traces"])
        self._journeys = [row["summary"]["journey"] for row in rows[:BUSIEST]]
        self._services = self._read("/search", whole)["services"]
        traces = self._read("/search", {**whole, "sort": "slowest", "limit": "500"})["traces"]
        by_size = sorted((each["trace"] for each in traces), key=lambda trace: -trace["spans"])
        self._large = [trace["trace_id"] for trace in by_size[:20]]
        groups = self._read("/findings", whole)["groups"]
        self._findings = [row["id"] for group in groups for row in group["findings"]]
        print(f"journeys  {len(rows)}; largest traces: {by_size[0]['spans']:,} to {by_size[19]['spans']:,} spans")

    def ask_all(self, times: int) -> None:
        few = max(times // 5, 1)
        print(f"{'':27} {'page':>22}  {'in the store':>22}  {'.json':>22}")
        print(f"{'':27} {_HEAD}  {_HEAD}  {_HEAD}   CPU ms   others    kB with its files")
        self._ask("journeys", times, "/", self._hour)
        self._ask("journeys, all hours", few, "/", self._whole)
        self._ask("journey", times, "/journeys/{journey}", self._hour)
        self._ask("journey, all hours", few, "/journeys/{journey}", self._whole)
        self._ask("journey, band", times, "/journeys/{journey}", lambda: {**self._hour(), "band": "p90-99"})
        self._ask("examples of a cell", few, "/examples", self._of_cell)
        self._ask("contracts", few, "/contracts", self._of_journey)
        self._ask("compare", times, "/compare", self._of_journey)
        self._ask("what if", few, "/what-if", self._of_journey)
        self._ask("findings", times, "/findings", self._hour)
        if self._findings:
            self._ask("finding escalated", few, "/findings/{finding}/escalation")
        self._ask("trace by id", times, "/traces/{id}")
        self._ask("trace of many spans", few, "/traces/{large}")
        self._ask(
            "rows of many spans", few, "/traces/{large}/rows", lambda: {"first": str(self._chance.randrange(2_000))}
        )
        self._ask("trace compared", few, "/traces/{id}/compare")
        self._ask("trace escalated", few, "/traces/{id}/escalation")
        self._ask("search, newest", times, "/search", self._hour)
        self._ask("search, service, duration", times, "/search", lambda: {**self._of_service(), "min": "20ms"})
        self._ask("search, on the path", times, "/search", lambda: {**self._of_service(), "on_path": "1"})
        self._ask("search, span name", few, "/search", self._of_operation)
        self._ask("search, attribute", few, "/search", self._of_session)
        self._ask("search, error text", few, "/search", self._of_error)
        self._ask("search, call failed", few, "/search", lambda: {**self._hour(), "call": "mandatory-failed"})
        self._ask("search, words", few, "/search", lambda: {**self._hour(), "q": f"item {self._chance.random():.6f}"})
        self._ask("services", times, "/services", self._hour)
        self._ask("service", few, "/services/{service}", self._hour)
        self._ask("sampling", few, "/sampling")
        self._ask("boost", few, "/sampling/boost", lambda: {"service": self._chance.choice(self._services)})
        self._ask("system", few, "/system")

    def _hour(self) -> dict[str, str]:
        """An hour of the stock that was never asked for, to the second."""
        latest = max(self._stock.end_unix_nano - self._stock.begin_unix_nano - RANGE_NS, 1)
        begin = self._stock.begin_unix_nano + self._chance.randrange(latest)
        return {"start": _moment(begin), "end": _moment(begin + RANGE_NS)}

    def _whole(self) -> dict[str, str]:
        begin = self._stock.begin_unix_nano - self._chance.randrange(60 * 10**9)
        return {"start": _moment(begin), "end": _moment(self._stock.end_unix_nano)}

    def _of_journey(self) -> dict[str, str]:
        return {**self._hour(), "journey": self._chance.choice(self._journeys)}

    def _of_cell(self) -> dict[str, str]:
        """Traces of one journey that have time in its first call."""
        asked = self._of_journey()
        if asked["journey"] not in self._first_path:
            page = self._read(f"/journeys/{_quoted(asked['journey'])}", self._whole())
            self._first_path[asked["journey"]] = str(page["call_paths"][0]["id"])
        return {**asked, "band": "all", "path": self._first_path[asked["journey"]]}

    def _of_service(self) -> dict[str, str]:
        return {**self._hour(), "service": self._chance.choice(self._services)}

    def _of_operation(self) -> dict[str, str]:
        return {**self._of_service(), "operation": f"compute {self._chance.randrange(6)}"}

    def _of_session(self) -> dict[str, str]:
        return {**self._hour(), "q": f"session.id={self._chance.getrandbits(64):016x}"}

    def _of_error(self) -> dict[str, str]:
        return {**self._hour(), "error": f"orders {self._chance.randrange(10**6)} timed out"}

    def _ask(self, name: str, times: int, path: str, parameters: Callable[[], dict[str, str]] = dict) -> None:
        if self._only not in name:
            return
        before = _Clock.now(self._pid)
        page = [self._timed(self._address(path, parameters())) for _ in range(times + 1)][1:]
        twin = [self._timed(self._address(_twin(path), parameters())) for _ in range(times)]
        after = _Clock.now(self._pid)
        passed = after.at_s - before.at_s
        cpu_ms = (after.server_s - before.server_s) / (2 * times + 1) * 1e3
        others = (after.busy_s - before.busy_s - (after.server_s - before.server_s)) / passed
        body = max((each.body for each in page), key=len)
        weight = len(body)
        files = set(re.findall(rb'(?:src|href)="(/static/[^"]+)"', _plain(body)))
        whole = weight + sum(self._weight_of(file.decode()) for file in files)
        print(
            f"{name:27} {_spread([each.ms for each in page])}  {_spread([each.store_ms for each in page])}  "
            f"{_spread([each.ms for each in twin])} {cpu_ms:8.0f} {others:8.1f} {whole / 1e3:8.0f}"
            f"{'  TOO MUCH' * (whole > 500_000)}",
            flush=True,
        )

    def _address(self, path: str, parameters: dict[str, str]) -> str:
        filled = path.format(
            journey=_quoted(self._chance.choice(self._journeys)),
            id=self._chance.choice(self._stock.ids),
            large=self._chance.choice(self._large),
            service=_quoted(self._chance.choice(self._services)),
            finding=self._chance.choice(self._findings or [""]),
        )
        return f"{filled}?{urlencode(parameters)}" if parameters else filled

    def _timed(self, address: str) -> _Answer:
        time.sleep(self._pause_s)
        began = time.perf_counter()
        self._connection.request("GET", address, headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"{address} answered {answer.status}")
        store = re.search(r"store;dur=([\d.]+)", answer.headers["Server-Timing"] or "")
        return _Answer(took, float(store[1]) if store else 0.0, body)

    def _read(self, path: str, parameters: dict[str, str]) -> Any:
        return read_json(self._base, f"{_twin(path)}?{urlencode(parameters)}")

    def _weight_of(self, file: str) -> int:
        if file not in self._files:
            self._files[file] = len(self._timed(file).body)
        return self._files[file]


def _twin(path: str) -> str:
    return "/.json" if path == "/" else f"{path}.json"


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _moment(unix_nano: int) -> str:
    return datetime.fromtimestamp(unix_nano // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _spread(took: list[float]) -> str:
    ordered = sorted(took)
    p50, p95 = ordered[len(ordered) // 2], ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"{p50:7.0f} {p95:7.0f} {ordered[-1]:7.0f}"


if __name__ == "__main__":
    main()
