from hypothesis import given
from hypothesis import strategies as st

from collector.store.resources import FACTS, join_facts, split_facts

_VALUES = st.text() | st.text("\x1e\x1f01", max_size=4)


@given(st.lists(_VALUES, min_size=FACTS, max_size=FACTS))
def test_values_that_hold_the_separator_are_read_back_as_they_were(values: list[str]) -> None:
    assert split_facts(join_facts(values)) == values


def test_a_resource_of_which_nothing_is_known_is_the_empty_text() -> None:
    assert join_facts([""] * FACTS) == ""


def test_a_text_with_more_pieces_than_there_are_facts_gives_the_first_of_them() -> None:
    assert split_facts("\x1f".join("abcdefghij")) == list("abcdefgh")
