"""The rule by which a soak is flat, and what is counted on disk."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.soak import NOTICED, Sample, bytes_of, is_flat, main, parts_of, verdicts

EVEN = Sample(0.0, 1000.0, 0, 500.0, 1.0, 40, 60.0, 50.0, 200.0, 10.0, 20.0, 30.0)


def test_samples_that_stay_as_they_are_are_flat() -> None:
    assert is_flat([EVEN] * 6)


def test_the_first_third_warms_up() -> None:
    assert is_flat([replace(EVEN, memory_mib=100.0)] * 2 + [EVEN] * 4)


@pytest.mark.parametrize("column", NOTICED)
def test_what_grows_by_more_than_a_tenth_is_not_flat(column: str) -> None:
    before = getattr(EVEN, column)
    grown = replace(EVEN, **{column: type(before)(before * 1.11 + NOTICED[column])})

    found = verdicts([EVEN] * 4 + [grown] * 2)

    assert [name for name, verdict in found.items() if not verdict.is_flat] == [column]


def test_one_slow_stretch_is_no_growth() -> None:
    assert is_flat([EVEN] * 6 + [EVEN, replace(EVEN, answer_p99_ms=5_000.0), EVEN])


@pytest.mark.parametrize("grows", [False, True])
def test_what_varies_is_flat_unless_it_grows(grows: bool) -> None:
    parts = [400 + 317 * n % 600 + 40 * n * grows for n in range(30)]

    assert is_flat([replace(EVEN, parts=number) for number in parts]) is not grows


def test_two_samples_show_nothing() -> None:
    assert not is_flat([EVEN] * 2)


def test_parts_and_bytes_are_counted_on_disk(tmp_path: Path) -> None:
    for name in ("all_1_1_0", "all_2_2_0"):
        (tmp_path / "table" / name).mkdir(parents=True)
        (tmp_path / "table" / name / "columns.txt").write_bytes(b"12345")

    assert (parts_of(tmp_path), bytes_of(tmp_path)) == (2, 10)


def test_a_short_soak_samples_a_real_server_and_counts_what_it_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.md"

    main(["--seconds", "8", "--every", "4", "--rate", "2000", "--in-flight", "4", "--record", str(record)])

    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ") and line[2].isdigit()]
    written = record.read_text()
    assert len(rows) >= 2
    assert all(row in written for row in rows)
    counted = re.search(r"([\d,]+) spans acknowledged, ([\d,]+) stored", written)
    assert counted
    assert counted[1] == counted[2] != "0"
