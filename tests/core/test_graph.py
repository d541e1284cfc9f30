"""The dependency graph of files, and its exports."""

import xml.etree.ElementTree as ET
from dataclasses import replace

from collector.core.graph import DependencyGraph
from collector.core.graph_build import dependency_graph
from collector.core.graph_export import to_dot, to_graphml, to_mermaid
from collector.core.graph_levels import service_graph
from tests.core.drawing import read_trace


def shop() -> DependencyGraph:
    return dependency_graph(
        read_trace(
            """
            shop/buy 0-100 server
            shop/POST 10-70 client in shop/buy
            pay/charge 20-60 server in shop/POST
            shop/SELECT 80-90 client in shop/buy db_system=mysql
            """
        )
    )


def test_nodes_say_how_often_they_were_called():
    assert {node.id: node.calls for node in shop().nodes} == {
        "mysql (database)": 1,
        "pay / charge": 1,
        "shop / buy": 1,
    }


def test_edges_say_how_much_of_the_critical_path_lies_below_them():
    assert [(edge.callee.id, edge.critical_share) for edge in shop().edges] == [
        ("pay / charge", 0.6),
        ("mysql (database)", 0.1),
    ]


def test_the_json_has_the_keys_of_the_interface():
    edge = shop().to_json()["edges"][0]

    assert {
        "journey",
        "caller",
        "callee",
        "kind",
        "calls",
        "failed",
        "survived",
        "requirement",
        "critical_share",
    } <= set(edge)
    assert {"verdict", "survival", "interval", "declared", "blocking", "confounded", "needed"} <= set(
        edge["requirement"]
    )


def test_one_operation_reached_in_two_journeys_has_an_edge_in_each():
    graph = dependency_graph(
        read_trace(
            """
            web/a 0-10 server trace 1
            web/GET 1-9 client in web/a trace 1 peer_service=stock
            web/b 0-10 server trace 2
            web/GET 1-9 client in web/b trace 2 peer_service=stock
            """
        )
    )

    assert [edge.journey for edge in graph.edges] == ["web: a", "web: b"]


def test_networkx_gets_every_edge_with_its_evidence():
    graph = shop().to_networkx()

    (attributes,) = graph.get_edge_data("shop / buy", "pay / charge").values()

    assert (attributes["verdict"], attributes["calls"]) == ("undetermined", 1)


def test_graphml_is_xml_with_as_many_nodes_and_edges():
    tree = ET.fromstring(to_graphml(shop()))

    tags = [element.tag.rpartition("}")[2] for element in tree.iter()]
    assert (tags.count("node"), tags.count("edge")) == (3, 2)


def test_names_from_spans_cannot_leave_their_quotes():
    batch = read_trace("shop/buy 0-100 server; shop/x 10-20 client in shop/buy peer_service=evil")
    hostile = dependency_graph(replace(batch, strings=tuple(t.replace("evil", '"];x["<b>') for t in batch.strings)))

    assert '\\"];x[\\"<b>' in to_dot(hostile)
    assert "<b>" not in to_mermaid(hostile)
    assert '"]' not in to_mermaid(hostile).replace('"]\n', "")


def test_pictures_draw_what_was_declared_until_something_was_seen_the_mark_around_a_call_too():
    graph = dependency_graph(
        read_trace(
            "shop/buy 0-100 server; shop/charge 10-60 mandatory in shop/buy; "
            "shop/POST 20-50 client in shop/charge peer_service=bank; "
            "shop/GET 70-90 client optional in shop/buy peer_service=tips"
        )
    )
    lines = {line.partition("|")[0].split()[1]: line for line in to_mermaid(graph).splitlines() if "|" in line}

    assert {edge.callee.service: (edge.declared, edge.requirement) for edge in graph.edges} == {
        "shop": ("mandatory", "mandatory"),
        "bank": (None, "mandatory"),
        "tips": ("optional", "optional"),
    }
    assert to_dot(graph).count("style=solid") == 2
    assert to_dot(graph).count("mandatory as declared") == 2
    assert set(lines) == {"==>", "-.->"}


def test_traces_without_calls_have_nodes_and_no_edges():
    graph = dependency_graph(read_trace("shop/buy 0-100"))

    assert [node.id for node in graph.nodes] == ["shop / buy (internal)"]
    assert graph.edges == ()


def population(*kinds: str, times: int = 40) -> DependencyGraph:
    """The graph of so many traces of each kind; `@` in a label is where the number of its trace goes."""
    lines = [
        f"{line.strip().replace('@', f'#{number}')} trace {number}"
        for number, kind in enumerate(kind for kind in kinds for _ in range(times))
        for line in kind.strip().splitlines()
    ]
    return dependency_graph(read_trace("\n".join(lines)))


ALL_WELL = """
shop/home@ 0-100 server ok
shop/tips@ 10-60 optional outcome ok in shop/home@
shop/GET-tips@ 11-30 client in shop/tips@ peer_service=tips
shop/POST@ 70-90 client in shop/home@ peer_service=stock
"""
TIPS_FAIL = """
shop/home@ 0-100 server ok
shop/tips@ 10-60 optional outcome fallback_used in shop/home@
shop/GET-tips@ 11-30 client error in shop/tips@ peer_service=tips
shop/GET-best@ 40-50 client in shop/tips@ peer_service=best
shop/POST@ 70-90 client in shop/home@ peer_service=stock
"""
TIPS_KILL = """
shop/home@ 0-100 server error
shop/tips@ 10-60 optional outcome fallback_used in shop/home@
shop/GET-tips@ 11-30 client error in shop/tips@ peer_service=tips
"""
STOCK_FAILS = """
shop/home@ 0-100 server error
shop/tips@ 10-60 optional outcome ok in shop/home@
shop/GET-tips@ 11-30 client in shop/tips@ peer_service=tips
shop/POST@ 70-90 client error in shop/home@ peer_service=stock
"""
PAGE_SHRUGS = """
web/page@ 0-200 server ok
web/GET@ 1-199 client error in web/page@
shop/home@ 2-100 server error in web/GET@
shop/POST@ 70-90 client error in shop/home@ peer_service=stock
"""
PAGE_WELL = """
web/page@ 0-200 server ok
web/GET@ 1-199 client in web/page@
shop/home@ 2-100 server ok in web/GET@
shop/POST@ 70-90 client in shop/home@ peer_service=stock
"""


def verdicts(graph: DependencyGraph) -> dict[str, str]:
    return {f"{edge.caller.id} -> {edge.callee.id}": edge.verdict.verdict for edge in graph.edges}


def test_a_span_around_a_call_needs_it_and_the_service_does_without():
    graph = population(ALL_WELL, TIPS_FAIL, STOCK_FAILS)

    assert verdicts(graph) == {
        "shop / home -> shop / tips (internal)": "optional",
        "shop / tips (internal) -> tips (external)": "mandatory",
        "shop / tips (internal) -> best (external)": "undetermined",
        "shop / home -> stock (external)": "mandatory",
    }
    assert verdicts(service_graph(graph)) == {
        "shop -> tips (external)": "optional",
        "shop -> best (external)": "optional",
        "shop -> stock (external)": "mandatory",
    }


def test_a_service_needs_what_a_span_around_it_cannot_replace_well_enough():
    services = service_graph(population(ALL_WELL, TIPS_KILL))

    (tips,) = [edge for edge in services.edges if edge.callee.service == "tips"]
    assert (tips.verdict.verdict, tips.declared, tips.failed, tips.survived) == ("mandatory", "optional", 40, 0)


def test_of_two_calls_to_a_service_the_harder_one_to_do_without_says_what_is_declared():
    trace = """
        shop/home 0-100 server ok
        shop/GET-best 10-20 client optional in shop/home peer_service=catalog
        shop/GET-all 30-40 client mandatory in shop/home
        catalog/all 31-39 server ok in shop/GET-all
        shop/GET-top 50-60 client optional in shop/home
        catalog/top 51-59 server ok in shop/GET-top
    """

    edges = service_graph(dependency_graph(read_trace(trace))).edges

    assert {edge.callee.id: edge.declared for edge in edges} == {
        "catalog (external)": "optional",
        "catalog": "mandatory",
    }


def test_what_is_only_called_after_a_failure_is_named_as_its_fallback():
    graph = population(ALL_WELL, TIPS_FAIL)

    named = {edge.callee.id: [(node.id, times) for node, times in edge.fallbacks] for edge in graph.edges}
    assert named["tips (external)"] == [("best (external)", 40)]
    assert named["shop / tips (internal)"] == []


def test_calls_that_nobody_waits_for_do_not_block():
    graph = dependency_graph(
        read_trace(
            """
            shop/buy 0-100 server
            shop/log 10-500 not-awaited optional in shop/buy
            shop/POST 20-400 client in shop/log peer_service=logs
            """
        )
    )

    assert [edge.blocking for edge in service_graph(graph).edges] == [False]


def test_services_have_one_edge_for_all_their_operations():
    graph = dependency_graph(
        read_trace(
            """
            web/page 0-100 server
            web/GET 1-20 client in web/page
            shop/a 2-19 server in web/GET
            web/POST 30-60 client in web/page
            shop/b 31-59 server in web/POST
            shop/SELECT 40-50 client in shop/b db_system=mysql db_namespace=goods
            """
        )
    )

    services = service_graph(graph)

    assert [(e.caller.id, e.callee.id, e.calls) for e in services.edges] == [
        ("web", "shop", 2),
        ("shop", "mysql / goods (database)", 1),
    ]
    assert services.roots == (("web: page", services.nodes[-1]),)


def test_what_a_queue_delivers_is_optional_while_nobody_waits():
    graph = dependency_graph(
        read_trace(
            """
            shop/buy 0-100 server
            shop/send 10-20 producer in shop/buy messaging_system=kafka messaging_destination=orders
            worker/process 500-600 consumer error in shop/send
            """
        )
    )

    assert verdicts(graph) == {
        "shop / buy -> kafka / orders (queue)": "undetermined",
        "kafka / orders (queue) -> worker / process (consumer)": "optional",
    }
