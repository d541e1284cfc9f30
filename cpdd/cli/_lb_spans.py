"""An exchange of a load balancer to spans: a SERVER span, and a CLIENT span per attempt. Values only.

    GET            SERVER  |------------------------|   parent: the caller's span, where it sent one
      GET stock:1  CLIENT   |---|                       an attempt that failed
      GET stock:2  CLIENT       |------------------|    the one whose id the application has for its parent

Ids come from the request's id: a log that is imported twice gives the same spans.
"""

import hashlib

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from cpdd.cli._lb_log import Attempt, Exchange, Origin

_SCOPE = InstrumentationScope("cpdd.balancer")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)


def spans_of(exchange: Exchange, resource: Resource) -> list[ReadableSpan]:
    """Return the spans of an exchange; none where the trace it belongs to is not kept.

    The trace is the caller's, else the one that the balancer started, else the one that the application named in its
    answer; an exchange that none of them names is a trace of its own.
    """
    trace_id = _kept_trace(exchange)
    if trace_id is None:
        return []
    state = TraceState([("ot", exchange.started[3:])]) if exchange.started[3:] else TraceState()
    server = SpanContext(trace_id, int(exchange.request_id[:16], 16), False, _SAMPLED, state)
    parent = _remote(exchange.incoming) if exchange.incoming else None
    attempts = _attempt_spans(exchange, server, resource)
    return [_server_span(exchange, server, parent, resource), *attempts]


def _kept_trace(exchange: Exchange) -> int | None:
    for origin in (exchange.incoming, None if exchange.started else exchange.learned):
        if origin is not None:
            return origin.trace_id if origin.is_sampled else None
    if exchange.started and not int(exchange.started[:2], 16) & 1:
        return None
    return int(exchange.request_id, 16)


def _server_span(
    exchange: Exchange, context: SpanContext, parent: SpanContext | None, resource: Resource
) -> ReadableSpan:
    events = []
    if exchange.queued_ns is not None and exchange.attempts:
        waited = {"cpdd.queue.duration_ns": exchange.queued_ns}
        events.append(Event("queue left", waited, exchange.attempts[0].start_ns))
    return ReadableSpan(
        name=exchange.method,
        context=context,
        parent=parent,
        resource=resource,
        kind=SpanKind.SERVER,
        attributes={
            **exchange.attributes,
            **({"http.response.status_code": exchange.status} if exchange.status else {}),
            **({"cpdd.cache": exchange.cache} if exchange.cache else {}),
        },
        events=events,
        status=_status(exchange.status >= 500 or not exchange.status),
        start_time=exchange.start_ns,
        end_time=exchange.end_ns,
        instrumentation_scope=_SCOPE,
    )


def _attempt_spans(exchange: Exchange, server: SpanContext, resource: Resource) -> list[ReadableSpan]:
    found: list[ReadableSpan] = []
    for turn, attempt in enumerate(exchange.attempts):
        is_last = turn == len(exchange.attempts) - 1
        links = []
        if is_last and exchange.learned and not exchange.incoming and not exchange.started:
            # before the other one: of a span's links one goes to the analyzer, and this one makes the trace a tree
            links.append(Link(_remote(exchange.learned), {"cpdd.link.type": "adopted"}))
        if found and found[-1].context:
            links.append(Link(found[-1].context, {"cpdd.link.type": "retry"}))
        span_id = exchange.request_id[16:] if is_last else _id_of(exchange.request_id, turn)
        context = SpanContext(server.trace_id, int(span_id, 16), False, _SAMPLED, server.trace_state)
        found.append(_attempt_span(exchange, attempt, turn, context, server, links, resource))
    return found


def _attempt_span(
    exchange: Exchange,
    attempt: Attempt,
    turn: int,
    context: SpanContext,
    parent: SpanContext,
    links: list[Link],
    resource: Resource,
) -> ReadableSpan:
    address, _, port = attempt.address.rpartition(":")
    events = (("connected", attempt.connected_ns), ("first byte", attempt.first_byte_ns))
    return ReadableSpan(
        name=exchange.method,
        context=context,
        parent=parent,
        resource=resource,
        kind=SpanKind.CLIENT,
        attributes={
            "http.request.method": exchange.method,
            "server.address": address or attempt.address,
            **({"server.port": int(port)} if address and port.isdecimal() else {}),
            **({"http.response.status_code": attempt.status} if attempt.status else {}),
            **({"http.request.resend_count": turn} if turn else {}),
            **({"cpdd.attempt.estimated": True} if attempt.is_estimated else {}),
        },
        events=[Event(name, {}, attempt.start_ns + after_ns) for name, after_ns in events if after_ns is not None],
        links=links,
        status=_status(attempt.status is None or attempt.status >= 500),
        start_time=attempt.start_ns,
        end_time=max(attempt.end_ns, attempt.start_ns),
        instrumentation_scope=_SCOPE,
    )


def _status(is_error: bool) -> Status:
    return Status(StatusCode.ERROR if is_error else StatusCode.UNSET)


def _remote(origin: Origin) -> SpanContext:
    return SpanContext(origin.trace_id, origin.span_id, True, _SAMPLED)


def _id_of(request_id: str, turn: int) -> str:
    return hashlib.sha256(f"{request_id}/{turn}".encode()).hexdigest()[:16]
