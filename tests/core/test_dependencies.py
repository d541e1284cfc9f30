"""Calls and edges: who called whom, attempts folded, what became of the callers."""

import numpy as np

from collector.core.assemble import assemble
from collector.core.critical_path import critical_paths
from collector.core.dependencies import EDGE_KINDS, NODE_KINDS, Dependencies, edge_ids, find_dependencies
from collector.core.kernels.bits import CALLEE_MISSING
from collector.core.spans import SpanBatch
from tests.core.drawing import read_trace


def dependencies_of(batch: SpanBatch) -> Dependencies:
    forest = assemble(batch)
    return find_dependencies(forest, critical_paths(forest))


def edges_of(batch: SpanBatch) -> list[str]:
    calls = dependencies_of(batch).calls
    return sorted(
        f"{batch.text(int(calls.caller_service[i]))}/{batch.text(int(calls.caller_operation[i]))} -> "
        f"{batch.text(int(calls.callee_service[i]))}/{batch.text(int(calls.callee_operation[i]))} "
        f"{NODE_KINDS[calls.callee_kind[i]]} {EDGE_KINDS[calls.kind[i]]}"
        for i in range(len(calls))
    )


def test_client_and_server_of_one_call_are_one_edge():
    batch = read_trace(
        """
        shop/checkout 0-100 server
        shop/POST 10-90 client in shop/checkout
        payment/pay 20-80 server in shop/POST
        """
    )

    assert edges_of(batch) == ["shop/checkout -> payment/pay server rpc"]


def test_the_callee_of_a_call_does_not_depend_on_the_order_of_arrival():
    batch = read_trace(
        """
        shop/checkout 0-100 server
        shop/POST 10-90 client in shop/checkout
        payment/refused 20-30 server in shop/POST
        payment/pay 40-80 server in shop/POST
        """
    )

    first, last = edges_of(batch), edges_of(batch.take(np.arange(len(batch))[::-1]))

    assert first == last
    assert "shop/checkout -> payment/pay server rpc" in first


def test_internal_spans_fold_into_the_operation_that_they_work_for():
    batch = read_trace(
        """
        shop/checkout 0-100 server
        shop/validate 5-95 in shop/checkout
        shop/POST 10-90 client in shop/validate
        payment/pay 20-80 server in shop/POST
        """
    )

    assert edges_of(batch) == ["shop/checkout -> payment/pay server rpc"]


def test_an_internal_span_that_says_whether_it_matters_is_a_callee_of_its_own():
    batch = read_trace(
        """
        shop/checkout 0-100 server
        shop/tips 10-90 optional in shop/checkout
        shop/GET 20-80 client in shop/tips
        tips/list 30-70 server in shop/GET
        """
    )

    assert edges_of(batch) == [
        "shop/checkout -> shop/tips internal internal",
        "shop/tips -> tips/list server rpc",
    ]


def test_a_database_is_a_node_although_it_sends_no_spans():
    batch = read_trace(
        "shop/list 0-100 server; shop/SELECT 10-90 client in shop/list db_system=postgresql db_namespace=goods"
    )

    assert edges_of(batch) == ["shop/list -> postgresql/goods database database"]


def test_a_queue_stands_between_its_producer_and_its_consumer():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/send 10-20 producer in shop/buy messaging_system=kafka messaging_destination=orders
        worker/process 500-600 consumer in shop/send
        """
    )

    assert edges_of(batch) == [
        "kafka/orders -> worker/process consumer messaging",
        "shop/buy -> kafka/orders queue messaging",
    ]


def test_a_message_waits_in_the_queue_from_its_send_to_its_receive():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/send 10-20 producer in shop/buy messaging_system=kafka messaging_destination=orders
        worker/process 500-600 consumer in shop/send
        """
    )

    calls = dependencies_of(batch).calls

    assert sorted(calls.wait_ns.tolist()) == [-1, 490]


def test_a_consumer_that_is_linked_to_a_producer_of_another_trace_is_called_by_its_queue():
    batch = read_trace(
        """
        shop/buy 0-100 server trace 1
        shop/send 10-20 producer in shop/buy trace 1 messaging_system=kafka messaging_destination=orders
        worker/process 500-600 consumer trace 2 links shop/send link_trace_id_low=1
        """
    )

    calls = dependencies_of(batch).calls

    assert edges_of(batch) == [
        "kafka/orders -> worker/process consumer messaging",
        "shop/buy -> kafka/orders queue messaging",
    ]
    assert sorted(calls.wait_ns.tolist()) == [-1, 490]


def test_a_consumer_whose_producer_nobody_saw_is_still_called_by_the_queue_that_it_names():
    batch = read_trace("worker/process 500-600 consumer error messaging_system=kafka messaging_destination=orders")

    calls = dependencies_of(batch).calls

    assert edges_of(batch) == ["kafka/orders -> worker/process consumer messaging"]
    assert (calls.wait_ns.tolist(), calls.caller_well.tolist()) == ([-1], [1])


def test_a_producer_that_names_only_its_peer_means_the_broker():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/send 10-20 producer in shop/buy peer_service=rabbitmq
        worker/next 30-60 consumer in shop/send
        """
    )

    assert edges_of(batch) == [
        "rabbitmq/ -> worker/next consumer messaging",
        "shop/buy -> rabbitmq/ queue messaging",
    ]


def test_a_third_party_is_named_by_what_the_client_says_of_it():
    batch = read_trace("shop/buy 0-100 server; shop/POST 10-90 client in shop/buy server_address=api.bank.example")

    assert edges_of(batch) == ["shop/buy -> api.bank.example/ external rpc"]


def test_without_kinds_a_call_is_where_the_service_changes():
    batch = read_trace(
        """
        web/page 0-100 unspecified
        web/render 5-95 unspecified in web/page
        cart/get 10-90 unspecified in web/render
        cart/query 20-80 unspecified in cart/get
        """
    )

    assert edges_of(batch) == ["web/page -> cart/get unspecified rpc"]


def test_a_retry_that_works_is_one_call_that_did_not_fail():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/POST 10-30 client error http_status=503 in shop/buy
        pay/charge 12-28 server error in shop/POST
        shop/POST#2 40-60 client in shop/buy
        pay/charge#2 42-58 server in "shop/POST#2"
        """
    )

    calls = dependencies_of(batch).calls

    assert (len(calls), int(calls.attempts[0]), int(calls.failed[0])) == (1, 2, 0)
    assert int(calls.duration_ns[0]) == 50


def test_attempts_may_each_have_a_span_around_them():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/try 10-30 in shop/buy
        shop/POST 11-29 client error in shop/try peer_service=pay
        shop/try#2 40-60 in shop/buy
        shop/POST#2 41-59 client in "shop/try#2" peer_service=pay
        """
    )

    calls = dependencies_of(batch).calls

    assert (calls.attempts.tolist(), calls.failed.tolist()) == ([2], [0])


def test_a_hedge_that_wins_makes_a_call_that_did_not_fail():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/GET 10-90 client error in shop/buy peer_service=rates-a
        shop/GET#2 30-50 client in shop/buy peer_service=rates-b links shop/GET hedge
        """
    )

    calls = dependencies_of(batch).calls

    assert (calls.attempts.tolist(), calls.failed.tolist(), calls.duration_ns.tolist()) == ([2], [0], [40])
    assert batch.text(int(calls.callee_service[0])) == "rates-b"


def test_linked_attempts_that_all_fail_are_one_failed_call():
    batch = read_trace(
        """
        shop/buy 0-100 server error
        shop/GET 10-40 client error in shop/buy peer_service=rates
        shop/GET#2 20-50 client error in shop/buy peer_service=rates links shop/GET hedge
        shop/GET#3 60-70 client error in shop/buy peer_service=rates links shop/GET retry
        """
    )

    calls = dependencies_of(batch).calls

    assert (calls.attempts.tolist(), calls.failed.tolist(), calls.alone.tolist()) == ([3], [1], [1])


def test_a_link_that_says_nothing_of_attempts_folds_nothing():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/GET 10-40 client in shop/buy peer_service=rates
        shop/GET#2 20-50 client in shop/buy peer_service=rates links shop/GET
        """
    )

    assert dependencies_of(batch).calls.attempts.tolist() == [1, 1]


def test_two_calls_side_by_side_are_not_attempts_of_one():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/POST 10-30 client error in shop/buy peer_service=pay
        shop/POST#2 20-60 client in shop/buy peer_service=pay
        """
    )

    assert len(dependencies_of(batch).calls) == 2


def test_a_client_error_that_blames_the_caller_is_no_failure_of_the_call():
    batch = read_trace(
        "shop/buy 0-100 server; shop/GET 10-90 client error http_status=404 in shop/buy peer_service=goods"
    )

    assert dependencies_of(batch).calls.failed.tolist() == [0]


def test_a_timeout_is_a_failure_although_its_status_is_a_4xx():
    batch = read_trace(
        "shop/buy 0-100 server; shop/GET 10-90 client error http_status=408 in shop/buy peer_service=goods"
    )

    assert dependencies_of(batch).calls.failed.tolist() == [1]


def test_a_call_that_the_client_gave_up_failed_although_its_server_ended_well():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/GET 10-50 client error in shop/buy
        goods/list 12-900 server ok in shop/GET
        """
    )

    assert dependencies_of(batch).calls.failed.tolist() == [1]


def test_failures_beside_each_other_are_confounded_those_below_each_other_are_not():
    beside = read_trace(
        """
        shop/buy 0-100 server error
        shop/A 10-20 client error in shop/buy peer_service=a
        shop/B 30-40 client error in shop/buy peer_service=b
        """
    )
    below = read_trace(
        """
        shop/buy 0-100 server error
        shop/A 10-90 client error in shop/buy
        a/do 12-88 server error in shop/A
        a/B 30-40 client error in a/do peer_service=b
        """
    )

    assert dependencies_of(beside).calls.confounded.tolist() == [1, 1]
    assert dependencies_of(below).calls.confounded.tolist() == [0, 0]


def test_a_caller_that_answers_5xx_did_not_survive_even_without_an_error_status():
    batch = read_trace("shop/buy 0-100 server http_status=500; shop/A 10-20 client error in shop/buy peer_service=a")

    found = dependencies_of(batch)

    assert found.calls.caller_well.tolist() == [0]
    assert found.journey_failed.tolist() == [True]


def test_a_call_below_fire_and_forget_work_is_not_waited_for():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/log 10-500 not-awaited in shop/buy
        shop/POST 20-400 client in shop/log peer_service=logs
        """
    )

    calls = dependencies_of(batch).calls

    assert dict(zip(calls.kind.tolist(), calls.waited.tolist(), strict=True)) == {
        EDGE_KINDS.index("internal"): 0,
        EDGE_KINDS.index("rpc"): 1,
    }


def test_the_time_of_a_call_on_the_path_holds_everything_below_it():
    batch = read_trace(
        """
        shop/buy 0-100 server
        shop/POST 10-90 client in shop/buy
        pay/charge 20-80 server in shop/POST
        pay/SELECT 30-60 client in pay/charge db_system=mysql
        """
    )

    calls = dependencies_of(batch).calls
    by_kind = dict(zip(calls.callee_kind.tolist(), calls.path_ns.tolist(), strict=True))

    assert by_kind == {NODE_KINDS.index("server"): 80, NODE_KINDS.index("database"): 30}


def test_a_journey_is_named_by_the_trace_or_else_by_its_root():
    named = read_trace("shop/buy 0-100 server; shop/step 10-20 in shop/buy journey=checkout")
    plain = read_trace("shop/buy 0-100 server")

    assert dependencies_of(named).journey == ("checkout",)
    assert dependencies_of(plain).journey == ("shop: buy",)


def test_an_edge_has_the_same_id_in_every_batch():
    one = read_trace("shop/buy 0-100 server; shop/SELECT 10-20 client in shop/buy db_system=mysql")
    other = read_trace(
        "x/y 0-5 server trace 2; shop/buy 0-100 server; shop/SELECT 30-40 client in shop/buy db_system=mysql"
    )

    ids = [
        edge_ids(forest := assemble(b), find_dependencies(forest, critical_paths(forest)).calls) for b in (one, other)
    ]

    assert ids[0].tolist() == ids[1].tolist()


def test_several_calls_of_one_edge_that_fail_together_are_one_witness():
    batch = read_trace(
        """
        shop/list 0-100 server error
        shop/GET 10-20 client error in shop/list peer_service=price
        shop/GET#2 11-21 client error in shop/list peer_service=price
        shop/GET#3 12-22 client in shop/list peer_service=price
        """
    )

    calls = dependencies_of(batch).calls

    assert (int(calls.alone.sum()), calls.confounded.tolist(), int(calls.quiet.sum())) == (1, [0, 0, 0], 0)


def test_a_caller_that_is_asked_again_is_a_witness_each_time():
    batch = read_trace(
        """
        web/page 0-100 server error
        web/GET 1-30 client error in web/page
        shop/buy 2-29 server error in web/GET
        shop/POST 3-28 client error in shop/buy peer_service=bank
        web/GET#2 40-60 client error in web/page
        shop/buy#2 42-59 server error in "web/GET#2"
        shop/POST#2 43-58 client error in "shop/buy#2" peer_service=bank
        """
    )

    calls = dependencies_of(batch).calls
    bank = calls.callee_service == batch.strings.index("bank")

    assert (calls.alone[bank].tolist(), calls.confounded.tolist()) == ([1, 1], [0, 0, 0])


def test_a_caller_is_quiet_where_no_call_failed_but_its_own():
    batch = read_trace(
        """
        web/page 0-100 server error
        web/GET 1-90 client error in web/page
        shop/buy 2-89 server error in web/GET
        shop/POST 3-28 client in shop/buy peer_service=bank
        """
    )

    calls = dependencies_of(batch).calls
    bank = calls.callee_service == batch.strings.index("bank")

    assert (calls.quiet[bank].tolist(), calls.caller_well[bank].tolist()) == ([1], [0])


def test_a_span_around_a_call_does_not_survive_what_it_replaces_with_a_fallback():
    batch = read_trace(
        """
        shop/buy 0-100 server error
        shop/discount 10-90 optional outcome fallback_used in shop/buy
        shop/GET 20-80 client error optional in shop/discount peer_service=price
        """
    )

    calls = dependencies_of(batch).calls
    price = calls.callee_service == batch.strings.index("price")

    assert (calls.caller_well[price].tolist(), calls.declared[price].tolist()) == ([0], [0])
    assert calls.declared[~price].tolist() == [2]


def test_what_a_caller_called_after_a_failure_is_a_candidate_for_its_fallback():
    batch = read_trace(
        """
        shop/home 0-100 server
        shop/GET 10-40 client error in shop/home peer_service=tips
        shop/GET#2 50-90 client in shop/home peer_service=best-sellers
        """
    )

    found = dependencies_of(batch)
    edge = {batch.text(int(found.calls.callee_service[i])): int(found.edge[i]) for i in range(2)}

    assert found.replacements.edge.tolist() == [edge["tips"]]
    assert found.replacements.called.tolist() == [edge["best-sellers"]]


def test_the_version_of_the_caller_is_known():
    batch = read_trace("shop/buy 0-9 server on service.version=7; shop/GET 1-2 client in shop/buy peer_service=x")

    calls = dependencies_of(batch).calls

    assert batch.text(int(calls.caller_version[0])) == "7"


def test_who_names_its_own_service_as_the_peer_calls_none_of_that_name_and_misses_none():
    batch = read_trace(
        """
        auth/login 0-100 server
        auth/by_id 10-40 client in auth/login calls auth db_system=cassandra db_namespace=users
        auth/blacklist 50-90 client in auth/login calls auth
        """
    )

    assert edges_of(batch) == [
        "auth/login -> /blacklist external rpc",
        "auth/login -> cassandra/users database database",
    ]
    assert not (assemble(batch).flags & CALLEE_MISSING).any()


def test_a_fault_that_a_proxy_injected_is_marked_and_is_evidence_like_all_others():
    found = dependencies_of(
        read_trace(
            """
        shop/buy 0-100 server ok
        shop/POST 10-40 client error in shop/buy peer_service=tips outcome injected
        shop/GET 50-90 client error in shop/buy peer_service=mail
        """
        )
    )

    calls = found.calls
    assert (calls.failed.tolist(), calls.injected.tolist()) == ([1, 1], [1, 0])
    assert calls.caller_well.tolist() == [1, 1]


def test_an_injected_delay_alone_is_no_failure_and_no_mark():
    found = dependencies_of(read_trace("shop/buy 0-100 server; shop/wait 10-40 in shop/buy outcome injected"))

    assert len(found.calls) == 0
