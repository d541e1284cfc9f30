"""Does cpdd find out what is true of the shop? `python -m tests.examples.check_verdicts`.

The real shop and a real collector; each fault of the table in examples/shop/README.md is switched on, and its edges
have two minutes to get the right verdict. First comes an incident that fails two calls at once: the innocent one must
not look mandatory. The record is docs/records/shop-verdicts.md.
"""

import argparse
import itertools
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from collector.core.graph import GraphEdge
from collector.core.graph_levels import service_graph
from collector.core.requirement import MANDATORY, OPTIONAL, UNDETERMINED
from collector.store.graphs import graph_of
from collector.store.reader import Reader
from collector.store.values import Window
from examples.shop.faults import switch
from examples.shop.load import request, visit
from examples.shop.run import Shop
from tests.serving import server_here

README = Path(__file__).parents[2] / "examples/shop/README.md"
WITHIN_S = 120.0
VISITORS = 6
NO_FAULT: dict[str, object] = {"slow_ms": 0, "fail": 0, "down": 0}
SHARES = {"bank": 0.9, "mailer": 1.0}
"""How often a service fails while it is looked at; half of the time unless retries hide that."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of the truth."""

    journey: str
    caller: str
    callee: str
    declared: str
    truth: str

    def __str__(self) -> str:
        return f"{self.journey}: {self.caller} -> {self.callee}"


def table() -> list[Row]:
    """The README's table."""
    text = README.read_text().partition("## What is true of each call")[2].partition("## Faults")[0]
    return [Row(*found) for found in re.findall(r"^\| ([a-z ]+) \| (\w+) -> (\w+) \| (\w*) ?\| (\w+) \|", text, re.M)]


class Bench:
    """The shop, visitors, and what the collector says about it."""

    def __init__(self, shop: Shop, reader: Reader) -> None:
        self._shop = shop
        self._reader = reader
        self._numbers = itertools.count(1)
        self._began_ns = time.time_ns()

    @contextmanager
    def faults(self, **shares: float) -> Iterator[None]:
        """Make services fail so often."""
        for service, share in shares.items():
            switch(self._shop.ports[service].control, {"fail": share})
        try:
            yield
        finally:
            for service in shares:
                switch(self._shop.ports[service].control, NO_FAULT)

    @contextmanager
    def visitors(self, journeys: list[str]) -> Iterator[None]:
        """Let visitors make these journeys, one after the other each."""
        leaving = threading.Event()

        def visits(number: int) -> None:
            dice = random.Random(number)
            while not leaving.is_set():
                for method, path in visit(dice.choice(journeys), f"check-{next(self._numbers)}", dice).requests:
                    request(self._shop.url.removeprefix("http://"), method, path)

        with ThreadPoolExecutor(VISITORS) as pool:
            futures = [pool.submit(visits, number) for number in range(VISITORS)]
            try:
                yield
            finally:
                leaving.set()
        for future in futures:
            future.result()

    def wait_for(self, said: Callable[[], bool], within_s: float = WITHIN_S) -> float | None:
        """Return after how many seconds it is said, None if it is not in time."""
        began = time.monotonic()
        while not said():
            if time.monotonic() - began > within_s:
                return None
            time.sleep(1.0)
        return time.monotonic() - began

    def edge(self, row: Row) -> GraphEdge | None:
        """Return what is known of the calls between two services in a journey."""
        detail = self._reader.journey(row.journey, Window(self._began_ns, time.time_ns()))
        if detail is None:
            return None
        ends = _as_drawn(row.caller), _as_drawn(row.callee)
        edges = service_graph(graph_of(detail)).edges
        return next((edge for edge in edges if (edge.caller.service, edge.callee.service) == ends), None)

    def verdict(self, row: Row) -> str:
        edge = self.edge(row)
        return edge.verdict.verdict if edge else UNDETERMINED


def _as_drawn(service: str) -> str:
    """The broker sends no spans; its queue is known by the name that its clients give it."""
    return "shop-broker" if service == "broker" else service


def check(folder: Path) -> int:
    """Print what was found; the exit code says whether all of it is right."""
    rows = table()
    with (
        server_here(folder / "collector", trace_quiet_s=1.0) as server,
        Shop(server.addresses["otlp_http"], folder / "shop", {"OTEL_BSP_SCHEDULE_DELAY": "200"}) as shop,
    ):
        bench = Bench(shop, server.reader)
        wrong = [*_check_incident(bench, rows), *_check_faults(bench, rows), *_check_finer_points(bench, rows)]
    print(f"{len(wrong)} of {len(rows)} calls and 4 finer points wrong", *wrong, sep="\n  ")
    return 1 if wrong else 0


def _check_incident(bench: Bench, rows: list[Row]) -> Iterator[str]:
    """Pricing, which a search needs, and stock, which it does not, fail in the same half of the searches."""
    innocent = next(row for row in rows if (row.journey, row.callee) == ("search", "stock"))
    with bench.faults(pricing=0.7, stock=0.7), bench.visitors(["search"]):
        bench.wait_for(lambda: bool((edge := bench.edge(innocent)) and edge.confounded >= 30))
    edge = bench.edge(innocent)
    verdict = edge.verdict.verdict if edge else UNDETERMINED
    print(f"incident in pricing and stock at once: {innocent}: {_words(edge)}", flush=True)
    if edge is None or edge.confounded < 30 or verdict == MANDATORY:
        yield f"incident elsewhere: {innocent} is {verdict}"


def _check_faults(bench: Bench, rows: list[Row]) -> Iterator[str]:
    for service in dict.fromkeys(row.callee for row in rows):
        here = [row for row in rows if row.callee == service]
        share = SHARES.get(service, 0.5)
        with bench.faults(**{service: share}), bench.visitors([row.journey for row in here]):
            took_s = bench.wait_for(lambda here=here: all(bench.verdict(row) == row.truth for row in here))  # type: ignore[misc]
        words = f"right after {took_s:.0f} s" if took_s is not None else f"not right after {WITHIN_S:.0f} s"
        print(f"{service} fails {100 * share:.0f} % of the time: {words}", flush=True)
        for row in here:
            edge = bench.edge(row)
            print(f"  {row}: {_words(edge)}", flush=True)
            if edge is None or edge.verdict.verdict != row.truth:
                yield f"{row} is {edge.verdict.verdict if edge else 'not seen'}, in truth {row.truth}"
            elif (edge.declared or "") != row.declared:
                yield f"{row} is declared {edge.declared}, in truth {row.declared or 'nothing'}"


def _check_finer_points(bench: Bench, rows: list[Row]) -> Iterator[str]:
    def of(journey: str, callee: str) -> GraphEdge | None:
        return bench.edge(next(row for row in rows if (row.journey, row.callee) == (journey, callee)))

    blocking, fallback, retried = (
        of("view cart", "recommendations"),
        of("browse", "recommendations"),
        of("check out", "bank"),
    )
    if not (blocking and blocking.blocking and blocking.verdict.verdict == OPTIONAL and blocking.critical_share > 0):
        yield "view cart -> recommendations: not seen to be optional but blocking"
    if not (fallback and any(node.service == "catalog" for node, _ in fallback.fallbacks)):
        yield "browse -> recommendations: the fallback is not named"
    if not (retried and retried.attempts > retried.calls):
        yield "payment -> bank: the attempts are not one call"
    waits = of("check out", "mailer")
    if not (waits and waits.wait_p50_ns is not None):
        yield "broker -> mailer: nobody knows how long orders wait"


def _words(edge: GraphEdge | None) -> str:
    if edge is None:
        return "not seen"
    facts = [
        edge.verdict.verdict,
        f"declared {edge.declared}" if edge.declared else "",
        f"{edge.calls} calls",
        f"{edge.attempts} attempts" if edge.attempts > edge.calls else "",
        f"{edge.failed} failed",
        f"{edge.confounded} confounded" if edge.confounded else "",
        "waited for" if edge.blocking else "never waited for",
        *(f"then {node.id} {times} times" for node, times in edge.fallbacks),
        f"messages wait {edge.wait_p50_ns / 1e6:.0f} ms" if edge.wait_p50_ns is not None else "",
    ]
    return ", ".join(fact for fact in facts if fact)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="folder for data and logs; a temporary one when empty")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.data or None) as folder:
        return check(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
