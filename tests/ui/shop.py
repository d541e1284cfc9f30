"""Traces of a small shop, the same for the same seed: what the pages are tried with.

checkout   shop -> cart -> redis, shop -> payment -> bank (fails now and then, and takes the journey with it),
           shop -> recommend (optional, often fails, survived), an order to a queue and a mail from it
browse     shop -> catalog -> postgres, three prices in parallel
sign in    shop -> accounts, slow hashing, never a call further
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from collector.core.detail import (
    Attributes,
    DetailedSpans,
    Event,
    Link,
    ResourceDetail,
    ScopeDetail,
    SpanDetail,
)
from collector.core.spans import (
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
    STATUS_ERROR,
    STATUS_OK,
)
from tests.core.drawing import DrawnSpan, make_batch

NOW_NS = 1_795_000_000_000_000_000
"""18 November 2026, 11:06:40 UTC; the newest trace is a few seconds older."""
MS = 1_000_000
STACK = """Traceback (most recent call last):
  File "/app/payment/bank.py", line 48, in authorize
    reply = session.post(url, json=order, timeout=2.0)
  File "/usr/lib/python3/dist-packages/requests/sessions.py", line 637, in post
    return self.request("POST", url, data=data, json=json, **kwargs)
requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='bank.example', port=443): Read timed out. (timeout=2.0)"""


@dataclass(slots=True)
class Recorder:
    """Collects the spans of one trace."""

    trace: int
    start_ns: int
    spans: list[DrawnSpan] = field(default_factory=list)
    details: list[SpanDetail] = field(default_factory=list)

    def span(
        self,
        service: str,
        operation: str,
        start_ms: float,
        end_ms: float,
        parent: int = 0,
        kind: int = KIND_INTERNAL,
        failed: str = "",
        attributes: Attributes = (),
        events: tuple[Event, ...] = (),
        links: tuple[Link, ...] = (),
        **columns: str | int,
    ) -> int:
        """Add a span and return its id; times are milliseconds from the start of the trace."""
        span_id = (self.trace << 20 | len(self.spans) + 1) * 0x9E3779B97F4A7C15 % 2**64 or 1
        columns.setdefault("status_code", STATUS_ERROR if failed else STATUS_OK if kind == KIND_SERVER else 0)
        self.spans.append(
            DrawnSpan(
                label=str(span_id),
                span_id=span_id,
                start_time_unix_nano=self.at(start_ms),
                end_time_unix_nano=self.at(end_ms),
                service=service,
                operation=operation,
                parent_span_id=parent,
                kind=kind,
                trace=self.trace,
                hosts=(("host.name", f"{service}-7d9f"),),
                columns=tuple(columns.items()),
            )
        )
        resource = (("service.name", service), ("service.version", "1.4.2"), ("host.name", f"{service}-7d9f"))
        self.details.append(
            SpanDetail(
                attributes=attributes,
                events=events,
                links=links,
                status_message=failed,
                resource=ResourceDetail(attributes=resource),
                scope=ScopeDetail(name="opentelemetry.instrumentation.flask", version="0.66b0"),
            )
        )
        return span_id

    def at(self, ms: float) -> int:
        return self.start_ns + round(ms * MS)

    def finish(self) -> DetailedSpans:
        details = list(self.details)
        return DetailedSpans(make_batch(self.spans), lambda row: details[row])


def call(
    r: Recorder,
    parent: int,
    caller: str,
    callee: str,
    operation: str,
    start: float,
    end: float,
    failed: str = "",
    **more: object,
) -> int:
    """Add a CLIENT and a SERVER span with a little network between them; return the server's id."""
    network = min(1.5, (end - start) / 8)
    method, _, path = operation.partition(" ")
    http: Attributes = (("http.request.method", method), ("http.route", path), ("server.address", f"{callee}.shop"))
    client = r.span(caller, method, start, end, parent, KIND_CLIENT, failed, http, **more)
    return r.span(callee, operation, start + network, end - network, client, KIND_SERVER, failed, http)


def checkout(r: Recorder, rng: random.Random, slow: float = 1.0) -> DetailedSpans:
    redis = 18 * rng.lognormvariate(0, 0.4) * slow
    pay = 70 * rng.lognormvariate(0, 0.35)
    bank_down, recommend_down = rng.random() < 0.2, rng.random() < 0.35
    if bank_down:
        pay = 210 + 20 * rng.random()
    cart_from, cart_to = 6.0, 6 + redis + 14
    pay_from, pay_to = cart_to + 3, cart_to + 3 + pay
    end = pay_to + 7
    error = "payment was refused: bank did not answer within 2 s" if bank_down else ""
    http: Attributes = (("http.request.method", "POST"), ("http.route", "/checkout"), ("enduser.id", "u-1848"))
    root = r.span(
        "shop",
        "POST /checkout",
        0,
        end,
        0,
        KIND_SERVER,
        error,
        http,
        journey="check out",
        http_status=502 if bank_down else 200,
    )
    cart = call(r, root, "shop", "cart", "GET /cart/{id}", cart_from, cart_to)
    query: Attributes = (
        ("db.system.name", "redis"),
        ("db.query.text", "HGETALL cart:1848"),
        ("server.address", "redis"),
    )
    r.span("cart", "HGETALL", cart_from + 4, cart_from + 4 + redis, cart, KIND_CLIENT, "", query, db_system="redis")
    r.span("cart", "price items", cart_from + 4 + redis + 1, cart_to - 3, cart, KIND_INTERNAL)
    payment = call(r, root, "shop", "payment", "POST /pay", pay_from, pay_to, error, requirement=1)
    raised: Attributes = (
        ("exception.type", "requests.exceptions.ReadTimeout"),
        ("exception.message", "Read timed out. (read timeout=2.0)"),
        ("exception.stacktrace", STACK),
    )
    events = (Event(r.at(pay_to - 4), "exception", raised),) if bank_down else ()
    address: Attributes = (("server.address", "bank.example"), ("url.full", "https://bank.example/v2/authorize"))
    r.span(
        "payment",
        "POST",
        pay_from + 6,
        pay_to - 4,
        payment,
        KIND_CLIENT,
        error,
        address,
        events,
        server_address="bank.example",
        requirement=1,
    )
    down = "connection refused" if recommend_down else ""
    call(
        r,
        root,
        "shop",
        "recommend",
        "GET /recommend",
        cart_from,
        cart_from + (3 if down else 16),
        down,
        requirement=2,
        outcome=5 if down else 1,
    )
    order = (("messaging.system", "rabbitmq"), ("messaging.destination.name", "orders"))
    if not bank_down:
        sent = r.span(
            "shop",
            "send orders",
            end - 4,
            end - 3,
            root,
            KIND_PRODUCER,
            "",
            order,
            messaging_system="rabbitmq",
            messaging_destination="orders",
        )
        mail = r.span(
            "mail",
            "process orders",
            end + 9,
            end + 48,
            sent,
            KIND_CONSUMER,
            "",
            order,
            messaging_system="rabbitmq",
            messaging_destination="orders",
        )
        r.span("mail", "render receipt", end + 12, end + 30, mail, KIND_INTERNAL)
    return r.finish()


def browse(r: Recorder, rng: random.Random, slow: float = 1.0) -> DetailedSpans:
    query = 12 * rng.lognormvariate(0, 0.5) * slow
    prices = [8 * rng.lognormvariate(0, 0.5) for _ in range(3)]
    listed = 4 + query + 6
    end = listed + max(prices) + 5
    root = r.span("shop", "GET /", 0, end, 0, KIND_SERVER, journey="browse", http_status=200)
    catalog = call(r, root, "shop", "catalog", "GET /items", 2, 2 + query + 7)
    sql: Attributes = (
        ("db.system.name", "postgresql"),
        ("db.query.text", "SELECT * FROM items WHERE visible ORDER BY rank LIMIT 20"),
    )
    r.span(
        "catalog",
        "SELECT shop.items",
        4,
        4 + query,
        catalog,
        KIND_CLIENT,
        "",
        sql,
        db_system="postgresql",
        db_namespace="shop",
    )
    for price in prices:
        call(r, root, "shop", "price", "GET /price/{id}", listed, listed + price)
    return r.finish()


def sign_in(r: Recorder, rng: random.Random, slow: float = 1.0) -> DetailedSpans:
    hashing = 90 * rng.lognormvariate(0, 0.1) * slow
    root = r.span("shop", "POST /session", 0, hashing + 9, 0, KIND_SERVER, journey="sign in", http_status=200)
    accounts = call(r, root, "shop", "accounts", "POST /verify", 3, hashing + 6)
    r.span("accounts", "hash password", 5, hashing + 3, accounts, KIND_INTERNAL)
    return r.finish()


JOURNEYS: tuple[tuple[Callable[..., DetailedSpans], int], ...] = ((checkout, 3), (browse, 5), (sign_in, 1))


def shop_traces(count: int = 120, seed: int = 7, now_ns: int = NOW_NS) -> Iterator[DetailedSpans]:
    """Yield traces of the last hour before `now_ns`, oldest first; redis is slow in the last quarter of it."""
    rng = random.Random(seed)
    makers, weights = zip(*JOURNEYS, strict=True)
    for i in range(count):
        back = (count - i) / count
        recorder = Recorder(trace=i + 1, start_ns=now_ns - round(back * 3_500e9) - 5_000 * MS)
        maker = rng.choices(makers, weights)[0]
        yield maker(recorder, rng, slow=4.0 if maker is checkout and back < 0.25 else 1.0)
