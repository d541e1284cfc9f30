"""Predictions against what really happens, and what is made of them."""

import json

import pytest

from collector.core.population.whatif import WhatIf
from collector.core.population.wishes import BadWish, UnknownTarget, read_wish
from tests.core.drawing import read_trace
from tests.core.population.simulated import MS, Requests, Slower, try_out


def test_the_simulated_program_takes_as_long_as_its_spans_say():
    requests = Requests.drawn(1, 30)

    population = WhatIf(requests.spans())

    assert population.duration_ns.tolist() == requests.durations().tolist()


@pytest.mark.parametrize("operation", ["login", "db"])
def test_a_prediction_holds_what_really_happens_and_is_narrow(operation: str):
    found = [try_out(seed, 250, Slower(operation, 20 * MS), truth_requests=40_000) for seed in range(5)]

    assert sum(each.holds for each in found) >= 4
    assert max(each.width for each in found) < 0.25


def test_predictions_of_one_population_are_the_same_every_time():
    wish = read_wish("shop/price=x0.5")
    spans = Requests.drawn(3, 50).spans()

    assert WhatIf(spans).predict([wish]) == WhatIf(spans).predict([wish])


def test_the_way_between_two_services_can_be_made_faster():
    population = WhatIf(
        read_trace("shop/buy 0-100 server; shop/GET 10-90 client in shop/buy; cart/get 30-60 server in shop/GET")
    )

    (mean, *_) = population.predict([read_wish("shop -> cart=x0.5")]).figures

    assert (mean.before_ns, mean.after_ns) == (100, 75)


def test_wishes_add_up():
    population = WhatIf(read_trace("shop/buy 0-100; cart/get 10-40 in shop/buy; pay/post 50-90 in shop/buy"))

    mean = population.predict([read_wish("cart=x0.5"), read_wish("pay/post=-30ns")]).mean

    assert mean.change_ns == -45


def test_what_is_worth_most_stands_first_and_says_where_it_ends():
    population = WhatIf(
        read_trace("shop/buy 0-200; slow/a 0-100 in shop/buy; other/b 0-75 in shop/buy; late/c 100-180 in shop/buy")
    )

    ranking = population.rank()

    assert [candidate.part.operation for candidate in ranking] == ["c", "a", "buy"]
    assert [candidate.halved_ns for candidate in ranking] == [40, 25, 10]
    assert [candidate.saturates_at for candidate in ranking] == [1.0, 0.25, 1.0]
    json.dumps([candidate.to_json() for candidate in ranking])


def test_a_part_beside_the_path_saves_nothing():
    population = WhatIf(read_trace("shop/buy 0-100; slow/a 0-100 in shop/buy; other/b 0-70 in shop/buy"))

    assert population.predict([read_wish("other=x0")]).mean.change_ns == 0
    assert population.saturation(read_wish("other=x0")) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("shop", "whose time"),
        ("=x0.5", "whose time"),
        ("shop=", "is no change"),
        ("shop=20ms", "'20ms' is no change"),
        ("shop=-20", "is no change"),
        ("shop=-150%", "more than 100 %"),
        ("shop=+3601s", "more than an hour"),
        ("shop=x1001", "more than 1000 times"),
        ("shop=x" + "9" * 400, "more than 1000 times"),
        ("shop=+999999%", "more than 1000 times"),
    ],
)
def test_a_wish_that_cannot_be_read_says_why(text: str, problem: str):
    with pytest.raises(BadWish) as caught:
        read_wish(text)

    assert problem in str(caught.value)
    assert "hint: 'service/operation=-20ms'" in str(caught.value)


def test_an_operation_with_an_equals_sign_is_told_from_the_change():
    wish = read_wish("shop/GET /cart?id=7=+1.5ms")

    assert (wish.target, wish.shift_ns) == ("shop/GET /cart?id=7", 1_500_000)


def test_a_wish_about_nobody_names_those_that_look_like_it():
    population = WhatIf(read_trace("shop/buy 0-100; cart/get 10-40 in shop/buy"))

    with pytest.raises(UnknownTarget, match="there is cart/get") as caught:
        population.predict([read_wish("cart/gte=x0.5")])

    assert caught.value.near[0] == "cart/get"
