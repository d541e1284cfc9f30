"""The pages and the query API as a target, over an embedded store with a few traces in it."""

import json
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from collector.store.engine import open_store
from collector.store.reader import Reader
from collector.store.schema import Retention
from collector.web import as_asgi
from tests.fuzz.asking import Answer, Request, Target
from tests.fuzz.values import HARD_TEXTS, hard_text, shuffled
from tests.store.learned import LearnedTrace
from tests.store.spans import MINUTE_NS, NOON, Span
from tests.store.test_reader import commit, learn
from ui.app import create_app
from ui.views.page import UiSettings

JOURNEY = "check out"
SHOP, CART, PAY = ("shop", "POST /checkout"), ("cart", "GET /cart"), ("pay", "POST /pay")
TRACE_IDS = [f"{number:032x}" for number in range(1, 9)]
START, END = str(NOON // 1_000), str((NOON + 10 * MINUTE_NS) // 1_000)
PATHS = (
    *(
        "/",
        "/.json",
        "/findings",
        "/findings.json",
        "/search",
        "/search.json",
        "/services",
        "/services.json",
        "/sampling",
    ),
    *(
        "/sampling/boost",
        "/system",
        "/system.json",
        "/examples",
        "/examples.json",
        "/compare",
        "/compare.json",
        "/what-if",
    ),
    *(f"/journeys/{quote(JOURNEY)}{form}" for form in ("", ".json")),
    *(f"/traces/{TRACE_IDS[0]}{rest}" for rest in ("", ".json", ".otlp.json", ".jaeger.json", "/escalation", "/rows")),
    *(f"/traces/{TRACE_IDS[0]}{rest}" for rest in ("/compare", "/compare.json", "/escalation.md", "/kept")),
    *("/findings/f/escalation", "/findings/f/escalation.md", "/openapi.json", "/healthz", "/static/page.css"),
    *("/api/services", "/api/services/shop/operations", "/api/operations", "/api/traces", "/api/dependencies"),
    *(f"/api/traces/{TRACE_IDS[0]}", "/sampling/boosts", "/sampling/ended", "/journeys", f"/trace/{TRACE_IDS[0]}"),
)
PARAMETERS = (
    *(
        ("last", "1h"),
        ("start", START),
        ("end", END),
        ("journey", JOURNEY),
        ("service", "shop"),
        ("operation", "GET /cart"),
    ),
    *(("q", "service:shop error"), ("min", "1ms"), ("max", "10s"), ("minDuration", "1ms"), ("maxDuration", "2s")),
    *(
        ("limit", "5"),
        ("tags", '{"a":"1"}'),
        ("tag", "a:1"),
        ("lookback", "1h"),
        ("endTs", "1760000700000"),
        ("error", "x"),
    ),
    *(("span", f"{1:016x}"), ("with", TRACE_IDS[1]), ("open", "shop"), ("need", "mandatory"), ("sort", "slowest")),
    *(
        ("band", "slow"),
        ("path", "1"),
        ("for", "cart"),
        ("group", "0"),
        ("of", "cart"),
        ("to", "50%"),
        ("against", "before"),
    ),
    *(
        ("release", "1.0"),
        ("on_path", "1"),
        ("failed", "1"),
        ("show", "all"),
        ("unweighted", "1"),
        ("spanKind", "server"),
    ),
    *(
        ("id", "b"),
        ("caller", "shop"),
        ("reason", "looking"),
        ("name", JOURNEY),
        ("find", "cart"),
        ("set", "cart=-10ms"),
    ),
)
STATUSES = {200, 301, 302, 303, 304, 308, 400, 403, 404, 405, 411, 413, 414, 415, 416}
NEVER_FORGET = Retention(0, 0, 0)


@asynccontextmanager
async def query() -> AsyncIterator[Target]:
    """Open the store and its pages; half an hour after the traces it is always now."""
    with tempfile.TemporaryDirectory() as folder, open_store("chdb://", Path(folder), NEVER_FORGET) as store:
        spans = [_spans(number) for number in range(1, 9)]
        commit(store, *spans)
        learn(store, [_learned(number) for number in range(1, 9)])
        settings = UiSettings(otlp_http="http://127.0.0.1:4318", otlp_grpc="127.0.0.1:4317", version="0.1.0")
        app = create_app(Reader(store), settings, lambda: NOON + 30 * MINUTE_NS)
        yield Target(as_asgi(app), _request, lambda request, answer: _problem(request, answer))


def _spans(trace: int) -> list[Span]:
    at = NOON + trace * MINUTE_NS
    resource = {"service.version": "1.0", "host.name": "h"}
    return [
        Span(trace, 1, 0, SHOP[1], SHOP[0], 2, at, at + 100_000_000, resource=resource),
        Span(trace, 2, 1, CART[1], CART[0], 3, at + 1_000_000, at + 40_000_000, attributes={"a": "1"}),
        Span(trace, 3, 1, PAY[1], PAY[0], 2, at + 40_000_000, at + 90_000_000, 2, status_message="declined"),
    ]


def _learned(trace: int) -> LearnedTrace:
    return LearnedTrace(
        trace,
        NOON + trace * MINUTE_NS,
        trace * 100_000_000,
        JOURNEY,
        failed=trace % 2 == 0,
        path={(SHOP,): trace * 40_000_000, (SHOP, CART): trace * 30_000_000, (SHOP, PAY): trace * 30_000_000},
        edges={(SHOP, CART): {"Calls": 1, "CallsFailed": trace % 2}, (SHOP, PAY): {"Calls": 1}},
    )


def _request(rng: random.Random) -> Request:
    path = rng.choice(PATHS)
    if rng.random() < 0.15:
        parts = path.split("/")
        at = rng.randrange(len(parts))
        parts[at] = quote(hard_text(parts[at], rng), safe=rng.choice(("", "/%")), errors="replace")
        path = "/".join(parts)
    some = rng.sample(PARAMETERS, rng.choice((0, 1, 2, 3, 6)))
    address = f"{path}?{urlencode(shuffled(some, rng), errors='replace')}"
    headers = {"host": "127.0.0.1:8080"}
    if rng.random() < 0.1:
        name = rng.choice(
            ("host", "accept-encoding", "if-none-match", "cookie", "range", "content-type", "content-length")
        )
        headers[name] = rng.choice((*HARD_TEXTS, "gzip", '"*"', "bytes=0-1"))
    method = rng.choice(("POST", "HEAD", "PUT")) if rng.random() < 0.03 else "GET"
    body = urlencode(shuffled(some, rng), errors="replace").encode() if method == "POST" else b""
    if body:
        headers |= {"content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
    return Request(method, address, tuple(headers.items()), (body,))


def _problem(request: Request, answer: Answer) -> str:
    if answer.status not in STATUSES:
        return f"status {answer.status}: {answer.body[:300]!r}"
    if any("\r" in value or "\n" in value for value in answer.headers.values()):
        return "a header of two lines"
    if request.method == "HEAD" or answer.status in (301, 302, 303, 304, 308) or "content-encoding" in answer.headers:
        return ""
    if answer.content_type == "application/json":
        json.loads(answer.body)
    elif answer.body.startswith(b"<!doctype") and not answer.body.rstrip().endswith(b"</html>"):
        return "a page without its end"
    return ""
