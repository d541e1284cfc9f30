"""How long until a large trace is on the screen, and does scrolling through it stay smooth?

    python -m benchmarks.waterfall                          10,000 and 100,000 spans
    python -m benchmarks.waterfall --spans 10000 --opened 20

A real `cpdd serve` in a process of its own, a trace of `tests.large_trace` for each size sent over OTLP/JSON, and
headless Chromium. Opening is measured from the navigation to the frame in which the rows are painted, in a fresh tab
with an empty cache; the server's part is the time to the last byte of the page, and its CPU for it. Scrolling goes from
the first row to the last in 40 steps; *longest task* is the longest stretch in which the browser could not answer.
Wanted: 10,000 spans in a second, 100,000 without freezing, and never more rows in the page than about a screen needs.
"""

import argparse
import os
import statistics
import tempfile
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.stock import await_analysis
from tests.large_trace import TRACE_ID, lines
from tests.serving import ServerProcess, server_process

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
STEPS = 40
WATCH = """
window.longest = 0;
new PerformanceObserver(list => list.getEntries().forEach(task => {
  window.longest = Math.max(window.longest, task.duration);
})).observe({type: "longtask", buffered: true});
"""
PAINTED = """
() => new Promise(done => {
  const look = () => document.querySelector(".rows [data-row]")
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now())))
    : requestAnimationFrame(look);
  look();
})
"""
SERVED = "() => performance.getEntriesByType('navigation')[0].responseEnd"
ELEMENTS = "() => document.querySelectorAll('.rows [data-row]').length"
SCROLL = """
part => new Promise(done => {
  window.scrollTo(0, part * document.documentElement.scrollHeight);
  requestAnimationFrame(() => setTimeout(done));
})
"""


@dataclass(frozen=True)
class Opened:
    """One opening of the page, in ms."""

    served: float
    painted: float
    longest: float
    server_cpu: float


def main() -> None:
    arguments = _arguments()
    print(f"machine   {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    for spans in arguments.spans:
        with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as server:
            _send(server, spans)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                for show in ("path", "all"):
                    _measure(browser, server, spans, show, arguments.opened)
                browser.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--opened", type=int, default=7, help="how often the page is opened")
    return parser.parse_args()


def _send(server: ServerProcess, spans: int) -> None:
    connection = HTTPConnection("127.0.0.1", server.otlp_http_port, timeout=120)
    for line in lines(spans):
        connection.request("POST", "/v1/traces", line.encode(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"the collector answered {answer.status}: {answer.read()[:200]!r}")
        answer.read()
    await_analysis(server)


def _measure(browser: Browser, server: ServerProcess, spans: int, show: str, times: int) -> None:
    address = f"{server.addresses['ui']}/traces/{TRACE_ID}?show={show}"
    opened = [_open(browser, server, address) for _ in range(times + 1)][1:]  # the first compiles the template
    longest, most = _scroll(browser, address)
    print(
        f"{spans:7,} spans, show={show:4}  painted {_spread([each.painted for each in opened])} ms, "
        f"served {_spread([each.served for each in opened])} ms, "
        f"server CPU {statistics.median(each.server_cpu for each in opened):.0f} ms, "
        f"longest task {max(each.longest for each in opened):.0f} ms; "
        f"scrolled: longest task {longest:.0f} ms, at most {most} rows in the page",
        flush=True,
    )


def _open(browser: Browser, server: ServerProcess, address: str) -> Opened:
    before = _cpu_ms(server)
    page = _new_page(browser)
    page.goto(address, wait_until="commit")
    painted = float(page.evaluate(PAINTED))
    found = Opened(page.evaluate(SERVED), painted, page.evaluate("window.longest"), _cpu_ms(server) - before)
    page.context.close()
    return found


def _scroll(browser: Browser, address: str) -> tuple[float, int]:
    """Return the longest task, in ms, and the most rows that were in the page."""
    page = _new_page(browser)
    page.goto(address, wait_until="load")
    page.evaluate("window.longest = 0")
    most = 0
    for step in range(STEPS + 1):
        page.evaluate(SCROLL, step / STEPS)
        page.wait_for_load_state("networkidle")
        most = max(most, int(page.evaluate(ELEMENTS)))
    longest = float(page.evaluate("window.longest"))
    page.context.close()
    return longest, most


def _new_page(browser: Browser) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(WATCH)
    return page


def _cpu_ms(server: ServerProcess) -> float:
    stat = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") * 1e3


def _spread(values: list[Any]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
