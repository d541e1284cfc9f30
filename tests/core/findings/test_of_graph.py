"""Findings of the traces of files."""

from collections import Counter

from collector.core.findings.model import Finding
from collector.core.findings.of_graph import findings_of
from collector.core.graph_build import dependency_graph
from collector.core.journeys import Journey, JourneyBook, Match
from collector.core.queue_promises import Queue, QueuePromise
from collector.core.spans import SpanBatch
from tests.core.drawing import read_trace


def of(batch: SpanBatch, book: JourneyBook = JourneyBook()) -> tuple[Finding, ...]:
    graph = dependency_graph(batch, book=book)
    return findings_of(graph, Counter({name: 60 for name, _ in graph.roots}), book)


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
