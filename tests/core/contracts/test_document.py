"""A contract's text to its rules, and errors that say where."""

import re
from pathlib import Path

import pytest

from collector.core.contracts import ContractError, read_baseline, read_contract
from collector.core.contracts.names import CallName, OperationName
from collector.core.contracts.rules import AtMost, Latency, Mandatory, NeverOnPath, NoErrors, NoNewMandatory

CHECKOUT = '[journey."check out"]\n'
WHOLE = """
[journey."check out"]
never_on_path = ["recommendations", "shop -> mailer / POST *"]
no_errors = true
min_traces = 5
at_most = { payment = "120ms", "shop -> cart" = "30ms" }
latency = { p95 = "400ms" }
mandatory = { calls = ["shop -> payment"], by = "observed" }
no_new_mandatory = { baseline = "main.json", by = "declared" }
"""


def call(caller: str, callee: str) -> CallName:
    return CallName(OperationName(caller), OperationName(callee))


def error_of(text: str) -> ContractError:
    with pytest.raises(ContractError) as caught:
        read_contract(text, "shop.toml")
    return caught.value


def test_every_rule_is_read_in_the_order_of_the_text():
    (journey,) = read_contract(WHOLE, "shop.toml").journeys

    assert (journey.journey, journey.min_traces) == ("check out", 5)
    assert journey.rules == (
        NeverOnPath(call("*", "recommendations")),
        NeverOnPath(call("shop", "mailer / POST *")),
        NoErrors(),
        AtMost(OperationName("payment"), 120_000_000),
        AtMost(call("shop", "cart"), 30_000_000),
        Latency("p95", 400_000_000),
        Mandatory((call("shop", "payment"),), "observed"),
        NoNewMandatory((), "main.json", "declared"),
    )


def test_the_baselines_of_a_contract_are_named_once():
    twice = WHOLE + WHOLE.replace("check out", "browse")

    assert read_contract(twice, "shop.toml").baselines() == ("main.json",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[journy."x"]', ["unknown key 'journy'", "contract shop.toml journy =", "did you mean journey?"]),
        (CHECKOUT + 'never_on_pth = ["a"]', ['[journey."check out"] never_on_pth = ["a"]', "mean never_on_path?"]),
        ("[journey.x.at_most]\npayment = 120", ["120 has no unit", "[journey.x.at_most] payment = 120"]),
        ('[journey.x.at_most]\npayment = "120"', ["'120' has no unit", '"120ms"']),
        ('[journey.x.latency]\nmaxx = "1s"', ["unknown key 'maxx'", "did you mean max?"]),
        (CHECKOUT + 'never_on_path = ["a -> b -> c"]', ["'a -> b -> c' names no call", "caller -> callee"]),
        (CHECKOUT + 'never_on_path = "a"', ["a list of texts is expected", 'never_on_path = "a"']),
        (CHECKOUT + 'mandatory = { calls = ["a"] }', ["by is missing", '[journey."check out".mandatory]', "declared"]),
        (CHECKOUT + 'mandatory = { calls = ["a"], by = "seen" }', ["observed or declared", 'by = "seen"']),
        (CHECKOUT + 'mandatory = { by = "observed" }', ["calls is missing", 'calls = ["shop -> payment"]']),
        (CHECKOUT + 'mandatory = ["a"]', ["mandatory is a table", '[journey."check out".mandatory]']),
        (CHECKOUT + 'no_new_mandatory = { by = "observed" }', ["either a baseline or the list", "baseline.json"]),
        (CHECKOUT + "no_errors = 1", ["true or false", "no_errors = 1"]),
        (CHECKOUT + "no_errors = true\nmin_traces = 0", ["whole number from 1", "min_traces = 0"]),
        (CHECKOUT, ["no rule in this table", "never_on_path"]),
        ("", ["no journey"]),
        ("[journey", ["not valid TOML", "contract shop.toml"]),
    ],
)
def test_an_error_names_the_place_the_value_and_what_would_do(text, said):
    message = str(error_of(text))

    assert [words for words in said if words not in message] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "baseline main.json"),
        ("[]", "no list of edges"),
        ('{"edges": [{"journey": "x"}]}', "edges[0]"),
        ('{"edges": [{"journey": "x", "caller": 1, "callee": "b", "requirement": {}}]}', "edges[0]"),
    ],
)  # fmt: skip
def test_a_baseline_that_is_none_says_what_one_is(text, said):
    with pytest.raises(ContractError, match="cpdd graph --json") as caught:
        read_baseline(text, "main.json")

    assert said in str(caught.value)


GUIDE = Path(__file__).parents[3] / "docs/how-to/contracts.md"


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL))
def test_the_contracts_of_the_guide_can_be_read(text):
    assert read_contract(text, "guide.toml").journeys
