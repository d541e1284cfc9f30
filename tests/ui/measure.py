"""How long pages take: `python -m tests.ui.measure`. Prints medians; not a test.

The graph is ../shared/data/formats/jaeger-dependencies.large.json.gz (1,238 services, 4,271 kinds of calls); the
trace has 10,000 spans of which each had the path once.
"""

import gzip
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from collector.core.detail import DetailedSpans, SpanDetail
from tests.core.drawing import read_trace
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import shop_traces
from ui.draw.graph import GraphBox, GraphWire, dependency_graph
from ui.draw.svg import render

LARGE = Path(__file__).parents[2] / "../shared/data/formats/jaeger-dependencies.large.json.gz"
RUNS = 7


def measure(what: str, work: Callable[[], int]) -> None:
    work()
    wall, cpu = [], []
    for _ in range(RUNS):
        begin, spent = time.perf_counter(), time.process_time()
        size = work()
        wall.append(1000 * (time.perf_counter() - begin))
        cpu.append(1000 * (time.process_time() - spent))
    spread = f"({min(wall):.0f} to {max(wall):.0f})"
    middle, busy = statistics.median(wall), statistics.median(cpu)
    print(f"{what:52} {middle:7.0f} ms {spread:16} {busy:7.0f} ms of one core  {size / 1000:8.0f} kB")


def draw_large() -> int:
    calls = json.loads(gzip.decompress(LARGE.read_bytes()))
    names = sorted({call["parent"] for call in calls} | {call["child"] for call in calls})
    boxes = [GraphBox(name, name, "service", 0.0, name) for name in names]
    wires = [GraphWire(c["parent"], c["child"], -1, -1, 0.0, "undetermined", "") for c in calls]
    return len(render(dependency_graph(boxes, wires, "all services")))


def main() -> None:
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {RUNS} runs")
    if LARGE.exists():
        measure("graph of 1,238 services: laid out, drawn, rendered", draw_large)
    calls = "; ".join(f"svc{i % 7}/op{i} {i}-{i + 1} in root" for i in range(9_999))
    batch = read_trace(f"root 0-9999; {calls}", "us")
    large = client_of(MemoryReader([DetailedSpans(batch, lambda row: SpanDetail())]))
    address = "/traces/0af7651916cd43dd0000000000000001"
    for title, query in (
        ("its path, page 1 of 20", ""),
        ("all spans, page 7", "?show=all&page=7"),
        ("a span", "?span=1f"),
    ):
        measure(f"trace of 10,000 spans, {title}", lambda query=query: len(large.get(address + query).data))
    shop = client_of(MemoryReader(shop_traces(240)))
    for title, address in (("journeys", "/"), ("a journey", "/journeys/check%20out"), ("search", "/search")):
        measure(f"{title}, 240 traces in memory", lambda address=address: len(shop.get(address).data))


if __name__ == "__main__":
    main()
