"""The sampling port as a target: policies, boosts, reports and questions, its log in memory.

What it accepts, clients must be able to read: after each change the document of a service is parsed as a client does.
"""

import json
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

from collector.control.api import ControlApp
from collector.control.guard import Guard
from collector.control.service import SamplingService
from collector.core.sampling.roots import Root
from collector.tokens import Tokens
from cpdd.sampling.document import document_json, read_document
from tests.control.control_server import KnownRoots, MemoryLog
from tests.cpdd.sampling.policies import policy
from tests.fuzz.asking import Answer, Request, Target
from tests.fuzz.span_targets import json_bodies
from tests.fuzz.values import HARD_TEXTS, hard_text, shuffled

BOOST = {
    "service": "shop",
    "operation": "POST /pay",
    "caller": "",
    "percentage": 50.0,
    "duration_s": 60.0,
    "max_traces": 100,
    "attributes": {"tenant": "a"},
    "here": True,
    "id": "b",
    "author": "ann",
    "reason": "looking",
}
STATUS = {
    "service": "shop",
    "instance": "a",
    "interval_s": 1.0,
    "version": 1,
    "counts": [{"name": "GET /", "rule": "a", "seen": 100, "kept": 10}],
}
WHO = {"author": "ann", "reason": "looking"}
CHANGES: tuple[tuple[str, Any], ...] = (
    ("/v1/policies", {"policies": [policy("a", 10, service="shop"), policy("b", 50, op="GET /")], **WHO}),
    ("/v1/policies", policy("c", 5, service="shop")),
    ("/v1/boosts", BOOST),
    ("/v1/boosts", {"service": "shop", "operation": "POST /pay"}),
    ("/v1/boosts/b/extend", {"duration_s": 60.0, **WHO}),
    ("/v1/boosts/b/repeat", {"duration_s": 60.0, **WHO}),
    ("/v1/proposals/p/accept", WHO),
    ("/v1/status", STATUS),
)
QUESTIONS = (
    *(
        "/sampling",
        "/api/sampling",
        "/v1/policies",
        "/v1/policies/stream",
        "/v1/strategies",
        "/v1/proposals",
        "/v1/state",
    ),
    "/nothing",
)
PARAMETERS = (("service", "shop"), ("instance", "a"), ("author", "ann"), ("reason", "looking"))
STATUSES = {200, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 429}


@asynccontextmanager
async def control() -> AsyncIterator[Target]:
    """Open the port. Its clock goes a second a look, so that changes are not refused for their number."""
    log, seconds = MemoryLog(), count(1_000_000)
    with ThreadPoolExecutor(1) as workers:
        clock = lambda: float(next(seconds))  # noqa: E731
        roots = KnownRoots({("shop", "POST /pay", ""): [Root("shop", "POST /checkout")]})
        service = SamplingService(log, roots, workers, clock=clock, wall_clock=clock)
        await service.begin()

        def problem(request: Request, answer: Answer) -> str:
            del log.rows[:-1]
            for name in ("shop", "*"):
                read_document(json.dumps(document_json(service.document(name))))
            return _problem(answer, request.whole)

        yield Target(ControlApp(service, Guard("127.0.0.1", Tokens("control_token", ""))), _request, problem)
        await service.end()


_BODIES = [(address, json_bodies([value])) for address, value in CHANGES]


def _request(rng: random.Random) -> Request:
    query = urlencode(shuffled(PARAMETERS, rng), errors="replace")
    headers = {"host": "127.0.0.1:5778", "content-type": "application/json"}
    if rng.random() < 0.05:
        name = rng.choice(("host", "content-type", "origin", "authorization", "if-none-match", "last-event-id"))
        headers[name] = rng.choice(HARD_TEXTS)
    if rng.random() < 0.3:
        method, address, body = rng.choice(("GET", "GET", "GET", "PUT", "HEAD")), rng.choice(QUESTIONS), b""
    elif rng.random() < 0.1:
        kind, name = rng.choice(("policies", "boosts")), rng.choice(("a", "b", "c", *HARD_TEXTS))
        method, address, body = "DELETE", f"/v1/{kind}/{quote(name, safe='', errors='replace')}", b""
    else:
        address, make = rng.choice(_BODIES)
        method, body = "POST", make(rng)
    if rng.random() < 0.02:
        address = quote(hard_text(address, rng), errors="replace")
    return Request(method, f"{address}?{query}", tuple(headers.items()), (body,), rng.random() > 0.02)


def _problem(answer: Answer, whole: bool) -> str:
    if answer.status not in STATUSES:
        return f"status {answer.status}: {answer.body[:300]!r}"
    if answer.content_type == "text/event-stream":
        return ""
    if answer.status == 304:
        return ""
    said = json.loads(answer.body)
    if answer.status >= 400 and not said["error"]:
        return "a refusal without words"
    return ""
