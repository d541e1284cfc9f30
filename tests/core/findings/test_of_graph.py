"""Findings of the traces of files."""

from dataclasses import replace

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.findings.model import Finding
from collector.core.findings.of_graph import findings_of
from collector.core.graph_build import dependency_graph
from collector.core.journeys import Journey, JourneyBook, Match
from collector.core.population import population_of
from collector.core.queue_promises import Queue, QueuePromise
from collector.core.spans import SpanBatch, concatenate
from collector.core.wire import decode_traces
from tests.core.drawing import read_trace


def of(batch: SpanBatch, book: JourneyBook = JourneyBook()) -> tuple[Finding, ...]:
    return findings_of(dependency_graph(batch, book=book), population_of(batch, book=book), batch, book)


def many(*kinds: str, times: int = 40) -> SpanBatch:
    """So many traces of each kind; `@` is where the number of a trace goes."""
    texts = [kind for kind in kinds for _ in range(times)]
    lines = [
        f"{line.strip().replace('@', f'#{number}')} trace {number + 1}"
        for number, text in enumerate(texts)
        for line in text.strip().splitlines()
    ]
    return read_trace("\n".join(lines), "ms")


WELL = """
shop/buy@ 0-100 server ok
shop/POST@ 20-90 client optional in shop/buy@ peer_service=price
"""
DEAD = """
shop/buy@ 0-100 server error
shop/POST@ 20-90 client optional error in shop/buy@ peer_service=price
"""


def test_a_call_that_is_declared_optional_and_takes_the_journey_down_is_found_with_its_traces():
    first = of(many(WELL, DEAD))[0]

    assert first.title == "shop buy fails with price, which it declares optional"
    assert [int(trace[16:], 16) for trace in first.examples] == [41, 42, 43]


def test_the_book_names_the_journey_and_its_owner():
    book = JourneyBook((Journey("check out", (Match(operation="buy"),), owner="Storefront"),))

    first = of(many(WELL, DEAD), book)[0]

    assert (first.journey, first.owner) == ("check out", "Storefront")


def test_an_optional_call_that_is_waited_for_blocks():
    (finding,) = of(many(WELL))

    assert finding.title == "shop: buy waits for price, which it could do without"


def test_a_queue_is_held_against_what_the_book_promises():
    sent = """
    shop/send@ 0-1 producer messaging_system=kafka messaging_destination=orders
    mail/take@ 60-90 consumer in shop/send@ messaging_system=kafka messaging_destination=orders
    """
    strict = JourneyBook(queues=(Queue("orders", QueuePromise(0.99, 50_000_000)),))

    assert [finding.kind for finding in of(many(sent))] == []
    (late,) = of(many(sent), strict)
    assert (late.kind, late.service, late.facts[0].value) == ("queue late", "mail", 0.0)


PROMISED = JourneyBook((Journey("check out", (Match(operation="buy"),), availability=0.99, criticality="critical"),))


def test_promises_stand_as_they_did_when_the_newest_trace_began():
    found = of(many(WELL, DEAD), PROMISED)

    burning = next(one for one in found if one.kind == "budget burning")
    assert burning.title == "check out fails more often than it promises: most of it with price"
    assert ("kept", 0.5) in [(fact.name, fact.value) for fact in burning.facts]


def test_a_mandatory_dependency_is_held_against_the_extra_nine():
    missing = next(one for one in of(many(WELL, DEAD, times=200), PROMISED) if one.kind == "missing nine")

    assert (missing.journey, missing.service) == ("check out", "price")


def later(first: SpanBatch, second: SpanBatch) -> SpanBatch:
    """Both, the second an hour after the first and under other trace ids."""
    hour_ns = 3600 * 10**9
    moved = replace(
        second,
        trace_id_low=second.trace_id_low + np.uint64(10_000),
        start_time_unix_nano=second.start_time_unix_nano + hour_ns,
        end_time_unix_nano=second.end_time_unix_nano + hour_ns,
    )
    return concatenate([first, moved])


CALLS_TIPS = WELL.replace("optional ", "") + "shop/GET@ 90-95 client in shop/buy@ peer_service=tips"


def test_a_call_that_the_first_half_of_the_traces_did_not_make_is_new_and_one_that_the_second_did_not_is_lost():
    quiet, busy = many(WELL.replace("optional ", "")), many(CALLS_TIPS)

    assert [one.title for one in of(later(quiet, busy))] == ["shop buy calls tips, which it did not before"]
    assert [one.title for one in of(later(busy, quiet))] == ["shop buy does not call tips any more"]


INNER = """
shop/buy@ 0-100 server
shop/POST@ 20-90 client in shop/buy@
pay/charge@ 30-80 server in shop/POST@
"""


def test_traces_that_begin_at_an_operation_that_others_call_lost_their_context():
    found = of(concatenate([many(INNER, times=60), lost(many("pay/charge@ 0-50 server", times=15))]))

    assert [one.title for one in found if one.kind == "broken context"] == [
        "traces begin at pay charge, which shop buy calls"
    ]


def test_spans_whose_parent_never_came_are_told_with_their_traces():
    found = of(many("shop/buy@ 0-100 server\npay/charge@ 30-80 server orphan"))

    broken = next(one for one in found if one.kind == "broken context")
    assert (broken.title, len(broken.examples)) == ("pay charge has a parent that never comes", 3)


def lost(batch: SpanBatch) -> SpanBatch:
    return replace(batch, trace_id_low=batch.trace_id_low + np.uint64(20_000))


def test_services_say_in_their_resource_how_critical_they_are_and_who_owns_them():
    request = ExportTraceServiceRequest()
    for service, said in (("shop", {}), ("price", {"service.criticality": "low", "service.owner.name": "Prices"})):
        group = request.resource_spans.add()
        for key, value in {"service.name": service, **said}.items():
            group.resource.attributes.add(key=key).value.string_value = value
        span = group.scope_spans.add().spans.add(
            trace_id=b"t" * 16, name="buy" if service == "shop" else "sum", kind=Span.SPAN_KIND_SERVER
        )
        span.span_id = service.ljust(8).encode()
        span.parent_span_id = b"" if service == "shop" else b"shop    "
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 100
        if service == "price":
            span.attributes.add(key="cpdd.call.requirement").value.string_value = "mandatory"
    batch, _ = decode_traces(request.SerializeToString())

    inversion = next(one for one in of(batch, PROMISED) if one.kind == "criticality inversion")

    assert inversion.title == "price is of low criticality, and check out, which is critical, cannot do without it"
    assert inversion.owner == "Prices"
