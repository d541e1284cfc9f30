"""What a page says of an edge: declared, observed, and where they differ."""

from dataclasses import replace

from collector.core.requirement import Evidence, Share
from collector.core.said import Said
from collector.store.values import Edge, Node
from ui.views.requirement import drawn_requirement, requirement_of

EDGE = Edge(
    id=1,
    journey="check out",
    caller=Node("shop", "POST /checkout", "server"),
    callee=Node("payment", "POST /pay", "server"),
    kind="rpc",
    traces=1_000,
    calls=1_000.0,
    failed=0.0,
    survived=0.0,
    waited=1_000.0,
    declared_mandatory=0.0,
    declared_optional=0.0,
    status_known=True,
    critical_share=0.5,
    mean_ns=1e6,
)
QUIET = Share(900, 900, 900)


def failed(times, survived, **more):
    evidence = Evidence(Share(times, survived, times), QUIET)
    return replace(EDGE, failed=float(times), survived=float(survived), evidence=evidence, **more)


def test_a_call_that_never_failed_is_undetermined():
    said = requirement_of(EDGE)

    assert (said.observed, said.drawn, said.words) == (
        "undetermined",
        "undetermined",
        "none failed, so nobody knows yet",
    )


def test_what_a_caller_declares_to_have_instead_is_said():
    said = requirement_of(replace(EDGE, said=Said(fallback="cache")))

    assert said.words == "none failed, so nobody knows yet; declared with an older answer in its place"


def test_many_failures_that_were_survived_make_it_optional():
    said = requirement_of(failed(60, 60))

    assert said.observed == "optional"
    assert said.words == "60 failed, caller survived all"


def test_many_failures_that_nobody_survived_make_it_mandatory():
    assert requirement_of(failed(60, 0)).observed == "mandatory"


def test_a_few_failures_decide_nothing_and_say_how_many_would():
    said = requirement_of(failed(3, 0))

    assert said.observed == "undetermined"
    assert said.words.startswith("3 failed, caller survived none; about ")
    assert said.words.endswith(" more would tell")


def test_failures_beside_others_are_no_evidence():
    said = requirement_of(replace(EDGE, failed=60.0, survived=0.0, confounded=60.0))

    assert said.observed == "undetermined"
    assert "60 of them beside another failed call" in said.words


def test_without_any_status_nothing_is_claimed():
    said = requirement_of(replace(EDGE, status_known=False, failed=60.0))

    assert (said.observed, said.words) == ("undetermined", "no status recorded")


def test_what_was_declared_is_drawn_until_something_was_seen():
    said = requirement_of(replace(EDGE, declared_optional=1_000.0))

    assert (said.declared, said.drawn, said.badge) == ("optional", "optional", "")


def test_declared_and_observed_that_differ_carry_a_badge():
    said = requirement_of(failed(60, 0, declared_optional=1_000.0))

    assert said.badge == "declared optional, is mandatory"
    assert said.drawn == "mandatory"


def test_callers_that_disagree_declare_it_mixed():
    assert requirement_of(replace(EDGE, declared_optional=1.0, declared_mandatory=1.0)).declared == "mixed"


def test_what_is_drawn_is_the_same_alone():
    edges = [
        EDGE,
        replace(EDGE, declared_optional=3.0),
        *(failed(times, survived) for times, survived in ((1, 0), (60, 0), (60, 30), (60, 60))),
        failed(60, 60, status_known=False),
        failed(3, 3, declared_mandatory=1.0),
        failed(3, 3, around="optional"),
        replace(EDGE, evidence=Evidence(Share(), Share(), delivered=True)),
    ]

    drawn = [drawn_requirement(edge) for edge in edges]

    assert drawn == [requirement_of(edge).drawn for edge in edges]
    assert set(drawn) == {"mandatory", "optional", "mixed", "undetermined"}


def test_a_call_inside_a_mark_that_says_nothing_itself_is_drawn_as_the_mark_is_declared():
    said = requirement_of(failed(3, 0, around="mandatory"))

    assert (said.observed, said.declared, said.around) == ("undetermined", "", "mandatory")
    assert (said.drawn, said.badge) == ("mandatory", "")


def test_what_was_seen_of_a_call_counts_more_than_the_mark_around_it():
    said = requirement_of(failed(60, 0, around="optional"))

    assert (said.drawn, said.badge) == ("mandatory", "")
