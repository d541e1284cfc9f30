"""Rules held against traces."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.contracts import Outcome, Population, RuleResult, check, read_baseline, read_contract
from collector.core.graph_build import dependency_graph
from cpdd.cli._contract_text import why as said
from tests.core.drawing import read_trace

KEPT, BROKEN, UNDECIDED = Outcome.KEPT, Outcome.BROKEN, Outcome.UNDECIDED

TRACE = """
    shop/buy 0-100 server journey=buy trace {n}
    shop/POST 10-70 client in shop/buy trace {n}
    pay/charge 20-60 server in shop/POST trace {n}
    ad/show 10-30 server in shop/buy trace {n}
"""


def traces(*drawings: str) -> Population:
    """A trace for each drawing."""
    text = "\n".join(drawing.format(n=n) for n, drawing in enumerate(drawings, 1))
    # labels are told apart by trace, since a label is a span
    return Population(read_trace(_numbered(text)))


def _numbered(text: str) -> str:
    lines = []
    for line in text.strip().splitlines():
        number = line.rpartition("trace ")[2].strip()
        for label in ("shop/buy", "shop/POST", "pay/charge", "ad/show", "shop/GET", "db/q", "ad/SELECT"):
            line = line.replace(label, f"{label}#{number}")
        lines.append(line)
    return "\n".join(lines)


def results(rules: str, population: Population, **baselines: str) -> list[RuleResult]:
    contract = read_contract(f'[journey."buy"]\n{rules}', "buy.toml")
    return check(contract, population, {f"{k}.json": read_baseline(v, k) for k, v in baselines.items()})


def result(rules: str, population: Population, **baselines: str) -> RuleResult:
    (only,) = results(rules, population, **baselines)
    return only


# Never on the critical path


def test_a_call_off_the_path_keeps_the_promise():
    found = result('never_on_path = ["ad"]', traces(TRACE, TRACE))

    assert (found.outcome, said(found)) == (KEPT, "2 calls in 2 traces, none on it")


def test_a_call_on_the_path_breaks_it_and_the_worst_trace_is_the_example():
    worse = TRACE.replace("20-60", "15-69")
    found = result('never_on_path = ["shop -> pay"]', traces(TRACE, worse.replace("10-70", "5-80")))

    assert (found.outcome, found.facts["broken"], found.facts["found_ns"]) == (BROKEN, 2, 75)
    assert found.example is not None
    assert found.example.trace_id.endswith("2")
    assert len(found.example.span_ids) == 1


def test_time_below_a_call_is_time_in_it():
    through = "shop/buy 0-100 server journey=buy trace {n}\nshop/POST 10-70 client in shop/buy trace {n}\n" \
              "pay/charge 10-70 server in shop/POST trace {n}"  # fmt: skip

    assert result('never_on_path = ["shop -> pay"]', traces(through)).facts["found_ns"] == 60


def test_a_call_that_was_never_seen_is_no_promise_kept():
    found = result('never_on_path = ["pai"]', traces(TRACE))

    assert (found.outcome, said(found)) == (UNDECIDED, "never called in this journey, did you mean pay?")


# The p95 path


def test_an_operation_may_take_its_share_of_the_p95_path():
    rules = 'min_traces = 1\nat_most = { pay = "40ns", "shop -> pay" = "59ns", "shop / buy" = "40ns" }'

    own, inside, root = results(rules, traces(TRACE))

    assert [(r.outcome, r.facts["found_ns"]) for r in (own, inside, root)] == [(KEPT, 40), (BROKEN, 60), (KEPT, 40)]
    assert {r.facts["path_ns"] for r in (own, inside, root)} == {100}


def test_calls_inside_one_another_count_once():
    nested = """
        shop/buy 0-100 server journey=buy trace {n}
        pay/charge 10-70 server in shop/buy trace {n}
        db/q 20-60 server in pay/charge trace {n}
    """

    found = result('min_traces = 1\nat_most = { "* -> *" = "1ns" }', traces(nested))

    assert found.facts["found_ns"] == 60


def test_with_a_hundred_traces_the_p95_path_is_that_of_the_ranks_93_to_97():
    drawings = [TRACE.replace("0-100", f"0-{1000 + n}") for n in range(100)]

    found = result('at_most = { "shop / buy" = "1s" }', traces(*drawings))

    assert found.facts["path_ns"] == 1000 + 94
    assert found.facts["traces"] == 5


@settings(max_examples=25)
@given(st.lists(st.integers(100, 10_000), min_size=1, max_size=60))
def test_the_operations_of_a_journey_share_the_p95_path_among_them(lengths):
    population = traces(*(TRACE.replace("0-100", f"0-{length}") for length in lengths))
    rules = 'min_traces = 1\nat_most = { shop = "1ns", pay = "1ns", ad = "1ns" }'

    found = results(rules, population)

    assert sum(r.facts["found_ns"] for r in found) == pytest.approx(found[0].facts["path_ns"], abs=3)


def test_few_traces_have_no_95th_percentile_unless_the_contract_says_so():
    population = traces(*[TRACE] * 19)

    found = result('latency = { p95 = "1ns" }', population)
    brave = result('min_traces = 19\nlatency = { p95 = "1ns" }', population)

    assert (found.outcome, brave.outcome) == (UNDECIDED, BROKEN)
    assert said(found).startswith("19 of the 20 traces that it takes")


def test_an_operation_that_was_never_seen_takes_nothing_and_says_nothing():
    found = result('min_traces = 1\nat_most = { "shop / bye" = "1s" }', traces(TRACE))

    assert (found.outcome, found.facts["close"]) == (UNDECIDED, "shop / buy")


def test_a_database_has_no_time_of_its_own_and_the_way_to_say_it_is_told():
    called = TRACE + "shop/GET 80-90 client in shop/buy trace {n} db_system=mysql"

    own, calls = results('min_traces = 1\nat_most = { mysql = "1s", "* -> mysql" = "1s" }', traces(called))

    assert (own.outcome, calls.facts["found_ns"]) == (UNDECIDED, 10)
    assert said(own) == "mysql sends no spans; '* -> mysql' is the time of the calls to it"


# Latency and errors


def test_a_quantile_is_the_nearest_rank():
    population = traces(*(TRACE.replace("0-100", f"0-{length}") for length in (100, 200, 300, 400)))

    found = [result(f'min_traces = 1\nlatency = {{ {q} = "1s" }}', population) for q in ("p50", "p95", "max")]

    assert [r.facts["found_ns"] for r in found] == [200, 400, 400]


def test_a_failed_trace_breaks_the_promise_of_none():
    population = traces(TRACE.replace("server", "server ok"), TRACE.replace("server journey", "server error journey"))

    found = result("no_errors = true", population)

    assert (found.outcome, said(found)) == (BROKEN, "1 of 2 traces failed")
    assert found.example is not None
    assert found.example.trace_id.endswith("2")


def test_without_any_status_nobody_knows_of_errors():
    assert result("no_errors = true", traces(TRACE)).outcome is UNDECIDED


# Which journey


def test_a_star_stands_for_every_journey():
    contract = read_contract('[journey."*"]\nlatency = { max = "1s" }', "all.toml")
    population = traces(TRACE, TRACE.replace("journey=buy", "journey=browse"))

    found = check(contract, population, {})

    assert {(r.journey, r.outcome) for r in found} == {("buy", KEPT), ("browse", KEPT)}


def test_a_journey_without_traces_is_undecided_in_every_rule():
    contract = read_contract(
        '[journey."bye"]\nno_errors = true\nnever_on_path = ["x"]\nlatency = { max = "1s" }\n'
        'at_most = { x = "1s", "x -> y" = "1s" }\nmandatory = { calls = ["x"], by = "observed" }\n'
        'no_new_mandatory = { known = [], by = "declared" }',
        "bye.toml",
    )

    found = check(contract, traces(TRACE), {})

    assert {r.outcome for r in found} == {UNDECIDED}
    assert {said(r) for r in found} == {"no trace of this journey, did you mean buy?"}


# Mandatory


def failing(count: int, well: int, fatal: bool) -> list[str]:
    """Traces in which the payment fails, and the journey with it or not; and some that end well."""
    root = "server error journey" if fatal else "server ok journey"
    bad = TRACE.replace("server journey", root).replace("pay/charge 20-60 server", "pay/charge 20-60 server error")
    good = TRACE.replace("server journey", "server ok journey")
    return [bad] * count + [good] * well


def mandatory(*calls: str, by: str = "observed") -> str:
    return f"mandatory = {{ calls = {json.dumps(calls)}, by = '{by}' }}"


def test_too_few_failures_decide_nothing():
    found = result(mandatory("shop -> pay"), traces(*failing(0, 5, fatal=True)))

    assert found.outcome is UNDECIDED
    assert "nobody knows yet of shop / buy -> " in said(found)
    assert "more failures would tell" in said(found)


def test_a_listed_call_that_the_journey_survives_breaks_the_contract():
    found = result(mandatory("shop -> pay"), traces(*failing(40, 20, fatal=False)))

    assert found.outcome is BROKEN
    assert "shop -> pay is listed, and optional: its caller survived 40 of 40" in said(found)
    assert found.example is not None


def test_a_mandatory_call_that_is_not_listed_breaks_the_contract():
    found = result(mandatory("shop -> ad"), traces(*failing(40, 20, fatal=True)))

    assert found.outcome is BROKEN
    assert "shop / buy -> pay / charge is mandatory and not listed" in said(found)
    assert found.example is not None
    assert found.example.span_ids


DECLARED = TRACE.replace("client in", "client mandatory in").replace("10-30 server", "10-30 server optional")


@pytest.mark.parametrize(
    ("calls", "outcome"),
    [(["shop -> pay"], KEPT), (["pay", "ad"], BROKEN), ([], BROKEN), (["pay", "never"], UNDECIDED)],
)
def test_what_the_code_declares_is_known_without_a_failure(calls, outcome):
    assert result(mandatory(*calls, by="declared"), traces(DECLARED)).outcome is outcome


@pytest.mark.parametrize("inside", ["", "mandatory"])
def test_what_a_service_marks_inside_itself_need_not_be_listed_and_holds_for_the_call_in_it(inside):
    marked = f"""
        shop/buy 0-100 server journey=buy trace {{n}}
        shop/GET 10-40 internal mandatory in shop/buy trace {{n}}
        shop/POST 11-39 client {inside} in shop/GET trace {{n}}
        pay/charge 12-38 server in shop/POST trace {{n}}
    """

    alone = result(mandatory("shop -> pay", by="declared"), traces(marked))
    both = result(mandatory("shop -> pay", "shop -> shop / GET", by="declared"), traces(marked))

    new = NEW.replace("observed", "declared")
    assert (alone.outcome, both.outcome) == (KEPT, KEPT)
    assert result(new, traces(marked), main=baseline(traces(marked))).outcome is KEPT


def test_what_lies_behind_an_optional_call_is_not_mandatory_for_the_journey():
    behind = """
        shop/buy 0-100 server journey=buy trace {n}
        shop/GET 10-40 client optional in shop/buy trace {n}
        ad/show 11-39 server in shop/GET trace {n}
        ad/SELECT 12-38 client mandatory in ad/show trace {n} db_system=mysql
    """

    found = result(mandatory(by="declared"), traces(behind))
    named = result(mandatory("ad -> mysql", by="declared"), traces(behind))

    assert (found.outcome, named.outcome) == (KEPT, BROKEN)
    assert said(named) == "ad -> mysql is listed, and behind a call that is declared optional"


NEW = "no_new_mandatory = { baseline = 'main.json', by = 'observed' }"


def baseline(population: Population) -> str:
    return json.dumps(dependency_graph(population.batch).to_json())


@pytest.mark.parametrize("drawings", [failing(40, 20, fatal=True), failing(0, 3, fatal=True), [DECLARED]])
@pytest.mark.parametrize("by", ["observed", "declared"])
def test_nothing_is_new_against_oneself(drawings, by):
    population = traces(*drawings)

    assert result(NEW.replace("observed", by), population, main=baseline(population)).outcome is KEPT


def test_a_call_that_became_mandatory_is_new():
    before, now = traces(*failing(40, 20, fatal=False)), traces(*failing(40, 20, fatal=True))

    found = result(NEW, now, main=baseline(before))

    assert found.outcome is BROKEN
    assert said(found) == "shop / buy -> pay / charge is mandatory, and was not before"


def test_a_list_is_as_good_as_a_baseline():
    now = traces(DECLARED)
    rule = "no_new_mandatory = { known = ['shop -> pay'], by = 'declared' }"

    assert result(rule, now).outcome is KEPT
    assert result(rule.replace("shop -> pay", "shop -> ad"), now).outcome is BROKEN


def test_a_baseline_that_does_not_know_the_journey_says_nothing():
    other = traces(TRACE.replace("journey=buy", "journey=browse"))

    assert result(NEW, traces(TRACE), main=baseline(other)).outcome is UNDECIDED
