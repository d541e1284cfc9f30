"""The sampling port: Jaeger's `GET /sampling`, policies pushed and polled, changes, reports.

One ASGI application in the loop thread. A stream is a task that waits for an event; it holds no thread.
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from collector.control.guard import Bucket, Caller, Forbidden, Guard
from collector.control.proposals import Proposer, UnknownProposal, proposal_json
from collector.control.requests import read_acceptance, read_boost, read_change, read_renewal, read_report
from collector.control.service import SamplingService, boosted_json
from collector.control.state import state_of
from collector.control.targets import NoRoots, TooManyRoots
from collector.core.sampling.policies import TooManyPolicies, UnknownPolicy
from collector.receive.answers import JSON_TYPE, Reply
from collector.receive.asgi import Receive, Scope, Send, header, respond
from cpdd.errors import CpddError
from cpdd.sampling.document import Document, document_json, policy_json
from cpdd.sampling.fields import PolicyError
from cpdd.sampling.jaeger import strategy_json

log = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
MAX_WAIT_S = 60.0
MAX_BODY_BYTES = 4 << 20
BODY_S = 10.0
CHANGES_PER_S, CHANGES_BURST = 5.0, 50
MAX_NAME_CHARS = 256
MAX_ENCODED = 64
"""Documents, of some MB at most, that are kept as they were sent."""

_STATUSES: Mapping[type[CpddError], HTTPStatus] = {
    PolicyError: HTTPStatus.BAD_REQUEST,
    UnknownPolicy: HTTPStatus.NOT_FOUND,
    UnknownProposal: HTTPStatus.NOT_FOUND,
    NoRoots: HTTPStatus.NOT_FOUND,
    TooManyRoots: HTTPStatus.CONFLICT,
    TooManyPolicies: HTTPStatus.CONFLICT,
}


class Query:
    """The parameters of an address."""

    def __init__(self, scope: Scope) -> None:
        self._values = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)

    def one(self, name: str, default: str | None = None) -> str:
        """Return a parameter that is there exactly once, or `default` where nothing is said. Raises PolicyError."""
        values: list[str] = self._values.get(name, [])
        if values in ([], [""]) and default is not None:
            return default
        if len(values) != 1:
            raise PolicyError("missing" if not values else f"said {len(values)} times, once is expected", name)
        if not 0 < len(values[0]) <= MAX_NAME_CHARS:
            raise PolicyError(f"{len(values[0])} characters, 1 to {MAX_NAME_CHARS} are expected", name)
        return values[0]

    def number(self, name: str) -> float:
        text = self.one(name, "0")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            raise PolicyError(f"{text!r} is no number", name)
        return min(max(number, 0.0), MAX_WAIT_S)


class ControlApp:
    """The ASGI application."""

    def __init__(
        self, service: SamplingService, guard: Guard, proposer: Proposer | None = None, body_s: float = BODY_S
    ) -> None:
        self._service = service
        self._body_s = body_s
        self._proposer = proposer or Proposer(service)
        self._guard = guard
        self._changes = Bucket(CHANGES_PER_S, CHANGES_BURST, service.now_s)
        self._encoded = _Encoded()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope)
        try:
            self._guard.check(caller)
            if scope["path"] == "/v1/policies/stream" and scope["method"] == "GET":
                await self._stream(scope, receive, send, caller)
                return
            reply = await self._answer(scope, receive, caller)
        except Forbidden as refusal:
            reply = _refusal(refusal.status, refusal, {"hint": refusal.hint})
        except CpddError as error:
            reply = _refusal(_STATUSES.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR), error, vars(error))
        except Exception as error:
            log.exception("request failed", extra={"path": scope["path"]})
            reply = _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, error, {})
        await respond(send, reply)

    async def _answer(self, scope: Scope, receive: Receive, caller: Caller) -> Reply:
        query, path = Query(scope), scope["path"]
        match scope["method"], path.rstrip("/"):
            case "GET", "/sampling" | "/api/sampling":
                return _json(strategy_json(self._service.tell(query.one("service"))))
            case "GET", "/v1/policies":
                return await self._policies(query, header(scope, b"if-none-match"), caller)
            case "GET", "/v1/strategies":
                return _json(self._service.strategies())
            case "GET", "/v1/proposals":
                return _json({"proposals": [proposal_json(found) for found in await self._proposer.proposals()]})
            case "GET", "/v1/state":
                return _json(await state_of(self._service))
            case "POST", "/v1/status":
                self._guard.check_report(caller)
                report = read_report(await self._body(receive, caller))
                return _json({"leases": await self._service.report(report)})
        if scope["method"] in ("POST", "DELETE"):
            return await self._change(scope["method"], scope["raw_path"], query, receive, caller)
        text = f"nothing is at {path!r}; docs/reference/sampling.md lists the addresses"
        return _json({"error": text}, HTTPStatus.NOT_FOUND)

    async def _change(self, method: str, raw_path: bytes, query: Query, receive: Receive, caller: Caller) -> Reply:
        service = self._service
        parts = [unquote(part) for part in raw_path.decode("latin-1").strip("/").split("/")]
        match method, parts:
            case "POST", ["v1", "policies"]:
                self._admit(caller)
                change = read_change(await self._body(receive, caller), service.longest_boost_s, service.now_ms())
                return _json({"version": await service.put(change)})
            case "POST", ["v1", "boosts"]:
                self._admit(caller)
                request = read_boost(await self._body(receive, caller), service.longest_boost_s)
                return _json(boosted_json(await service.boost(request)))
            case "POST", ["v1", "boosts", policy_id, "extend" | "repeat" as verb]:
                self._admit(caller)
                renewal = read_renewal(await self._body(receive, caller), service.longest_boost_s)
                return _json(boosted_json(await service.renew(policy_id, renewal, verb == "repeat")))
            case "POST", ["v1", "proposals", proposal_id, "accept"]:
                self._admit(caller)
                author, reason = read_acceptance(await self._body(receive, caller))
                return _json(boosted_json(await self._proposer.accept(proposal_id, author, reason)))
            case "DELETE", ["v1", "policies" | "boosts", policy_id]:
                self._admit(caller)
                author, reason = query.one("author", ""), query.one("reason", "")
                return _json({"version": await service.delete(policy_id, author, reason)})
        return _json({"error": f"nothing takes {method} at {raw_path.decode('latin-1')!r}"}, HTTPStatus.NOT_FOUND)

    def _admit(self, caller: Caller) -> None:
        self._guard.check_change(caller)
        self._changes.take()

    async def _body(self, receive: Receive, caller: Caller) -> Any:
        """The JSON value of a body. Raises Forbidden and PolicyError."""
        self._guard.check_body(caller)
        try:
            async with asyncio.timeout(self._body_s):
                body = await _whole(receive)
        except TimeoutError:
            raise Forbidden(HTTPStatus.REQUEST_TIMEOUT, f"no whole body came within {self._body_s:g} s") from None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise PolicyError(f"not valid JSON: {error}", "the body") from None

    async def _policies(self, query: Query, known: str, caller: Caller) -> Reply:
        """The policies of one service, at once or when they have changed; without a service those that people wrote."""
        service = query.one("service", "")
        if not service:
            book = self._service.book
            policies = [policy_json(policy) for policy in book.policies.values()]
            return _json({"version": book.version, "policies": policies})
        instance = query.one("instance", "") if self._guard.may_report(caller) else ""
        document = self._service.document(service)
        wait_s = query.number("wait")
        if wait_s and known == _tag(document):
            with self._service.stream(service, instance) as stream, suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while known == _tag(document) and not self._service.ending:
                        await stream.changed.wait()
                        stream.changed.clear()
                        document = self._service.document(service)
        if known == _tag(document):
            return Reply(HTTPStatus.NOT_MODIFIED, JSON_TYPE, b"", (("etag", known),))
        headers = (("etag", _tag(document)), ("cache-control", "no-cache"))
        return _json(self._encoded.json(document), headers=headers)

    async def _stream(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Server-sent events: policies when they change, leases, a heartbeat, until either side goes away.

        Who may not report is nobody: told the policies, granted nothing, and in no list of clients.
        """
        query = Query(scope)
        service, instance = query.one("service"), query.one("instance")
        if not self._guard.may_report(caller):
            instance = ""
        known = header(scope, b"last-event-id")
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        gone = asyncio.ensure_future(_gone(receive))
        granted: dict[str, int] = {}
        try:
            with self._service.stream(service, instance) as stream:
                gone.add_done_callback(lambda _: stream.changed.set())
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                while not self._service.ending and not gone.done():
                    stream.changed.clear()
                    document = self._service.document(service)
                    events = b":\n\n"
                    if _id(document) != known:
                        known = _id(document)
                        events = _event("policies", known, self._encoded.json(document))
                    leases = self._service.leases_of(service, instance) if instance else {}
                    if leases != granted:
                        granted = leases
                        events += _event("leases", "", {"leases": leases})
                    await send({"type": "http.response.body", "body": events, "more_body": True})
                    with suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT_S):
                            await stream.changed.wait()
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


class _Encoded:
    """Documents as JSON values: policies are encoded once, however many clients they go to."""

    def __init__(self) -> None:
        self._policies: dict[str, orjson.Fragment] = {}

    def json(self, document: Document) -> dict[str, Any]:
        policies = self._policies.get(document.hash)
        if policies is None:
            if len(self._policies) >= MAX_ENCODED:
                self._policies.clear()
            policies = orjson.Fragment(orjson.dumps([policy_json(policy) for policy in document.policies]))
            self._policies[document.hash] = policies
        return document_json(replace(document, policies=())) | {"policies": policies}


async def _whole(receive: Receive) -> bytes:
    """The body of a request. Raises Forbidden (413)."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise Forbidden(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body is over the limit of {MAX_BODY_BYTES} bytes")
    return bytes(body)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, event_id: str, value: object) -> bytes:
    head = f"event: {name}\n" + (f"id: {event_id}\n" if event_id else "")
    return head.encode() + b"data: " + orjson.dumps(value) + b"\n\n"


def _id(document: Document) -> str:
    return f"{document.version}-{document.hash}"


def _tag(document: Document) -> str:
    return f'"{_id(document)}"'


def _caller(scope: Scope) -> Caller:
    peer = scope.get("client")
    return Caller(
        host=header(scope, b"host"),
        origin=header(scope, b"origin"),
        authorization=header(scope, b"authorization"),
        content_type=header(scope, b"content-type").partition(";")[0].strip().lower(),
        peer=peer[0] if peer else "",
    )


def _json(value: object, status: HTTPStatus = HTTPStatus.OK, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, JSON_TYPE, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE), headers)


def _refusal(status: HTTPStatus, error: Exception, facts: Mapping[str, Any]) -> Reply:
    """An error with its sentence and its facts: `place` names the field."""
    said = {name: facts[name] for name in ("problem", "place", "hint") if facts.get(name)}
    return _json({"error": str(error) or type(error).__name__, **said}, status)
