"""How do the pages look? `python -m tests.ui.looks OUT` takes every page in four looks, of six systems.

Desktop and phone (390 px), light and dark; the demo's shop under load with a fault; a collector before its first span;
`nezha-ob-cart-delay` behind a good quarter of an hour, `smartthings-mobile`, `derived-batch-5k`, and a generated trace
of 100,000 spans. To be looked at by a person; what a machine can say of a page is in `test_browser.py`.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import click
from playwright.sync_api import Browser, expect, sync_playwright

from tests.ui.stage import MINUTE_NS, Site, large_trace, recorded, recording, shop
from tests.ui.test_browser import ARGUMENTS, CHROMIUM, DESKTOP, PATIENCE_MS, PHONE

LOOKS = {
    "desktop-light": (DESKTOP, "light"),
    "desktop-dark": (DESKTOP, "dark"),
    "phone-light": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}
Addresses = Mapping[str, str]


def first_trace(site: Site, query: str) -> str:
    return str(site.get(f"/search.json?last=24h&limit=1&{quote(query, safe='=&+')}")["traces"][0]["address"])


def shop_pages(site: Site) -> Addresses:
    """The shop's pages: payment fails now and then."""
    failed, slow = first_trace(site, "journey=check+out&failed=1"), first_trace(site, "journey=check+out&sort=slowest")
    service = "/sampling/boost?service=payment&operation=POST+/charges"
    return {
        "journeys": "/",
        "journey": "/journeys/check%20out",
        "contracts": "/contracts?journey=check+out",
        "compare": "/compare?journey=check+out&last=15m",
        "what-if": "/what-if?journey=check+out",
        "findings": "/findings",
        "trace-failed": failed,
        "trace-slow": slow,
        "trace-pair": f"{slow}/compare",
        "escalation": f"{failed}/escalation",
        "search": "/search?service=payment",
        "services": "/services",
        "service": "/services/payment",
        "sampling": "/sampling",
        "boost": service,
        "system": "/system",
        "nothing": "/journeys/nobody",
        "no-data": "/?start=2020-01-01T00:00:00Z&end=2020-01-01T01:00:00Z",
    }


def empty_pages(site: Site) -> Addresses:
    """What is there before the first span, and where an address leads nowhere."""
    return {
        "first-run": "/",
        "empty-services": "/services",
        "empty-findings": "/findings",
        "empty-search": "/search",
        "empty-sampling": "/sampling",
        "empty-system": "/system",
        "no-such-journey": "/journeys/nobody",
        "no-such-page": "/nowhere",
        "no-such-trace": f"/traces/{1:032x}",
        "no-trace-id": "/traces/xyz",
        "no-range": "/search?last=banana",
    }


def recorded_pages(site: Site) -> Addresses:
    """The pages of what other systems recorded."""
    rows = site.get("/.json?last=24h")
    by_traces = sorted((*rows["needs_you"], *rows["others"]), key=lambda row: -row["summary"]["traces"])
    most = by_traces[0]["summary"]["journey"]
    slower = site.get(f"/journeys/{quote(most, safe='')}.json?last=1h")["slower"]
    traces = (first_trace(site, f"journey={row['summary']['journey']}") for row in by_traces[1:])
    sizes = sorted((site.get(f"{trace}.json")["total_rows"], trace) for trace in traces)
    return {
        "recorded-journeys": "/",
        "cart-delay-journey": f"/journeys/{quote(most, safe='')}",
        **({"cart-delay-compare": slower["address"]} if slower else {}),
        "cart-delay-trace": first_trace(site, f"journey={most}&sort=slowest"),
        **{f"trace-of-{size}-spans": trace for size, trace in sizes},
    }


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--only", default="", help="Names of pages, with commas between.")
@click.option("--shop", "of_shop", metavar="URL", help="The pages of a demo that runs already.")
@click.option("--recorded", "of_recorded", metavar="URL", help="Those of a collector that has the recordings already.")
@click.option("--empty", "of_empty", metavar="URL", help="Those of a collector without a span.")
@click.option("--rate", default=8.0, help="Journeys a second in the shop.")
@click.option("--warm-up", default=60.0, help="Seconds that the shop runs before.")
def main(
    out: Path,
    only: str,
    of_shop: str | None,
    of_recorded: str | None,
    of_empty: str | None,
    rate: float,
    warm_up: float,
) -> None:
    """Take the pages into the folder OUT: LOOK/PAGE.png."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        wanted = {name for name in only.split(",") if name}
        running = [
            (Site({"ui": url}), pages)
            for url, pages in ((of_shop, shop_pages), (of_empty, empty_pages), (of_recorded, recorded_pages))
            if url
        ]
        for site, pages_of in running or systems(Path(folder), rate, warm_up):
            pages = pages_of(site)
            take(browser, site, {name: at for name, at in pages.items() if not wanted or name in wanted}, out)


def systems(folder: Path, rate: float, warm_up_s: float) -> Iterator[tuple[Site, Callable[[Site], Addresses]]]:
    """Yield each system with its pages, and end it afterwards."""
    (folder / "shop").mkdir()
    with shop(folder / "shop", rate) as site:
        site.switch("payment", fail=0.3)
        time.sleep(warm_up_s)
        site.wait_for_traces(int(rate * warm_up_s / 2))
        yield site, shop_pages
    with recorded(folder / "empty") as site:
        yield site, empty_pages
    with recorded(folder / "recorded") as site:
        now = time.time_ns()
        for back in range(4):
            site.send(recording("nezha-ob-base", now - (2 + back) * MINUTE_NS))
        for name in ("nezha-ob-cart-delay", "smartthings-mobile", "derived-batch-5k"):
            site.send(recording(name, now))
        site.send(large_trace(100_000))
        site.wait_for_traces(4 * 502 + 948 + 3)
        yield site, recorded_pages


def take(browser: Browser, site: Site, pages: Addresses, out: Path) -> None:
    for look, (size, scheme) in LOOKS.items():
        (out / look).mkdir(parents=True, exist_ok=True)
        with browser.new_context(viewport=size, color_scheme=scheme) as profile:
            profile.set_default_timeout(PATIENCE_MS)
            page = profile.new_page()
            for name, address in pages.items():
                page.goto(site.pages + address, wait_until="load")
                for part in page.locator("[data-first]").all():
                    part.scroll_into_view_if_needed()
                expect(page.locator(".first .wait, [aria-busy=true], .sheet[data-rows]:not(.windowed)")).to_have_count(
                    0
                )
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=out / look / f"{name}.png", full_page=True)
                click.echo(f"{look}/{name}.png  {address}")


if __name__ == "__main__":
    main()
