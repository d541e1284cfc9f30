"""The other rules, one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from collector.core.availability import Dependency, extra_nines, proportion
from collector.core.findings import KINDS, find
from collector.core.findings.blocking import optional_but_blocking
from collector.core.findings.changes import SHOWN_S, changed_edges, changed_requirements
from collector.core.findings.context import broken_contexts, unbounded_names
from collector.core.findings.criticality import criticality_inversions
from collector.core.findings.cycles import cycles
from collector.core.findings.fate import other_fates
from collector.core.findings.model import (
    ContextBreak,
    EdgeHistory,
    EdgeSeen,
    Look,
    QueueSeen,
    ServiceFacts,
    VerdictChange,
)
from collector.core.findings.nines import missing_nines
from collector.core.findings.promises import burning_promises
from collector.core.findings.queues import late_queues
from collector.core.findings.timeouts import incoherent_timeouts
from collector.core.journeys import Journey, Latency
from collector.core.naming import Inventor
from collector.core.objectives import Counts, stand
from collector.core.queue_promises import QueuePromise
from collector.core.said import Said
from tests.core.findings.looks import NOW_NS, disproved, edge, found, journey, look, only, op

NOW_S = NOW_NS // 10**9
MS = 1_000_000
CRITICAL = Journey("check out", criticality="critical")

# Optional but blocking


def test_an_optional_call_that_the_journey_waits_for_blocks():
    tips = edge("shop/GET /cart", "tips/GET", "optional", critical_share=0.4)

    finding = only(found(optional_but_blocking, look(journey(tips, name="view cart"))))

    assert finding.title == "view cart waits for tips GET, which it could do without"
    assert "deadline" in finding.advice


def test_one_that_is_only_declared_optional_blocks_too():
    assert found(
        optional_but_blocking, look(journey(edge("a/x", "b/y", "undetermined", "optional", critical_share=0.4)))
    )


@pytest.mark.parametrize(
    "calm",
    [
        edge("a/x", "b/y", "optional", critical_share=0.02),
        edge("a/x", "b/y", "optional", critical_share=0.4, waited=100.0),
        edge("a/x", "b/y", "mandatory", critical_share=0.4),
    ],
)
def test_a_call_off_the_path_or_not_waited_for_or_needed_does_not_block(calm):
    blocking = only(found(optional_but_blocking, look(journey(edge("a/x", "b/y", "optional", critical_share=0.4)))))

    assert found(optional_but_blocking, look(journey(calm))) == []
    assert blocking.id in disproved(optional_but_blocking, look(journey(calm)))


def test_between_the_two_thresholds_it_stays_as_it_is():
    between = look(journey(edge("a/x", "b/y", "optional", critical_share=0.07)))

    assert list(optional_but_blocking(between)) == []


def test_one_with_a_deadline_waits_no_longer_than_that_and_is_told_so():
    tips = edge("shop/cart", "shop/tips", "optional", critical_share=0.4, said=Said(200 * MS))

    finding = only(found(optional_but_blocking, look(journey(tips))))

    assert finding.title == "check out waits up to a deadline for shop tips, which it could do without"
    assert finding.advice.startswith("Lower its deadline")
    assert ("at most", 200 * MS) in [(fact.name, fact.value) for fact in finding.facts]


@pytest.mark.parametrize(("deadline_ms", "is_found"), [(50, False), (51, True)])
def test_a_deadline_of_a_tenth_of_what_the_journey_promises_is_none(deadline_ms: int, is_found: bool):
    promised = Journey("check out", latency=Latency(0.99, 500 * MS))
    tips = edge("shop/cart", "shop/tips", "optional", critical_share=0.4, said=Said(deadline_ms * MS))
    what = look(journey(tips, said=promised))

    assert (found(optional_but_blocking, what) != []) == is_found
    assert (disproved(optional_but_blocking, what) != set()) == (not is_found)


# Time limits


def limits(*below: EdgeSeen, deadline_ms: int = 200) -> Look:
    mark = edge("shop/buy", "shop/price", kind="internal", said=Said(deadline_ms * MS))
    return look(journey(mark, *below))


def test_a_call_that_may_take_longer_than_somebody_above_waits_is_incoherent():
    stock = edge("pricing/sum", "pricing/ask stock", kind="internal", said=Said(1000 * MS))

    finding = only(found(incoherent_timeouts, limits(edge("shop/price", "pricing/sum"), stock)))

    assert finding.title == "pricing ask stock may take longer than shop buy waits for price"
    assert (finding.service, finding.edge_id) == ("pricing", stock.id)


def test_retries_that_take_longer_than_somebody_waits_are_incoherent():
    stock = edge("pricing/sum", "stock/get", mean_ns=300.0 * MS, attempts=2500.0)

    finding = only(found(incoherent_timeouts, limits(edge("shop/price", "pricing/sum"), stock)))

    assert finding.title == "stock get takes longer with its retries than shop buy waits for price"
    assert "let only one of them retry" in finding.advice


@pytest.mark.parametrize(
    "more",
    [
        {"mean_ns": 199.0 * MS},
        {"mean_ns": 300.0 * MS, "waited": 0.0},
        {"mean_ns": 300.0 * MS, "kind": "messaging"},
        {"mean_ns": 300.0 * MS, "calls": 29.0},
    ],
)
def test_what_takes_no_longer_or_is_not_waited_for_or_hardly_seen_is_coherent(more: dict[str, object]):
    assert found(incoherent_timeouts, limits(edge("shop/price", "stock/get", **more))) == []


def test_a_deadline_below_is_believed_rather_than_the_mean():
    inner = edge("shop/price", "shop/ask", kind="internal", said=Said(100 * MS), mean_ns=300.0 * MS)

    assert found(incoherent_timeouts, limits(inner)) == []


# Queues


def taken(kept: int, of: int, waited_for: bool = False) -> QueueSeen:
    return QueueSeen(
        7, "check out", op("kafka/orders", "queue"), op("mailer/mail", "consumer"), QueuePromise(0.99, 10 * 10**9),
        proportion(kept, of, of), of - kept, of, 4e9, waited_for,
    )  # fmt: skip


def test_a_queue_that_breaks_its_promise_is_late_and_its_consumer_is_named():
    finding = only(found(late_queues, look(queues=(taken(900, 1000),))))

    assert finding.title == "mailer mail takes messages of kafka orders later than promised"
    assert finding.service == "mailer"
    assert [(fact.name, fact.value) for fact in finding.facts[:3]] == [
        ("in time", 0.9),
        ("promised", 0.99),
        ("within", 10e9),
    ]


@pytest.mark.parametrize(("kept", "of"), [(990, 1000), (985, 1000), (11, 20)])
def test_chance_and_a_handful_of_late_messages_are_no_finding(kept: int, of: int):
    assert found(late_queues, look(queues=(taken(kept, of),))) == []


# The journey's own fate


def test_a_journey_that_fails_with_what_its_calls_can_do_without_disagrees():
    tips = edge("shop/buy", "tips/get", "optional", journey_verdict="mandatory")

    finding = only(found(other_fates, look(journey(tips))))

    assert finding.title == "check out fails with tips get, which its calls say it can do without"
    assert (finding.service, finding.edge_id) == ("shop", tips.id)


def test_a_journey_that_ends_well_without_what_its_calls_need_disagrees():
    pay = edge("shop/buy", "pay/x", "mandatory", journey_verdict="mandatory")
    bank = edge("pay/x", "bank/y", "mandatory", journey_verdict="optional")

    assert only(found(other_fates, look(journey(pay, bank)))).title.startswith("check out ends well without bank y")


def test_a_journey_that_fares_as_its_calls_say_disproves_it():
    tips = edge("shop/buy", "tips/get", "optional", journey_verdict="mandatory")
    before, after = (look(journey(replace(tips, journey_verdict=word))) for word in ("mandatory", "optional"))
    calm = look(journey(replace(tips, journey_verdict="undetermined")))

    assert disproved(other_fates, after) == {only(found(other_fates, before)).id}
    assert list(other_fates(calm)) == []


# Missing nine


def nines(*edges: tuple[str, str, float, float]):
    dependencies = [Dependency(op(a), op(b), 1e5, 1e5, failed, own, 0.0) for a, b, failed, own in edges]
    return journey(*(edge(a, b, "mandatory") for a, b, _, _ in edges), nines=extra_nines(0.999, dependencies))


def test_a_mandatory_dependency_without_its_nine_is_named():
    finding = only(found(missing_nines, look(nines(("shop/buy", "bank/pay", 500, 500)))))

    assert finding.title == "bank pay is not available enough for what check out promises"
    assert [(fact.name, fact.value) for fact in finding.facts[:2]] == [
        ("available", pytest.approx(0.995)),
        ("needed", pytest.approx(0.9999)),
    ]


def test_one_that_only_fails_with_what_it_calls_is_not_named():
    chain = nines(("shop/buy", "payment/pay", 500, 0), ("payment/pay", "bank/pay", 500, 500))

    assert [finding.service for finding in found(missing_nines, look(chain))] == ["bank"]


# Criticality inversion


def test_a_service_of_low_criticality_on_the_mandatory_way_of_a_critical_journey_is_an_inversion():
    what = look(
        journey(edge("shop/buy", "cart/get", "mandatory"), edge("cart/get", "price/sum", "mandatory"), said=CRITICAL),
        services={"price": ServiceFacts(criticality="low"), "cart": ServiceFacts(criticality="critical")},
    )

    finding = only(found(criticality_inversions, what))

    assert (finding.subject, finding.service) == ("price", "price")
    assert finding.title == "price is of low criticality, and check out, which is critical, cannot do without it"


def test_behind_an_optional_call_nothing_is_inverted():
    what = look(
        journey(edge("shop/buy", "tips/get", "optional"), edge("tips/get", "price/sum", "mandatory"), said=CRITICAL),
        services={"price": ServiceFacts(criticality="low")},
    )

    assert found(criticality_inversions, what) == []


def test_a_call_inside_a_mandatory_mark_is_on_the_mandatory_way():
    what = look(
        journey(
            edge("shop/buy", "shop/charge", declared="mandatory", kind="internal"),
            edge("shop/charge", "price/GET", around="mandatory"),
            said=CRITICAL,
        ),
        services={"price": ServiceFacts(criticality="low")},
    )

    assert only(found(criticality_inversions, what)).service == "price"


def test_a_criticality_that_was_raised_disproves_it():
    needed = journey(edge("shop/buy", "price/sum", "mandatory"), said=CRITICAL)
    before = look(needed, services={"price": ServiceFacts(criticality="low")})
    after = look(needed, services={"price": ServiceFacts(criticality="high")})

    assert only(found(criticality_inversions, before)).id in disproved(criticality_inversions, after)


def test_a_journey_whose_criticality_nobody_gave_has_none():
    what = look(
        journey(edge("shop/buy", "price/sum", "mandatory")), services={"price": ServiceFacts(criticality="low")}
    )

    assert found(criticality_inversions, what) == []


# Changes


def history(**more: int) -> EdgeHistory:
    counts = {"first_s": NOW_S - 3600, "last_s": NOW_S, "traces": 100, "before": 0, "meanwhile": 1000, "after": 0}
    return EdgeHistory(id=7, journey="check out", caller=op("a/x"), callee=op("b/y"), **(counts | more))


def test_an_edge_that_would_have_shown_before_is_new():
    # one trace in ten has it, and there were 200 before it: 20 should have had it
    finding = only(
        found(changed_edges, look(histories=(history(before=200),), services={"a": ServiceFacts(version="2")}))
    )

    assert (finding.kind, finding.version) == ("new edge", "2")


def test_an_edge_of_a_journey_that_is_young_itself_is_not():
    assert found(changed_edges, look(histories=(history(before=199),))) == []


def test_an_edge_that_has_been_there_for_a_week_is_not_new_any_more():
    old = history(before=10_000, first_s=NOW_S - SHOWN_S - 1)

    assert found(changed_edges, look(histories=(old,))) == []


def test_an_edge_that_should_have_shown_since_is_lost():
    assert only(found(changed_edges, look(histories=(history(after=200),)))).kind == "lost edge"


def test_one_that_is_seldom_called_is_not_lost_so_soon():
    assert found(changed_edges, look(histories=(history(traces=10, after=1900),))) == []


def test_a_requirement_that_changed_is_news_for_a_week():
    change = VerdictChange(7, "check out", op("a/x"), op("b/y"), "optional", "mandatory", NOW_NS)
    old = replace(change, since_unix_nano=NOW_NS - SHOWN_S * 10**9 - 1)

    assert only(found(changed_requirements, look(changes=(change, old)))).title == (
        "b y was optional for a x and is mandatory now"
    )


# Cycles


def test_services_that_call_each_other_in_a_loop_are_a_cycle():
    loop = journey(edge("a/x", "b/y"), edge("b/y", "c/z"), edge("c/z", "a/back", calls=3.0), edge("a/x", "d/w"))

    finding = only(found(cycles, look(loop)))

    assert finding.title == "services call each other in a loop: a → b → c → a"
    assert (finding.caller, finding.callee) == (op("c/z"), op("a/back"))


def test_a_loop_over_a_queue_is_none():
    assert found(cycles, look(journey(edge("a/x", "b/y"), edge("b/y", "a/x", kind="messaging")))) == []


def test_a_journey_without_its_loop_disproves_it():
    loop = only(found(cycles, look(journey(edge("a/x", "b/y"), edge("b/y", "a/z")))))

    assert loop.id in disproved(cycles, look(journey(edge("a/x", "b/y"))))
    assert disproved(cycles, look(replace(journey(edge("a/x", "b/y")), traces=99))) == set()


# Context and names


def test_traces_that_begin_at_an_inner_service_name_the_hop_that_lost_the_context():
    broken = ContextBreak("cart", "GET /cart", 40, 900.0, op("shop/GET /"), orphans=False, examples=("a" * 32,))

    finding = only(found(broken_contexts, look(breaks=(broken,))))

    assert finding.title == "traces begin at cart GET /cart, which shop GET / calls"
    assert (finding.service, finding.examples) == ("shop", ("a" * 32,))
    assert "client of shop sends a traceparent" in finding.advice


def test_orphans_and_lost_roots_of_one_operation_are_two_findings():
    broken = ContextBreak("cart", "GET /cart", 40, 900.0, None, orphans=False)

    both = found(broken_contexts, look(breaks=(broken, replace(broken, orphans=True))))

    assert len({finding.id for finding in both}) == 2


def test_a_service_that_invents_names_is_named():
    inventor = Inventor("shop", 990, 500, ("shop: GET /user/1", "shop: GET /user/2"))

    finding = only(found(unbounded_names, look(inventor=inventor)))

    assert "such as shop: GET /user/1 and shop: GET /user/2" in finding.title
    assert found(unbounded_names, look()) == []


# Promises


def storm() -> Counts:
    start = NOW_S // 60 * 60 - 60 * np.arange(10, 0, -1)
    return Counts(start, np.full(10, 100.0), np.full(10, 20.0), np.full(10, 100.0), np.full(10, 20.0))


def test_a_promise_that_burns_names_the_call_that_is_to_blame():
    standing = stand("availability", 0.99, storm(), NOW_S)
    burning = journey(
        edge("shop/buy", "pay/x", blamed=30.0), edge("pay/x", "bank/y", blamed=170.0), standings=(standing,)
    )

    finding = only(found(burning_promises, look(burning)))

    assert (finding.kind, finding.urgency, finding.service) == ("budget burning", "failing", "bank")
    assert finding.title == "check out fails more often than it promises: most of it with bank y"


def test_a_promise_that_an_experiment_burns_says_so():
    standing = stand("availability", 0.99, storm(), NOW_S)
    burning = journey(edge("shop/buy", "pay/x", blamed=200.0, blamed_injected=180.0), standings=(standing,))

    finding = only(found(burning_promises, look(burning)))

    assert ("failed by injected faults", 180.0) in [(fact.name, fact.value) for fact in finding.facts]


def test_where_the_root_fails_by_itself_no_call_is_blamed():
    standing = stand("availability", 0.99, storm(), NOW_S)
    burning = journey(edge("shop/buy", "pay/x", blamed=30.0), standings=(standing,), root_failed=170.0)

    assert only(found(burning_promises, look(burning))).callee is None


def test_a_promise_about_latency_that_burns_is_a_finding_of_its_own():
    standings = [stand("latency", promise, storm(), NOW_S, under_ns=10**8) for promise in (0.7, 0.95, 0.99)]

    kept, slow, fast = (found(burning_promises, look(journey(standings=(standing,)))) for standing in standings)

    assert kept == []
    assert [(one.kind, one.urgency) for one in (*slow, *fast)] == [("too slow", "burning"), ("too slow", "failing")]


def test_every_finding_is_of_a_kind_that_is_listed():
    everything = look(
        journey(edge("a/x", "b/y", "mandatory", "optional"), edge("b/y", "a/z", "optional", "mandatory")),
        histories=(history(after=500),),
    )

    kinds = {said.kind for said in find(everything)}

    assert kinds <= set(KINDS)
    assert {"hidden mandatory", "needless mandatory", "cycle", "lost edge"} <= kinds
