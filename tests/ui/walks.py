"""How far is it from a page at night to the answer? `python -m tests.ui.walks` walks three ways and counts.

A walk begins at the first page and knows nothing but its question. Each click leads to a whole page; after it stands
what the page said. Seconds are those of the server and the browser, since how fast somebody reads is not measured here.

1. Why is check-out slow? Recorded traces: a good quarter of an hour, then `nezha-ob-cart-delay`.
2. Which failing call takes the journey down, in which line, and whose is it? The demo's shop, payment failing.
3. Boost sampling for it, and see the traces come. The same shop, which keeps one trace in ten until then.
"""

import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
from playwright.sync_api import Page, expect, sync_playwright

from tests.ui.stage import MINUTE_NS, Site, recorded, recording, shop
from tests.ui.test_browser import ARGUMENTS, CHROMIUM, DESKTOP

PATIENCE_MS = 120_000
GOOD, SLOW = 5, 1
"""How often the recordings are sent: a minute each of one, two minutes each of the other."""
KEPT_AT_FIRST = 10
"""Percent."""


@dataclass
class Walk:
    """One way through the pages, as it is told afterwards."""

    question: str
    page: Page
    clicks: int = 0
    seconds: float = 0.0
    steps: list[str] = field(default_factory=list)
    answer: str = ""

    def go(self, what: str, action: Callable[[], object], shows: str) -> str:
        """Do one thing, wait for what it leads to, and return the text there."""
        begun = time.perf_counter()
        action()
        place = self.page.locator(shows).first
        expect(place).to_be_visible()
        took = time.perf_counter() - begun
        said = " ".join(place.inner_text().split())
        self.seconds += took
        self.steps.append(f"{what} ({took:.1f} s): {said[:400]}")
        return said

    def click(self, what: str, action: Callable[[], object], shows: str) -> str:
        self.clicks += 1
        return self.go(f"click {self.clicks}, {what}", action, shows)

    def answered(self, answer: str) -> None:
        clicks = "1 click" if self.clicks == 1 else f"{self.clicks} clicks"
        self.answer = f"{clicks}, {self.seconds:.1f} s of waiting: {answer}"

    def tell(self) -> None:
        click.echo(f"\n{self.question}\n  {self.answer}")
        for step in self.steps:
            click.echo(f"  - {step}")


def why_slow(page: Page, site: Site) -> None:
    """The first page says which journey is slow since when; its own page says in which call."""
    walk = Walk("1. Why is check-out slow?", page)
    first = walk.go("open the first page", lambda: page.goto(site.pages), ".answer")
    assert "is slow" in first, first
    said = walk.click("the journey that is slow", page.locator("tr[data-row] a").first.click, ".lead .answer")
    assert "since" in said, said
    assert "from frontend to cartservice" in said, said
    walk.answered("the call from frontend to the cart service, on the way there")
    changed = page.get_by_role("link", name="What changed, call by call")
    walk.click("the proof, if wanted: what changed", changed.click, ".answer")
    walk.tell()


def which_call(page: Page, site: Site) -> None:
    """The first page names the service; the escalation of the finding has call, line and owner."""
    walk = Walk("2. Which failing call takes the journey down, in which line, and whose is it?", page)
    first = walk.go("open the first page", lambda: page.goto(site.pages), ".answer")
    assert "check out" in first, first
    journey = walk.click("the journey", page.locator("tr[data-row] a", has_text="check out").click, ".lead .answer")
    assert "payment" in journey, journey
    escalate = page.locator("#findings").get_by_role("link", name="escalate").first
    walk.click("escalate, beside the finding", escalate.click, ".lead .answer")
    code = " ".join(page.locator("dl").first.inner_text().split())
    walk.steps.append(f"the same page: {code[:400]}")
    assert ".py:" in code, code
    assert "payment / POST /charges, mandatory" in code, code  # as the journey's first sentence has it
    walk.answered(code[:200])
    walk.tell()


def boost(page: Page, site: Site) -> None:
    """From the journey to its boost, and back to the traces that come."""
    walk = Walk("3. Boost sampling for it, and see the traces come.", page)
    walk.go("open the journey", lambda: page.goto(f"{site.pages}/journeys/check%20out?last=15m"), ".answer")
    before = traces_a_minute(site)
    link = page.get_by_role("link", name="Boost sampling of this journey")
    walk.click("boost sampling of this journey", link.click, ".lead .answer")
    button = page.locator("button[data-key=b]")
    walk.click("the button", button.click, "[data-ends-ms]")
    begun = time.perf_counter()
    page.goto(f"{site.pages}/journeys/check%20out?last=15m")
    offer = page.locator("[data-live] button")
    expect(offer).to_be_visible()
    walk.seconds += time.perf_counter() - begun
    walk.steps.append(f"wait on the journey's page ({time.perf_counter() - begun:.1f} s): {offer.inner_text()}")
    walk.click("show them", offer.click, ".lead .answer")
    after = traces_a_minute(site)
    assert after > before, (before, after)
    walk.answered(f"{after:g} check-outs a minute are kept, {before:g} were before")
    walk.tell()


def traces_a_minute(site: Site) -> float:
    """Traces of check out that were kept in the last half minute, a minute."""
    return 2.0 * len(site.get("/search.json?journey=check+out&last=30s&limit=500")["traces"])


def throttle(site: Site) -> None:
    """Keep one check-out in ten, as somebody with much traffic would."""
    policy = {
        "id": "base",
        "trace": {
            "match": [{"resource_attribute": ["service.name"], "exact": "shop"}],
            "keep": {"percentage": float(KEPT_AT_FIRST)},
        },
    }
    site.change("/v1/policies", {"policies": [policy], "author": "walks"})


@click.command()
@click.option("--rate", default=8.0, help="Journeys a second in the shop.")
@click.option("--warm-up", default=60.0, help="Seconds that the shop runs before.")
@click.option("--only", type=click.IntRange(1, 3), multiple=True, help="One walk alone; may be repeated.")
def main(rate: float, warm_up: float, only: tuple[int, ...]) -> None:
    """Walk, and print what was seen."""
    wanted = set(only) or {1, 2, 3}
    click.echo(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        expect.set_options(timeout=PATIENCE_MS)
        page = browser.new_page(viewport=DESKTOP)
        page.set_default_timeout(PATIENCE_MS)
        if 1 in wanted:
            with recorded(Path(folder) / "recorded") as site:
                now = time.time_ns()
                for back in range(GOOD):
                    site.send(recording("nezha-ob-base", now - (2 * SLOW + back) * MINUTE_NS))
                for back in range(SLOW):
                    site.send(recording("nezha-ob-cart-delay", now - 2 * back * MINUTE_NS))
                site.wait_for_traces(GOOD * 502 + SLOW * 948)
                why_slow(page, site)
        if wanted & {2, 3}:
            (Path(folder) / "shop").mkdir()
            with shop(Path(folder) / "shop", rate) as site:
                site.switch("payment", fail=0.3)
                time.sleep(warm_up)
                if 2 in wanted:
                    site.wait_for_finding("budget burning")
                    which_call(page, site)
                if 3 in wanted:
                    throttle(site)
                    time.sleep(warm_up)
                    boost(page, site)


if __name__ == "__main__":
    main()
