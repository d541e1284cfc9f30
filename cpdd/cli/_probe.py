"""A test span, sent and found again: does what a service sends arrive where people look? Used by `cpdd doctor`."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from cpdd.cli._otlp_http import EndpointError, OtlpHttpSender
from cpdd.encoding import encode_request
from cpdd.ids import PrivateIds

LOOK_FOR_S = 15.0
"""A trace is shown when it has been quiet for 2 s; a collector in between may hold it for some more."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of the test span. `problem` is "" where it was sent, and found where it was looked for."""

    trace_id: str
    is_sent: bool
    is_found: bool
    took_s: float = 0.0
    problem: str = ""


def probe(sender: OtlpHttpSender, ui: str | None, wait: Callable[[float], None] = time.sleep) -> Probe:
    """Send one span and look for it.

    Args:
        ui: base address of a Jaeger query API, cpdd's own for instance; None to only send.
    """
    ids = PrivateIds()
    trace_id = f"{ids.generate_trace_id():032x}"
    begun = time.monotonic()
    try:
        accepted = sender.send(encode_request([_span(int(trace_id, 16), ids.generate_span_id())]))
    except EndpointError as error:
        return Probe(trace_id, False, False, problem=str(error))
    if accepted.rejected_spans:
        return Probe(trace_id, False, False, problem=f"rejected: {accepted.message}")
    if ui is None:
        return Probe(trace_id, True, False)
    problem = ""
    while (took_s := time.monotonic() - begun) < LOOK_FOR_S:
        try:
            if _is_there(f"{ui.rstrip('/')}/api/traces/{trace_id}"):
                return Probe(trace_id, True, True, round(took_s, 1))
        except (OSError, ValueError) as error:
            return Probe(trace_id, True, False, problem=f"cannot ask {ui}: {getattr(error, 'reason', error)}")
        wait(0.2)
    problem = f"taken by the collector, and not to be found at {ui} after {LOOK_FOR_S:g} s"
    return Probe(trace_id, True, False, round(took_s, 1), problem)


def _span(trace_id: int, span_id: int) -> ReadableSpan:
    now = time.time_ns()
    return ReadableSpan(
        name="cpdd doctor",
        context=SpanContext(trace_id, span_id, False, TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)),
        resource=Resource({"service.name": "cpdd-doctor"}),
        kind=SpanKind.INTERNAL,
        attributes={"cpdd.doctor": True},
        start_time=now - 1_000_000,
        end_time=now,
    )


def _is_there(address: str) -> bool:
    """Whether a trace is there; one that is not is answered with 404. Raises OSError, ValueError for other answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(json.load(response).get("data"))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
