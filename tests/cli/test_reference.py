"""The reference of the command says what the command says."""

from tests.cli.help_blocks import CONTRACTS, REFERENCE, renewed, verbs_in


def test_the_help_texts_of_the_reference_are_those_of_the_command():
    page = REFERENCE.read_text(encoding="utf-8")

    assert page == renewed(page), "run: python -m tests.cli.help_blocks"
    assert {"check", "escalate", "path", "send", "settings"} <= set(verbs_in(page))


def test_the_guide_to_contracts_shows_what_a_check_prints():
    page = CONTRACTS.read_text(encoding="utf-8")

    assert page == renewed(page), "run: python -m tests.cli.help_blocks"
    assert "▶ payment POST /pay" in page
