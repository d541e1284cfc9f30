"""Owners, and what services say they depend on."""

import pytest

from collector.core.catalog import (
    Catalog,
    CatalogError,
    Difference,
    Owner,
    compare_dependencies,
    owner_of,
    read_catalog,
)

TEXT = """
[service.payment]
owner = "Payments"
contact = "#payments"
url = "https://runbooks.example/payment"
criticality = "critical"
depends_on = ["bank", "ledger"]

[service."cart api"]
owner = "Storefront"
"""


@pytest.fixture
def catalog() -> Catalog:
    return read_catalog(TEXT, "catalog.toml")


def test_a_service_has_an_owner_and_may_say_what_it_depends_on(catalog):
    payment = catalog.service("payment")

    assert payment.owner == Owner("Payments", "#payments", "https://runbooks.example/payment")
    assert (payment.criticality, payment.depends_on) == ("critical", ("bank", "ledger"))
    assert catalog.service("cart api").depends_on is None
    assert not catalog.owner("never heard of")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[service.pay]\nowner = 1', ["a text is expected", "catalog c.toml [service.pay] owner = 1"]),
        ('[service.pay]\nowenr = "x"', ["unknown key 'owenr'", "did you mean owner?"]),
        ('[service.pay]\ncriticality = "very"', ["critical or high or medium or low", 'criticality = "very"']),
        ('[service.pay]\ndepends_on = "bank"', ["a list of texts", 'depends_on = "bank"']),
        ("[services.pay]", ["unknown key 'services'", "did you mean service?"]),
        ("service = 1", ["service is a table"]),
        ("[service", ["not valid TOML"]),
    ],
)  # fmt: skip
def test_an_error_names_the_place_the_value_and_what_would_do(text, said):
    with pytest.raises(CatalogError) as caught:
        read_catalog(text, "c.toml")

    assert [words for words in said if words not in str(caught.value)] == []


def test_spans_say_their_owner_and_the_catalog_completes_it(catalog):
    said = owner_of((("service.owner.name", "Payments"), ("service.owner.url", 5)))

    assert catalog.owner("payment", said) == Owner("Payments", "#payments", "https://runbooks.example/payment")
    assert catalog.owner("payment", Owner(contact="@night")).contact == "@night"


def test_another_owners_contact_is_never_put_beside_a_name(catalog):
    assert catalog.owner("payment", Owner("Billing")) == Owner("Billing")


def test_what_is_declared_and_never_seen_and_seen_and_never_declared_is_listed(catalog):
    seen = [("payment", "bank"), ("payment", "redis"), ("payment", "payment"), ("cart api", "redis")]

    assert compare_dependencies(catalog, seen) == (Difference("payment", ("ledger",), ("redis",), True),)


def test_a_service_that_was_never_seen_cannot_have_called(catalog):
    assert compare_dependencies(catalog, []) == (Difference("payment", ("bank", "ledger"), (), False),)
    assert compare_dependencies(catalog, [], ["payment"])[0].is_seen


def test_who_depends_on_nothing_and_calls_nobody_agrees():
    catalog = read_catalog("[service.bank]\ndepends_on = []", "c.toml")

    assert compare_dependencies(catalog, [("payment", "bank")]) == ()
    assert compare_dependencies(catalog, [("bank", "ledger")])[0].never_declared == ("ledger",)
