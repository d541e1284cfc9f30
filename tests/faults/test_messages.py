"""What docs/records/messages.md tells; the situations that need no trouble of the machine."""

from pathlib import Path

import pytest

from tests.faults.messages import AT_THE_START, disk_at_the_start, second_start, shadowed
from tests.faults.transcript import Transcript

TESTED_ELSEWHERE = (second_start, shadowed)
"""In tests/test_serve.py and tests/cli/test_shadowed.py."""


@pytest.mark.parametrize("situation", [s for s in AT_THE_START if s not in (disk_at_the_start, *TESTED_ELSEWHERE)])
def test_a_start_that_cannot_be_says_why_and_what_to_do(situation, tmp_path: Path) -> None:
    transcript = Transcript()

    situation(transcript, tmp_path)

    assert transcript.missing == []


def test_what_had_to_be_said_and_was_not_is_kept() -> None:
    transcript = Transcript({"/tmp/abc": "/tmp/x"})
    transcript.situation("A start", "By hand.")

    transcript.said("The terminal", "cannot start at /tmp/abc\nTraceback (most recent call last)", "hint: ", "cannot")

    assert transcript.missing == [
        "A start: The terminal does not say 'hint: '",
        "A start: The terminal shows a traceback",
    ]
    assert "cannot start at /tmp/x" in "\n".join(transcript.lines)
