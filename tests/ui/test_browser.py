"""The pages in a real Chromium: what needs eyes, keys and a network."""

import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT as AXE
from playwright.sync_api import Browser, Page, expect, sync_playwright

from collector.control.state import state_of
from collector.core.detail import DetailedSpans, SpanDetail
from collector.login import Login
from collector.store.values import TraceQuery, Window
from collector.system import system_of
from collector.tokens import ANYBODY, Tokens
from collector.web import WebServer
from tests.control.control_server import control_server
from tests.control.test_api import status
from tests.core.drawing import EPOCH_NS, read_trace
from tests.cpdd.sampling.policies import policy
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, Recorder, shop_traces
from tests.ui.test_boost import MemoryPins, Threads
from tests.ui.test_findings import BURNING, tracked
from tests.ui.test_hostile import NAMES, addresses, hostile
from tests.ui.test_slower import slow_shop
from tests.ui.test_system_page import FACTS, metrics_of
from ui.app import create_app

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ALL_TIME = Window(0, 2**62)
PATIENCE_MS = 60_000
"""How long a page and what it should show may take on a machine that does much else."""
expect.set_options(timeout=PATIENCE_MS)
OPEN = Login(ANYBODY, time.time)
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 256}
"""1280 by 1024 at 400 %: WCAG 2.2, 1.4.10."""


pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not here: apt-get install chromium"),
]


@contextmanager
def serving(
    reader: MemoryReader, now_ns: int = NOW_NS, login: Login = OPEN, read_trouble: Callable[[], Sequence[str]] = tuple
) -> Iterator[str]:
    """Serve the pages on a free port; yields their address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(reader, SETTINGS, clock=lambda: now_ns, read_trouble=read_trouble)
        server = WebServer(login.before(app), listener)
        server.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Every page with something on it: the shop, a finding, a sampling service with a boost, a collector's metrics."""
    reader = MemoryReader(shop_traces())
    reader.judged = [tracked(BURNING)]
    with control_server() as server, socket.create_server(("127.0.0.1", 0)) as listener:
        server.ask("POST", "/v1/policies", {"policies": [policy("base", 10, service="shop")], "author": "ann"})
        server.ask("POST", "/v1/status", status("shop-7d9f", spans_sent=990, spans_lost=10))
        server.boost(service="shop", operation="GET /", id="inc", max_traces=500, reason="looking", author="bob")
        app = create_app(
            reader,
            SETTINGS,
            lambda: NOW_NS,
            lambda: server.loop.run(state_of(server.service)),
            Threads(server),
            lambda: system_of(FACTS, "ready", (), metrics_of().registry),
            MemoryPins(),
        )
        web = WebServer(app, listener)
        web.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            web.stop()


@pytest.fixture(scope="module")
def trace(shop) -> str:
    """A trace that failed."""
    found = shop.find(TraceQuery(ALL_TIME, journey="check out", failed_only=True))
    return f"/traces/{found[0].trace_id}"


@contextmanager
def opened(browser: Browser, address: str, **context: object) -> Iterator[Page]:
    """A page in a fresh profile; fails on anything the console calls an error, on dialogs and foreign requests."""
    wrong: list[str] = []
    with browser.new_context(**{"viewport": DESKTOP, **context}) as profile:
        profile.set_default_timeout(PATIENCE_MS)
        page = profile.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda asked: wrong.append(asked.url) if not asked.url.startswith("http://127.0.0.1:") else None
        )
        page.goto(address)
        yield page
    assert wrong == []


@pytest.fixture(scope="module")
def pages(shop, trace) -> list[str]:
    """Every page once."""
    whole = shop.latency("check out", ALL_TIME).whole
    return [
        "/",
        "/journeys/check%20out",
        f"/examples?journey=check%20out&band=all&path={whole.call_paths[0].id}",
        "/compare?journey=check%20out&last=15m",
        "/what-if?journey=check%20out&last=10m&set=cart%3Dx0.5",
        "/contracts?journey=check%20out",
        "/findings",
        trace,
        f"{trace}?of=trace",
        f"{trace}/compare",
        f"{trace}/escalation",
        "/search?service=payment",
        "/services",
        "/services/payment",
        "/sampling",
        "/sampling/boost?service=shop",
        "/system",
    ]


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (NARROW, "dark")]
)
def test_no_page_complains_loads_from_elsewhere_or_is_wider_than_the_screen(browser, site, pages, size, scheme):
    with opened(browser, site, viewport=size, color_scheme=scheme) as page:
        for address in pages:
            page.goto(site + address)

            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, address
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
                "rgb(253, 253, 252)" if scheme == "light" else "rgb(18, 19, 22)"
            )


SHORT_WORDS_IN_PIECES = """[...document.querySelectorAll("td a")].filter((link) => {
  const word = link.firstChild;
  if (word?.nodeType !== Node.TEXT_NODE || !/^\\w{3,10}$/.test(word.data.trim())) return false;
  const range = document.createRange();
  range.selectNodeContents(word);
  return range.getClientRects().length > 1;
}).map((link) => link.textContent)"""


@pytest.mark.parametrize("width", [1440, 1024, 760])
def test_no_column_is_so_narrow_that_a_short_word_breaks(browser, site, pages, width):
    with opened(browser, site, viewport={"width": width, "height": 800}) as page:
        for address in pages:
            page.goto(site + address)

            assert page.evaluate(SHORT_WORDS_IN_PIECES) == [], address


def test_the_calls_of_a_journey_are_a_list_on_a_phone(browser, site):
    with opened(browser, f"{site}/journeys/check%20out", viewport=PHONE) as page:
        scrolls = page.locator(".scroll:has(.calls)").evaluate("part => part.scrollWidth - part.clientWidth")
        first = page.locator(".calls tbody tr").first

        expect(first).to_contain_text("POST /pay")
        assert scrolls == 0
        assert first.locator("td[data-label=failed]").evaluate("part => getComputedStyle(part, '::before').content")


def test_since_when_a_journey_is_slow_fits_a_phone_and_ends_where_its_column_does(browser):
    right = "part => part.getBoundingClientRect().right"
    with serving(slow_shop()) as url:
        with opened(browser, f"{url}/", viewport=PHONE) as page:
            expect(page.locator(".below")).to_contain_text("since")
            wide = page.evaluate("document.documentElement.scrollWidth")

        with opened(browser, f"{url}/", viewport=DESKTOP) as page:
            note, time = (
                page.locator(f"td[data-label=p50] {part}").evaluate(right) for part in (".below", "span >> nth=0")
            )

    assert wide == PHONE["width"]
    assert abs(note - time) < 1


def test_pages_are_whole_without_script(browser, site, trace):
    with opened(browser, site + trace, java_script_enabled=False) as page:
        page.locator(".rows .bad a").last.click()

        expect(page.locator("#span")).to_contain_text("requests.exceptions.ReadTimeout")
        assert page.locator(".waterfall .path-line").count() == 1
        page.get_by_role("link", name="Path only").click()
        assert page.locator(".rows li:not(.on)").count() == 0


def test_a_span_is_selected_without_loading_the_page_anew_and_back_works(browser, site, trace):
    with opened(browser, site + trace) as page:
        page.evaluate("window.stayed = true")

        page.locator(".rows .who").nth(3).click()
        expect(page.locator("#span h2")).to_have_text("cart")
        page.locator(".picture a").nth(0).click()
        expect(page.locator("#span h2")).to_have_text("shop")
        assert "span=" in page.url
        page.go_back()
        expect(page.locator("#span h2")).to_have_text("cart")
        page.go_back()
        expect(page.locator("#span")).to_have_count(0)

        assert page.evaluate("window.stayed") is True


def test_a_journey_says_what_to_make_faster_first_when_a_reader_comes_near(browser, site):
    asked: list[str] = []
    with opened(browser, site) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{site}/journeys/check%20out")
        first = page.locator(".first")
        assert not [url for url in asked if "/what-if" in url]
        height = first.bounding_box()["height"]

        first.scroll_into_view_if_needed()

        expect(first.locator("tbody tr")).to_have_count(3)
        expect(first).to_contain_text(re.compile(r"Make \w+ .* faster first: at half its time"))
        assert first.bounding_box()["height"] == height
        first.locator("tbody a").first.click()
        page.wait_for_url("**/what-if?*set=*x0.5")


def test_a_journey_without_script_leads_to_what_to_make_faster_first(browser, site):
    with opened(browser, f"{site}/journeys/check%20out", java_script_enabled=False) as page:
        page.get_by_role("link", name="its own page").click()

        expect(page.locator("#first tbody tr").first).to_be_visible()


def test_the_address_of_a_selected_span_opens_it_for_a_colleague(browser, site, trace):
    with opened(browser, site + trace) as page:
        page.locator(".rows .who").nth(3).click()
        expect(page.locator("#span h2")).to_have_text("cart")
        address = page.url

    with opened(browser, address) as other:
        expect(other.locator("#span h2")).to_have_text("cart")
        assert other.locator(".rows .selected").count() == 1


def test_keys_reach_everything(browser, site, trace):
    with opened(browser, site) as page:
        page.keyboard.press("/")
        expect(page.locator("#q")).to_be_focused()
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="check out")).to_be_focused()
        page.keyboard.press("j")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        expect(page.locator(".graph")).to_be_visible()
        page.wait_for_load_state()  # before it, no script hears the key
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_be_hidden()
        page.keyboard.press("t")
        expect(page.get_by_text("last 24 h")).to_be_visible()

        page.goto(site + trace)
        page.keyboard.press("e")
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        expect(page.locator("#span .failing")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#span")).to_have_count(0)
        page.keyboard.press("]")
        expect(page.locator("#span h2")).to_have_text("shop")
        page.keyboard.press("]")
        expect(page.locator("#span header p").first).to_have_text("GET")
        page.keyboard.press("]")
        expect(page.locator("#span h2")).to_have_text("cart")
        page.keyboard.press("p")
        expect(page.get_by_role("link", name="Path only")).to_have_attribute("aria-current", "true")


def test_keys_walk_the_whole_path_and_every_failed_span(browser, site, trace, shop):
    with opened(browser, site + trace) as page:
        seen = []
        for _ in range(8):
            before = page.url
            page.keyboard.press("]")
            page.wait_for_url(lambda url, before=before: url != before)
            seen.append(page.locator("#span header p").first.inner_text())
        page.keyboard.press("[")
        expect(page.locator("#span header p").first).to_have_text(seen[-2])

        page.goto(f"{site}{trace}?show=path")
        failed = set()
        for _ in range(page.locator(".rows .bad").count() + 1):
            before = page.url
            page.keyboard.press("e")
            page.wait_for_url(lambda url, before=before: url != before)
            failed.add(page.locator("#span .id").first.inner_text())
        page.keyboard.press("b")
        page.wait_for_url("**/sampling/boost?service=**")

    assert seen == [
        "POST /checkout",
        "GET",
        "GET /cart/{id}",
        "HGETALL",
        "GET /cart/{id}",
        "price items",
        "GET /cart/{id}",
        "GET",
    ]
    assert len(failed) > 1


def test_escape_closes_the_menu_that_is_open_and_nothing_else(browser, site, trace):
    with opened(browser, site + trace) as page:
        page.locator(".rows .who").nth(3).click()
        expect(page.locator("#span h2")).to_be_visible()
        page.locator("summary", has_text="Compare").click()
        page.get_by_label("With a trace").focus()

        page.keyboard.press("Escape")

        expect(page.get_by_label("With a trace")).to_be_hidden()
        expect(page.locator("summary", has_text="Compare")).to_be_focused()
        expect(page.locator("#span h2")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#span")).to_have_count(0)


def test_a_key_that_is_held_down_asks_for_a_boost_and_begins_none(browser, site):
    with opened(browser, f"{site}/journeys/check%20out") as page:
        page.wait_for_load_state()
        page.keyboard.down("b")
        page.wait_for_url("**/sampling/boost?**")
        page.wait_for_load_state()
        page.keyboard.down("b")  # the same key, not let go: a repetition
        with page.expect_event("requestfinished"):
            page.reload()  # whatever the key did has been done

        assert page.url.startswith(f"{site}/sampling/boost?")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_what_keys_do_on_a_trace_can_be_pressed_as_well(browser, site, trace, size):
    with opened(browser, site + trace, viewport=size) as page:
        page.get_by_role("link", name="Next section").click()
        expect(page.locator("#span header p").first).to_have_text("POST /checkout")
        page.get_by_role("link", name="Next section").click()
        expect(page.locator("#span header p").first).to_have_text("GET")
        page.get_by_role("link", name="Previous section").click()
        expect(page.locator("#span header p").first).to_have_text("POST /checkout")
        page.get_by_role("link", name="Next error").click()
        expect(page.locator("#span .failing").first).to_be_visible()
        page.get_by_role("link", name="Boost", exact=True).click()
        page.wait_for_url("**/sampling/boost?service=**")


def test_a_row_that_is_folded_up_is_a_stop_for_keys_and_its_links_are_when_it_is_unfolded(browser):
    notice = replace(BURNING, urgency="notice")
    reader = MemoryReader(shop_traces(40))
    reader.judged = [tracked(notice)]
    focused = "document.activeElement"
    with serving(reader) as site, opened(browser, f"{site}/journeys/check%20out") as page:
        page.keyboard.press("j")
        assert page.evaluate(f"{focused}.matches('.findings summary')")
        page.keyboard.press("j")
        assert page.evaluate(f"{focused}.closest('.examples') !== null")

        page.keyboard.press("k")
        page.keyboard.press("Enter")
        page.keyboard.press("j")
        assert page.evaluate(f"{focused}.closest('.findings .facts-of') !== null")
        page.keyboard.press("k")
        assert page.evaluate(f"{focused}.closest('.findings .facts-of') !== null")


def test_on_a_phone_a_span_comes_into_sight_and_its_row_again_when_it_is_closed(browser, site, trace):
    with opened(browser, site + trace, viewport=PHONE) as page:
        page.locator(".rows .who").nth(3).click()
        expect(page.locator("#span h2")).to_be_in_viewport()
        expect(page.locator("#span")).to_be_focused()
        page.keyboard.press("]")
        expect(page).to_have_url(re.compile("section="))
        expect(page.locator("#span")).to_be_focused()
        row = page.locator(f".rows a[href='{page.locator('.rows .selected a').get_attribute('href')}']")
        page.get_by_role("link", name="close").click()

        expect(row).to_be_focused()
        expect(row).to_be_in_viewport()


@pytest.fixture(scope="module")
def large_site() -> Iterator[str]:
    """A trace of ten thousand spans; yields its address."""
    calls = "; ".join(f"svc{i % 7}/op{i} {i}-{i + 1} in root" for i in range(9_999))
    batch = read_trace(f"root 0-9999; {calls}", "us")
    with serving(MemoryReader([DetailedSpans(batch, lambda row: SpanDetail())]), EPOCH_NS) as site:
        yield f"{site}/traces/0af7651916cd43dd0000000000000001?show=all"


def test_of_a_large_trace_only_the_rows_near_the_screen_are_in_the_page(browser, large_site):
    with opened(browser, large_site) as page:
        expect(page.locator(".windowed .piece").first).to_be_visible()

        page.evaluate("document.querySelector('.sheet-body').scrollTop = 5000 * 24")
        expect(page.get_by_text("op4905", exact=True)).to_be_visible()
        expect(page.locator(".rows").get_by_text("op3", exact=True)).to_have_count(0)
        expect(page.locator(".lens")).to_have_attribute("x", re.compile("^4[89]"))

        assert page.locator("[data-row]").count() <= 1_000
        assert page.locator(".space").bounding_box()["height"] == 24 * (10_000 + 200)


def test_selecting_in_a_large_trace_leaves_the_rows_where_they_are(browser, large_site):
    with opened(browser, large_site) as page:
        expect(page.locator(".windowed .piece").first).to_be_visible()
        page.evaluate("document.querySelector('.sheet-body').scrollTop = 7000 * 24")
        page.locator(".rows").get_by_text("op6870", exact=True).click()

        expect(page.locator("#span")).to_contain_text("op6870")
        at = page.evaluate("document.querySelector('.sheet-body').scrollTop")
        assert at == 7_000 * 24
        expect(page.locator(".rows .selected")).to_contain_text("op6870")
        page.keyboard.press("]")
        expect(page.locator("#span")).to_contain_text("op6871")


def test_the_path_and_the_tab_one_is_on_are_told_apart_in_the_reader_s_own_colours(browser, site, trace):
    with opened(browser, site + trace, forced_colors="active") as page:
        path, off = (
            page.locator(look).first.evaluate("part => getComputedStyle(part).fill") for look in (".own", ".bar")
        )
        highlight = page.evaluate("""() => {
          document.body.style.color = "Highlight";
          return getComputedStyle(document.body).color;
        }""")
        current, other = (
            page.locator(f".trace-tools .tabs a{which}").first.evaluate(
                "tab => getComputedStyle(tab).borderBlockEndWidth"
            )
            for which in ("[aria-current]", ":not([aria-current])")
        )

        assert path == highlight != off
        assert (current, other) == ("2px", "0px")


def test_a_long_name_is_cut_at_its_head_and_the_keys_have_a_button(browser):
    calls = "cart/hipstershop.ProductCatalogService.ListOfAllProducts/GetProductsOfTheMonth 10-90 in root"
    batch = read_trace(f"root 0-100; {calls}", "us")
    reader = MemoryReader([DetailedSpans(batch, lambda row: SpanDetail())])
    trace = "/traces/0af7651916cd43dd0000000000000001"
    with serving(reader, EPOCH_NS) as site, opened(browser, site + trace) as page:
        head, tail = page.locator(".who").nth(1).locator("span").all()
        assert head.evaluate("span => span.scrollWidth > span.clientWidth")
        assert tail.inner_text() == "/GetProductsOfTheMonth"
        assert tail.evaluate("span => span.scrollWidth <= span.clientWidth")

        page.get_by_role("button", name="Keys:").click()
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_rows_that_did_not_come_are_said_and_asked_for_again(browser, large_site):
    with browser.new_context() as profile:
        page = profile.new_page()
        page.clock.install()
        page.goto(large_site)
        expect(page.locator(".windowed .piece").first).to_be_visible()
        page.route("**/rows?*", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            page.locator(".sheet-body").evaluate("body => body.scrollTo(0, 100_000)")
        expect(page.locator(".rows-missing")).to_have_text("Some rows did not come. Asking again every 5 s.")

        page.unroute("**/rows?*")
        page.clock.fast_forward(5_100)

        expect(page.locator(".rows-missing")).to_be_hidden()
        expect(page.locator(".piece[data-first='4050']")).to_be_in_viewport()


def test_a_moment_of_a_large_trace_is_gone_to_by_its_picture_of_the_whole(browser, large_site):
    with opened(browser, large_site) as page:
        expect(page.locator(".windowed .piece").first).to_be_visible()
        page.locator(".overview a").nth(60).click()

        expect(page.locator("#span")).to_contain_text("op5000")
        expect(page.locator(".rows .selected")).to_be_in_viewport()
        expect(page.locator(".lens")).to_have_attribute("x", re.compile("^(49|50)"))


def test_a_large_trace_is_paged_without_script(browser, large_site):
    with opened(browser, large_site, java_script_enabled=False) as page:
        assert page.locator("[data-row]").count() == 500
        page.get_by_role("link", name="Next", exact=True).click()
        expect(page.get_by_text("op600", exact=True)).to_be_visible()


RANGED = {
    "attributes": ("/search?service=payment&tag=http.route%3D%2Fpay&tag=server.address%3Dpayment.shop", "tag="),
    "open services": ("/journeys/check%20out?open=payment&open=cart&band=p50-90", "open="),
    "wishes": ("/what-if?journey=check%20out&set=cart%3Dx0.5&set=payment%3D-1ms", "set="),
}


@pytest.mark.parametrize(("address", "repeated"), RANGED.values(), ids=RANGED)
def test_another_range_keeps_what_was_chosen(browser, site, address, repeated):
    with opened(browser, site + address) as page:
        for choose in ("menu", "last", "from"):
            page.goto(site + address)
            page.keyboard.press("t")
            if choose == "menu":
                page.get_by_role("link", name="last 24 h").click()
                page.wait_for_url("**last=24h**")
            elif choose == "last":
                page.get_by_label("Last", exact=True).fill("90m")
                page.keyboard.press("Enter")
                page.wait_for_url("**last=90m**")
                expect(page.locator("[data-key=t] summary")).to_have_text("last 90\u00a0min")
            else:
                page.get_by_label("To", exact=True).focus()
                page.keyboard.press("Enter")
                page.wait_for_url("**end=**")
            assert page.url.count(repeated) == 2, choose


def test_another_range_keeps_a_name_that_no_path_can_carry(browser):
    recorder = Recorder(trace=7, start_ns=NOW_NS - 10**9)
    recorder.span("shop", "GET /a", 0, 5, journey="..")
    with serving(MemoryReader([recorder.finish()])) as site, opened(browser, f"{site}/journeys/?name=..") as page:
        page.keyboard.press("t")
        page.get_by_label("Last", exact=True).fill("3h")
        page.keyboard.press("Enter")

        page.wait_for_url("**last=3h**")
        expect(page.locator("h1")).to_contain_text("..")


def test_an_area_of_the_plot_becomes_the_range_and_a_point_leads_to_its_trace(browser, site):
    with opened(browser, f"{site}/search?service=payment") as page:
        before = page.locator("tr[data-row]").count()
        at = page.locator(".plot svg").first.bounding_box()
        page.mouse.move(at["x"] + at["width"] * 0.2, at["y"] + at["height"] * 0.05)
        page.mouse.down()
        page.mouse.move(at["x"] + at["width"] * 0.995, at["y"] + at["height"] * 0.5, steps=3)
        page.mouse.up()

        page.wait_for_url("**start=*")
        assert all(name in page.url for name in ("end=", "min=", "max=", "service=payment"))
        assert 0 < page.locator("tr[data-row]").count() < before
        page.locator(".plot a").last.dispatch_event("click")
        page.wait_for_url("**/traces/*")


def test_the_form_of_a_boost_is_taken_from_a_real_browser(browser):
    with control_server() as server, socket.create_server(("127.0.0.1", 0)) as listener:
        web = WebServer(create_app(MemoryReader(), SETTINGS, boosts=Threads(server)), listener)
        web.start()
        try:
            with opened(browser, f"http://127.0.0.1:{listener.getsockname()[1]}/sampling/boost?service=shop") as page:
                page.get_by_role("button", name="Boost to 100 %").click()
                page.wait_for_url("**/sampling")
        finally:
            web.stop()

        assert len(server.service.book.boosts(server.service.now_ms())) == 1


def test_a_browser_without_a_token_gets_a_form_and_comes_back_to_where_it_wanted_to_go(browser, tmp_path):
    file = tmp_path / "tokens"
    file.write_text("first-of-them\nsecond\n")
    login = Login(Tokens("read_tokens", f"@{file}"), time.time)
    with serving(MemoryReader(shop_traces(20)), login=login) as site, browser.new_context() as profile:
        page = profile.new_page()
        page.goto(f"{site}/journeys/check%20out?last=24h")
        expect(page.get_by_label("Token")).to_be_focused()
        assert defects(page, WCAG) == []
        page.keyboard.type("third")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("No such token is valid here.")
        page.get_by_label("Token").fill("second")
        page.keyboard.press("Enter")

        page.wait_for_url("**/journeys/check%20out?last=24h")
        expect(page.locator(".graph")).to_be_visible()
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(f"{site}/system")
        page.wait_for_url("**/login?next=%2Fsystem")

        page.get_by_label("Token").fill("second")
        page.keyboard.press("Enter")
        page.wait_for_url("**/system")
        file.write_text("first-of-them\n")
        page.goto(f"{site}/findings")
        page.wait_for_url("**/login?next=%2Ffindings")


def test_focus_is_seen_and_every_control_has_a_name(browser, site, pages):
    nameless = """[...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
        .filter(e => !(e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length)))
        .map(e => e.outerHTML)"""

    with opened(browser, site) as page:
        for address in pages:
            page.goto(site + address)

            assert page.evaluate(nameless) == []
            page.keyboard.press("Tab")
            page.keyboard.press("Tab")
            assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2


def defects(page: Page, rules: list[str]) -> list[str]:
    """What axe-core finds on the page that is open: rule, element, why."""
    page.evaluate(f"{AXE}; 0")
    found = page.evaluate(
        "rules => axe.run({runOnly: rules}).then(({violations}) => violations.flatMap(rule => rule.nodes.map("
        "node => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`)))",
        rules,
    )
    return found


WCAG = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.mark.parametrize(("scheme", "rules"), [("light", WCAG), ("dark", ["cat.color"])])
def test_axe_finds_nothing_on_any_page(browser, site, pages, scheme, rules):
    with opened(browser, site, color_scheme=scheme) as page:
        for address in pages:
            page.goto(site + address)

            assert defects(page, rules) == [], address


def test_axe_would_find_a_control_without_a_name_and_a_pale_word(browser, site):
    with opened(browser, site) as page:
        page.evaluate("document.querySelector('label[for=q]').remove()")
        page.evaluate("document.querySelector('#q').removeAttribute('placeholder')")
        page.evaluate("document.styleSheets[1].insertRule('.answer { color: #ccc }')")

        found = defects(page, WCAG)

        assert {each.partition(":")[0] for each in found} >= {"label", "color-contrast"}


def test_the_first_page_opens_by_itself_when_the_first_trace_comes(browser):
    reader = MemoryReader()
    with serving(reader) as site, opened(browser, site) as page:
        expect(page.locator(".waiting")).to_contain_text("Waiting for the first trace")

        for spans in shop_traces(12):
            reader.add(spans)

        expect(page.locator("table.journeys")).to_be_visible(timeout=15_000)


def test_the_first_page_opens_by_itself_when_the_first_trace_is_an_old_one(browser):
    reader = MemoryReader()
    with serving(reader, NOW_NS + 86_400 * 10**9) as site, opened(browser, site) as page:
        expect(page.locator(".waiting")).to_contain_text("Waiting for the first trace")

        for spans in shop_traces(3):
            reader.add(spans)

        expect(page.locator("table.journeys")).to_be_visible(timeout=15_000)


def test_a_page_that_waits_goes_on_saying_so_while_nobody_answers(browser):
    with serving(MemoryReader()) as site, browser.new_context() as profile:
        page = profile.new_page()
        page.clock.install()
        page.goto(site)
        page.route("**/.json*", lambda route: route.abort())
        for _ in range(4):
            with page.expect_event("requestfailed"):
                page.clock.fast_forward(2_100)

        expect(page.locator(".waiting")).to_contain_text("Waiting for the first trace")


def test_a_page_comes_back_by_itself_when_the_store_answers_again(browser):
    class Away(MemoryReader):
        is_away = True

        def newest_trace_unix_nano(self) -> int | None:
            if self.is_away:
                raise RuntimeError("[Errno 111] Connection refused")
            return super().newest_trace_unix_nano()

    reader = Away(shop_traces(12))
    with serving(reader) as site, browser.new_context() as profile:
        page = profile.new_page()
        page.goto(f"{site}/?last=6h")
        expect(page.locator(".answer")).to_contain_text("The store cannot be read")
        expect(page.locator(".waiting")).to_contain_text("Asking again every 5 s.")

        reader.is_away = False

        expect(page.locator("table.journeys")).to_be_visible(timeout=60_000)
        expect(page.locator(".menu summary")).to_have_text("last 6 h")


def test_a_trace_that_is_asked_for_too_early_opens_by_itself_when_it_comes(browser):
    reader = MemoryReader(shop_traces(3))
    recorder = Recorder(trace=999, start_ns=NOW_NS - 10**9)
    recorder.span("shop", "GET /new", 0, 5)
    spans = recorder.finish()
    trace_id = f"{spans.batch.trace_id_high[0]:016x}{spans.batch.trace_id_low[0]:016x}"
    with serving(reader) as site, browser.new_context() as profile:
        page = profile.new_page()
        page.goto(f"{site}/traces/{trace_id}?show=all")
        expect(page.locator(".waiting")).to_contain_text("Looking again every 5 s")
        expect(page.get_by_role("button", name="Live: pause")).to_be_hidden()

        reader.add(spans)

        expect(page.locator(".answer")).to_contain_text("GET /new", timeout=60_000)
        assert page.url.endswith("?show=all")


def test_new_traces_wait_behind_a_count_and_nothing_moves(browser):
    reader = MemoryReader(shop_traces(40))
    with serving(reader) as site, opened(browser, site) as page:
        page.clock.install()
        page.reload()
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
        before = page.locator("table.journeys").bounding_box()
        text = page.locator("table.journeys").inner_text()

        recorder = Recorder(trace=999, start_ns=NOW_NS - 10**9)
        recorder.span("shop", "GET /new", 0, 5)
        reader.add(recorder.finish())
        page.clock.fast_forward(15_000)

        expect(page.get_by_role("button", name="1 new trace: show")).to_be_visible()
        assert page.locator("table.journeys").inner_text() == text
        assert page.locator("table.journeys").bounding_box()["y"] == before["y"]
        page.get_by_role("button", name="1 new trace: show").click()
        expect(page.get_by_role("link", name="shop: GET /new")).to_be_visible()


def test_a_page_whose_server_is_silent_says_since_when_and_takes_it_back(browser):
    with serving(MemoryReader(shop_traces(20))) as site, opened(browser, site) as page:
        page.clock.install()
        page.reload()
        live = page.locator("[data-live]")
        expect(live).to_have_attribute("data-ready", "yes")
        page.route("**/.json", lambda route: route.fulfill(status=200, body="{"))  # cut off

        for _ in range(3):
            with page.expect_response("**/.json"):
                page.clock.fast_forward(10_000)

        expect(live).to_have_text(re.compile(r"No answer since \d\d:\d\d:\d\d: numbers are of then"))
        expect(page.locator("table.journeys")).to_be_visible()
        page.unroute("**/.json")
        page.clock.fast_forward(10_000)
        expect(live).to_be_hidden()


def test_a_paused_page_asks_for_nothing(browser):
    reader = MemoryReader(shop_traces(20))
    with serving(reader) as site, opened(browser, site) as page:
        page.clock.install()
        page.reload()
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
        page.get_by_role("button", name="Live: pause").click()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        page.clock.fast_forward(60_000)
        assert asked == []
        page.get_by_role("button", name="Paused: go on").click()
        with page.expect_request("**/.json"):
            page.clock.fast_forward(15_000)


def test_times_are_those_of_the_reader_s_zone_for_who_chose_so_and_stay(browser, site, trace):
    with opened(browser, site + trace, timezone_id="Asia/Kolkata") as page:
        began = page.locator(".facts time")
        assert began.inner_text() != page.evaluate("document.querySelector('.facts time').dateTime")
        utc = began.get_attribute("datetime")
        page.get_by_role("button", name="Show Asia").click()
        expect(page.locator("footer")).to_contain_text("Times are Asia/")
        hour, minute = int(utc[11:13]), int(utc[14:16])
        later = (hour * 60 + minute + 330) % 1_440
        expect(began).to_contain_text(f"{later // 60:02d}:{later % 60:02d}")

        page.goto(f"{site}/search")
        page.keyboard.press("t")
        expect(page.locator("input[name=start]")).to_have_value(re.compile(r"\+05:30$"))
        page.locator("input[name=start]").fill("2026-11-18 15:30")
        page.locator("input[name=end]").fill("2026-11-18T16:30:00")
        page.keyboard.press("Enter")
        page.wait_for_url("**start=**")
        assert "start=2026-11-18T15%3A30%3A00%2B05%3A30" in page.url
        expect(page.locator("[data-key=t] summary")).to_contain_text(re.compile(r"15:30(:00)? to .*16:30(:00)?$"))
        expect(page.locator(".answer")).to_contain_text(re.compile(r"from .*15:30(:00)? to .*16:30(:00)?, "))
        page.get_by_role("button", name="Show UTC").click()
        expect(page.locator("footer")).to_contain_text("Times are UTC.")
        expect(page.locator(".answer")).to_contain_text(re.compile(r"from .*10:00(:00)? to .*11:00(:00)?.UTC, "))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_range_within_a_second_stays_when_its_form_is_sent_again(browser, site, zone):
    with opened(browser, site + "/search?start=1795000000.2&end=1795000000.700000001", timezone_id=zone) as page:
        if zone != "UTC":
            page.get_by_role("button", name="Show Asia").click()
            expect(page.locator("footer")).to_contain_text("Times are Asia/")
        page.keyboard.press("t")
        page.locator("form:has(> .field > input[name=start]) button").click()
        page.wait_for_url("**start=2026**")

        asked = page.evaluate("fetch(location.href.replace('/search?', '/search.json?')).then(reply => reply.json())")
        assert asked["range"]["absolute"] == {"start": "1795000000.200000000", "end": "1795000000.700000001"}


@pytest.mark.parametrize("name", ["script", "attribute", "closing", "template", "bidi"])
def test_nothing_of_a_hostile_span_runs(browser, name):
    now = EPOCH_NS + 10**9
    with serving(hostile(NAMES[name]), now) as site, opened(browser, site) as page:
        for address in addresses(NAMES[name])[:4]:
            page.goto(site + address)

            assert page.evaluate("document.querySelectorAll('img, iframe, script:not([src])').length") == 0
            assert not page.evaluate("[...document.querySelectorAll('a')].some(a => a.protocol === 'javascript:')")


def test_nothing_moves_for_those_who_asked_for_it(browser):
    with serving(MemoryReader()) as site, opened(browser, site, reduced_motion="reduce") as page:
        assert page.evaluate("getComputedStyle(document.querySelector('.pulse')).animationName") == "none"


def test_a_person_finds_the_failing_call_in_three_clicks(browser, site):
    with opened(browser, site) as page:
        page.get_by_role("link", name="check out").click()
        page.locator(".examples li", has_text="failed").first.get_by_role("link").click()
        expect(page.locator(".answer")).to_contain_text("failed at payment POST → bank.example")
        page.locator(".rows .bad a").last.click()

        expect(page.locator("#span")).to_contain_text("bank.py")


def test_the_graph_grows_shrinks_is_dragged_about_and_finds_boxes(browser, site):
    with opened(browser, f"{site}/journeys/check%20out") as page:
        graph, box = page.locator(".graph"), page.locator(".graph-box")
        before = graph.bounding_box()["width"]
        page.keyboard.press("+")
        page.keyboard.press("+")
        page.keyboard.press("+")
        larger = graph.bounding_box()["width"]
        assert larger > 1.8 * before

        box.scroll_into_view_if_needed()
        at = box.bounding_box()
        left = box.evaluate("box => box.scrollLeft")
        page.mouse.move(at["x"] + at["width"] * 0.7, at["y"] + 12)
        page.mouse.down()
        page.mouse.move(at["x"] + at["width"] * 0.7 - 90, at["y"] + 12, steps=4)
        page.mouse.up()
        assert box.evaluate("box => box.scrollLeft") == left + 90
        page.keyboard.press("0")
        assert graph.bounding_box()["width"] == before

        page.keyboard.press("f")
        page.keyboard.type("bank")
        expect(page.locator(".graph .node.found")).to_have_count(1)
        page.locator("#focus").fill("payment")
        page.keyboard.press("Enter")
        page.wait_for_url("**focus=payment**")
        expect(page.locator(".graph .node")).to_have_count(3)


SCRIPTS = {
    "graph": "scaled, kept, matching",
    "keys": "step, nextWanted, isCommand",
    "trace": "staysHere, rowsOf",
    "sheet": "topOf, heightOf, pieces, scrollFor, partsOf, funnel",
    "live": "offer, count, texts, said",
    "times": "local, withOffset, typed",
    "scatter": "chosen",
}


@pytest.mark.parametrize(
    ("module", "expression", "answer"),
    [
        ("keys", "[step(-1, 5, 1), step(-1, 5, -1), step(4, 5, 1), step(2, 5, -1), step(-1, 0, 1)]", [0, 4, 4, 1, -1]),
        (
            "keys",
            "[nextWanted(-1, [false, true, true]), nextWanted(2, [true, false, true]), nextWanted(0, [false])]",
            [1, 0, -1],
        ),
        (
            "keys",
            "[['j', {}], ['j', {altKey: true}], ['[', {altKey: true}], ['[', {metaKey: true}], ['k', {ctrlKey: true}]]"
            ".map(([key, held]) => isCommand({ctrlKey: false, altKey: false, key, ...held}, false))",
            [False, True, False, True, True],
        ),
        (
            "keys",
            "isCommand({key: ']', ctrlKey: true, altKey: true}, true)",  # AltGr + 9 of a German keyboard on Windows
            False,
        ),
        ("trace", "[staysHere('/t/1?span=2', 'http://x/t/1'), staysHere('/t/2', 'http://x/t/1')]", [True, False]),
        ("trace", "rowsOf('http://x/t/1?span=1') === rowsOf('http://x/t/1?span=2')", True),
        ("trace", "rowsOf('http://x/t/1?show=path') === rowsOf('http://x/t/1')", False),
        ("trace", "rowsOf('http://x/t/1?page=3', true) === rowsOf('http://x/t/1', true)", True),
        (
            "scatter",
            "chosen({start: '1795000000000000000', end: '1795000100000000000', low: 1e6, high: 1e8}, .25, .5, 0, .5)",
            {"start": "1795000025000000000", "end": "1795000050000000000", "min": "10000000ns", "max": "100000000ns"},
        ),
        ("graph", "[scaled(1, 1.25), scaled(4, 1.25), scaled(0.2, 0.8), kept(100, 50, 1, 2)]", [1.25, 4, 0.2, 250]),
        ("graph", "[...matching(['Cart', 'bank'], ' CAR '), ...matching(['a'], '')]", [True, False, True]),
        ("sheet", "[topOf(0), topOf(49), topOf(50), heightOf(51)]", [24, 1_200, 1_248, 53 * 24]),
        (
            "sheet",
            "[pieces(0, 700, 100_000), pieces(1_224 * 2, 700, 100_000), pieces(0, 700, 40)]",
            [[0, 50], [50, 100, 150], [0]],
        ),
        ("sheet", "[scrollFor(3, 0, 600), scrollFor(400, 0, 600)]", [0, 9_516]),
        ("sheet", "partsOf({startNs: '20', endNs: '45'}, {startNs: '10', endNs: '30'})", [0.5, 1]),
        ("sheet", "funnel(0.25, 0.5)", "M0 14L250 0M500 0L1000 14"),
        (
            "live",
            "[[3, 4, 'trace'], [3, 1203, 'trace'], [4, 3, 'trace'], [3, 4, ''], [3, 3, 'trace']].map("
            "([a, b, what]) => offer({count: a, verdicts: {}}, {count: b, verdicts: {}}, what))",
            ["1 new trace: show", "1,200 new traces: show", "Numbers changed: show", "Numbers changed: show", ""],
        ),
        (
            "live",
            "[['fine', 'x', 'y'], ['failing', 'y', 'y'], ['fine', 'y', 'z'], ['fine', 'x', 'z']].map("
            "([now, a, b]) => offer({count: 1, now: 'fine', verdicts: {Findings: 'x', Verdicts: 'y'}}, "
            "{count: 2, now, verdicts: {Findings: a, Verdicts: b}}, 'trace'))",
            [
                "1 new trace: show",
                "Now failing: show",
                "Findings and verdicts changed: show",
                "Verdicts changed: show",
            ],
        ),
        (
            "live",
            "[texts({a: [{n: 'y'}, {n: 'x'}, {}], b: [['q']], c: null}, 'a.n,b,c.d'), texts({n: {w: 'one'}}, 'n.w')]",
            ["q\nx\ny", "one"],
        ),
        (
            "live",
            "[[['a', 'fine'], ['b', 'bad', 2, 1]], [['b', 'bad', 1, 2], ['a', 'fine']], "
            "[['a', 'bad', 1, 2], ['b', 'fine']], [['a', ''], ['b', null, 1]]].map((rows) => "
            "texts({j: rows.map(([name, word, ...ids]) => ({name, h: {word}, ids}))}, 'j.name,j.h.word,j.ids'))",
            ["a fine \nb bad 1 2", "a fine \nb bad 1 2", "a bad 1 2\nb fine ", "b  1"],
        ),
        (
            "live",
            "said({n: 2, h: 'fine', f: [{id: 'b'}, {id: 'a'}], answer: 'Well.'}, "
            "{count: 'n', now: 'h', verdicts: 'Findings=f.id', answer: 'yes'})",
            {"count": 2, "now": "fine", "verdicts": {"Findings": "a\nb"}, "answer": "Well."},
        ),
        (
            "live",
            "[count({a: [{n: 2}, {n: 3}], b: {n: 4}}, 'a.n b.n'), count({a: [1, 1, 1]}, 'a'), count({a: null}, 'a.n')]",
            [9, 3, 0],
        ),
        (
            "times",
            "['2026-11-18T23:30:05Z', '2026-11-18T11:30:05Z', '2025-11-18T11:30:05Z'].map("
            "t => local(new Date(t), new Date('2026-11-18T23:45:00Z'), 'Europe/Berlin'))",
            ["00:30:05", "18\u00a0Nov\u00a012:30", "18\u00a0Nov\u00a02025\u00a012:30"],
        ),
        (
            "times",  # the browser of tests is in UTC
            "['2026-11-18 02:41', '2026-11-18', '02:41', '23:50:01', '2026-11-18T02:41Z', '1795000000', 'x', "
            "'02:41:05.25'].map("
            "text => typed(text, new Date('2026-11-18T11:00:00Z')))",
            [
                "2026-11-18T02:41:00+00:00",
                "2026-11-18T00:00:00+00:00",
                "2026-11-18T02:41:00+00:00",
                "2026-11-17T23:50:01+00:00",
                "2026-11-18T02:41Z",
                "1795000000",
                "x",
                "2026-11-18T02:41:05.25+00:00",
            ],
        ),
        (
            "times",
            "[withOffset(new Date('2026-11-18T11:30:05Z'), -330), "
            "withOffset(new Date('2026-11-18T11:30:05Z'), 480, '.25')]",
            ["2026-11-18T17:00:05+05:30", "2026-11-18T03:30:05.25-08:00"],
        ),
    ],
)
def test_the_scripts_pure_parts(browser, site, module, expression, answer):
    with opened(browser, site) as page:
        names = SCRIPTS[module]

        found = page.evaluate(f"import('/static/{module}.js').then(({{ {names} }}) => {expression})")

        assert found == answer
