"""What a journey cannot do without."""

from dataclasses import replace

import pytest

from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.mandatory import (
    JourneyNeed,
    beginnings,
    mandatory_subgraph,
    only_mandatory,
    reached,
    step_of,
    through_marks,
)
from collector.core.requirement import Verdict


def verdict(word: str) -> Verdict:
    return Verdict(word, None, (0.0, 1.0), 0)


def graph(*lines: str) -> DependencyGraph:
    """`shop -> pay mandatory declared=optional journey=optional kind=internal around=mixed`; the first begins."""
    edges = [_edge(line) for line in lines]
    nodes = {node.id: node for edge in edges for node in (edge.caller, edge.callee)}
    return DependencyGraph(tuple(nodes.values()), tuple(edges), (("buy", edges[0].caller),))


def _edge(line: str) -> GraphEdge:
    caller, _, callee, word, *more = line.split()
    said = {"declared": "", "around": "", "journey": "undetermined", "kind": "rpc"} | dict(
        pair.split("=") for pair in more
    )
    return GraphEdge(
        journey="buy",
        caller=GraphNode(caller, "", "server"),
        callee=GraphNode(callee, "", "server"),
        kind=said["kind"],
        traces=100,
        calls=100,
        attempts=100,
        failed=10,
        survived=0,
        confounded=0,
        blocking=True,
        declared=said["declared"] or None,
        verdict=verdict(word),
        journey_verdict=verdict(said["journey"]),
        critical_share=0.1,
        p50_ns=None,
        p95_ns=None,
        p99_ns=None,
        around=said["around"] or None,
    )


def need(*lines: str) -> JourneyNeed:
    return mandatory_subgraph(graph(*lines), "buy")


def test_a_journey_needs_what_is_reached_over_mandatory_edges_only():
    found = need("shop -> pay mandatory", "pay -> bank mandatory", "shop -> tips optional", "shop -> new undetermined")

    assert found.mandatory == ("bank", "pay", "shop")
    assert (found.undetermined, found.optional) == (("new",), ("tips",))
    assert [edge.callee.id for edge in found.edges] == ["pay", "bank"]


def test_beyond_an_optional_edge_everything_is_optional_however_mandatory_for_its_caller():
    assert need("shop -> tips optional", "tips -> best mandatory").optional == ("best", "tips")


def test_beyond_a_mixed_edge_nobody_can_say():
    assert need("shop -> stock mixed", "stock -> db mandatory").undetermined == ("db", "stock")


def test_where_nothing_failed_yet_the_declaration_counts():
    found = need("shop -> pay undetermined declared=mandatory", "shop -> tips undetermined declared=optional")

    assert (found.mandatory, found.optional) == (("pay", "shop"), ("tips",))


def test_what_a_mark_declares_holds_for_the_call_inside_it():
    found = need(
        "shop -> charge undetermined declared=mandatory kind=internal", "charge -> bank undetermined around=mandatory"
    )

    assert found.mandatory == ("bank", "charge", "shop")


def test_what_callers_disagree_about_is_mixed_for_the_call_inside_their_mark():
    found = need(
        "shop -> charge undetermined declared=mandatory kind=internal",
        "till -> charge undetermined declared=optional kind=internal",
        "charge -> bank undetermined around=mixed",
    )

    assert "bank" in found.undetermined


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["shop -> charge mandatory kind=internal", "charge -> bank mandatory"], "mandatory"),
        (["shop -> tips optional kind=internal", "tips -> best mandatory"], "optional"),
        (["shop -> tips mandatory kind=internal", "tips -> best optional"], "optional"),
        (["shop -> tips mixed kind=internal", "tips -> best mandatory"], "mixed"),
        (["shop -> tips undetermined kind=internal", "tips -> best mandatory"], "undetermined"),
        (["shop -> tips undetermined declared=mandatory kind=internal", "tips -> best mandatory"], "mandatory"),
        (
            ["a -> tips optional kind=internal", "b -> tips mandatory kind=internal", "tips -> best mandatory"],
            "mandatory",
        ),
        (
            ["a -> b optional kind=internal", "b -> c mandatory kind=internal", "c -> best mandatory"],
            "optional",
        ),
        (["a -> b mandatory kind=internal", "b -> a mandatory kind=internal", "b -> best mixed"], "mixed"),
    ],
)
def test_a_service_needs_what_is_called_inside_a_mark_if_it_needs_the_mark(lines: list[str], word: str):
    assert through_marks([step_of(edge) for edge in graph(*lines).edges])[-1] == word


def test_a_call_that_was_seen_to_be_other_than_declared_is_misdeclared():
    found = need(
        "shop -> price mandatory declared=optional",
        "shop -> ship optional declared=mandatory",
        "shop -> pay mandatory declared=mandatory",
        "shop -> new undetermined declared=optional",
    )

    assert [edge.callee.id for edge in found.misdeclared] == ["price", "ship"]


def test_a_journey_that_fares_otherwise_than_its_edges_say_is_a_disagreement():
    found = need(
        "web -> shop mandatory journey=optional",  # fails, and nobody minds
        "web -> tips optional journey=mandatory",  # answers well, and takes the journey down
        "tips -> best mandatory journey=mandatory",  # behind an optional call, and takes it down
        "web -> pay mandatory journey=mandatory",
        "web -> mail mixed journey=optional",
    )

    assert [edge.callee.id for edge in found.disagreements] == ["shop", "tips", "best"]


def test_what_a_queue_delivers_is_no_disagreement():
    mail = graph("queue -> mail optional journey=mandatory kind=messaging")
    queue = replace(mail.edges[0], caller=GraphNode("orders", "", "queue"))

    assert mandatory_subgraph(replace(mail, edges=(queue,), roots=()), "buy").disagreements == ()


def test_a_consumer_is_no_beginning_where_somebody_sends_and_one_where_nobody_does():
    lines = "shop -> orders optional kind=messaging", "orders -> mail optional kind=messaging", "mail -> smtp mandatory"
    sent, delivered, below = graph(*lines).edges
    queue = GraphNode("orders", "", "queue")
    delivered = replace(delivered, caller=queue)
    whole = replace(graph(*lines), edges=(replace(sent, callee=queue), delivered, below), roots=())
    alone = replace(whole, edges=(delivered, below))

    assert mandatory_subgraph(whole, "buy").mandatory == ("shop",)
    assert mandatory_subgraph(alone, "buy").mandatory == ("mail", "smtp")


def test_only_what_journeys_need_is_left_of_a_graph():
    left = only_mandatory(graph("shop -> pay mandatory", "shop -> tips optional", "tips -> pay mandatory"))

    assert [node.id for node in left.nodes] == ["shop", "pay"]
    assert [(edge.caller.id, edge.callee.id) for edge in left.edges] == [("shop", "pay")]


def test_a_loop_has_a_beginning_and_an_end():
    ways = [("a", "b"), ("b", "a"), ("b", "c")]

    assert beginnings(ways) == {"a"}
    assert reached(beginnings(ways), ways) == {"a", "b", "c"}


def test_a_graph_that_lost_its_roots_begins_with_what_nobody_calls():
    lost = replace(graph("shop -> pay mandatory"), roots=())

    assert mandatory_subgraph(lost, "buy").mandatory == ("pay", "shop")
