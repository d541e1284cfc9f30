"""`[[journey]]` of cpdd.toml: what it may say, and errors that name key, value and line."""

import pytest

from collector.core.journeys import FailedWhen, Journey, Latency, Match
from collector.core.journeys_file import parse_journeys
from cpdd.settings import SettingsError

WHOLE = """
ui_port = 8080

[[journey]]
name = "check out"
match = [{ service = "shop", operation = "POST /checkout" }, { journey = "checkout*" }]
owner = "Payments"
criticality = "critical"
availability = "99.9 %"
latency = "99 % under 500ms"
failed_when = { http_status = ["4xx", 302], rpc_status = 4, slower_than = "10s" }

[[journey]]
name = "browse"
"""


def test_everything_that_a_journey_may_say_is_read():
    check_out, browse = parse_journeys(WHOLE).journeys

    assert check_out == Journey(
        name="check out",
        matches=(Match(service="shop", operation="POST /checkout"), Match(journey="checkout*")),
        owner="Payments",
        criticality="critical",
        availability=0.999,
        latency=Latency(0.99, 500_000_000),
        failed_when=FailedWhen(((400, 499), (302, 302)), (4,), 10_000_000_000),
    )
    assert browse == Journey("browse")


def test_a_journey_of_several_steps_is_read():
    buy, pay = parse_journeys(
        """
        [[journey]]
        name = "buy"
        steps = ["cart", "pay"]
        session = "enduser.session"
        within = "10m"
        availability = "99 %"

        [[journey]]
        name = "pay"
        availability = "99.9 %"
        """
    ).journeys

    assert (buy.steps, buy.session, buy.within_ns, buy.availability) == (
        ("cart", "pay"),
        "enduser.session",
        600_000_000_000,
        0.99,
    )
    assert (pay.steps, pay.session, pay.within_ns) == ((), "session.id", 1_800_000_000_000)


def test_what_has_steps_has_no_match():
    with pytest.raises(SettingsError) as caught:
        parse_journeys('[[journey]]\nname = "buy"\nsteps = ["a", "b"]\nmatch = [{ service = "x" }]')

    assert "match of a journey with steps" in str(caught.value)
    assert "line 4" in str(caught.value)


def test_a_step_that_has_steps_itself_is_an_error_with_its_line():
    text = '[[journey]]\nname = "a"\nsteps = ["b", "c"]\n[[journey]]\nname = "b"\nsteps = ["x", "y"]\n'

    with pytest.raises(SettingsError) as caught:
        parse_journeys(text)

    assert "step 'b' is a journey of several steps itself" in str(caught.value)
    assert "line 3" in str(caught.value)


def test_a_trace_belongs_to_a_step_and_never_to_the_whole():
    book = parse_journeys('[[journey]]\nname = "buy"\nsteps = ["cart", "pay"]\navailability = 0.9')

    assert book.name("shop", "POST /pay", "pay") == "pay"
    assert (book.with_objective, [one.name for one in book.of_steps]) == ((), ["buy"])


def test_a_file_without_journeys_has_none():
    assert parse_journeys("ui_port = 8080").journeys == ()


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ('availability = "100 %"', "availability: '100 %': it leaves no budget for a single failure", "99.9 %"),
        ("availability = true", "availability: True is no share", "99.9 %"),
        ('availability = "9 %"', "an objective is from 50 % to below 100 %", "99.9 %"),
        ('latency = "99 % below 5ms"', "latency: '99 % below 5ms' is no objective for latency", "99 % under 500ms"),
        ('latency = "99 % under 500"', "latency: '500' has no unit", "99 % under 500ms"),
        ('latency = "99 % under 5 parsec"', "'5 parsec' is no duration", "99 % under 500ms"),
        ("avaliability = 0.9", "unknown key 'avaliability' of a journey", "did you mean availability?"),
        ('match = [{ svc = "a" }]', "unknown key 'svc' of a match", "did you mean service?"),
        ("match = [3]", "3 is no match", "POST /checkout"),
        ("failed_when = { slower_than = 10 }", "slower_than: 10 has no unit", "10s"),
        ("failed_when = { http_status = 999 }", "http_status: 999 is no HTTP status", "4xx"),
        ("failed_when = { rpc_status = 17 }", "rpc_status: 17 is no gRPC status from 0 to 16", "DEADLINE"),
        ('steps = ["cart"]', "steps: ['cart'] is no list of at least two names", "add to cart"),
        ('steps = ["cart", "cart"]', "steps: 'cart' is there twice", "add to cart"),
        ('within = "5m"', "within of a journey without steps", "has steps, session and within"),
        ('criticality = "urgent"', "'urgent' is none of critical, high, medium, low", ""),
        ("owner = 3", "owner: 3 is no text", ""),
        ("ui_port = 80", "unknown key 'ui_port' of a journey", "settings stand above the first [[journey]]"),
    ],
)
def test_an_error_names_the_value_the_line_and_what_would_do(line: str, problem: str, hint: str):
    text = f'{WHOLE}\n[[journey]]\nname = "c"\n# {line}\n{line}\n'

    with pytest.raises(SettingsError) as error:
        parse_journeys(text, "my.toml")

    assert problem in error.value.problem
    assert error.value.place == 'file my.toml line 19 of journey "c"'
    assert hint in error.value.hint


def test_a_journey_that_is_there_twice_is_an_error_that_names_both_lines():
    with pytest.raises(SettingsError, match=r"'check out' is there twice\n.* line 16\nhint: the first is at line 5"):
        parse_journeys(WHOLE + '[[journey]]\nname = "check out"')


def test_a_journey_without_a_name_is_an_error_at_its_head():
    with pytest.raises(SettingsError, match=r"a journey without a name\n  at file cpdd\.toml line 2"):
        parse_journeys('\n[[journey]]\nowner = "x"')


def test_a_single_table_is_an_error_that_says_how_to_write_it():
    with pytest.raises(SettingsError, match=r"write \[\[journey\]\], once for each"):
        parse_journeys('[journey]\nname = "x"')


def test_text_that_is_no_toml_is_an_error():
    with pytest.raises(SettingsError, match="not valid TOML"):
        parse_journeys("[[journey")
