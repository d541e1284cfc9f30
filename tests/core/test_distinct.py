"""Distinct rows, against the slow way."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from collector.core.distinct import distinct_rows, number_rows

SMALL, WIDE = st.integers(-3, 3), st.integers(-(2**31), 2**31 - 1)
ROWS = st.lists(st.tuples(SMALL | WIDE, SMALL, SMALL | WIDE), max_size=30)


@given(ROWS)
@example([(2**31 - 1, 3, 2**31 - 1), (-(2**31), -3, -(2**31)), (0, 3, 0), (0, 3, 0)])
def test_rows_come_once_in_order(rows: list[tuple[int, int, int]]) -> None:
    columns = [np.array([row[column] for row in rows], np.int64) for column in range(3)]

    found = distinct_rows(columns)

    assert list(zip(*(column.tolist() for column in found), strict=True)) == sorted(set(rows))


@given(ROWS, st.integers(0, 60))
@example([(2**31 - 1, 3, 2**31 - 1), (-(2**31), -3, -(2**31)), (0, 3, 0), (0, 3, 0)], 1)
def test_rows_are_numbered_by_their_kind_in_order(rows: list[tuple[int, int, int]], times: int) -> None:
    rows = rows * times  # few are numbered otherwise
    kinds = sorted(set(rows))
    columns = [np.array([row[column] for row in rows], np.int64) for column in range(3)]

    example, number = number_rows(columns)

    assert [rows[at] for at in example.tolist()] == kinds
    assert [kinds[at] for at in number.tolist()] == rows


def test_columns_of_any_integer_type_are_numbers_of_64_bits() -> None:
    found = distinct_rows((np.array([300, -1], np.int32), np.array([200, 200], np.uint8)))

    assert [column.tolist() for column in found] == [[-1, 300], [200, 200]]
    assert {column.dtype for column in found} == {np.dtype(np.int64)}
