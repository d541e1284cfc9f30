"""What tests of the collector's threads have in common."""

import time

import pytest

from cpdd.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """The time of day, moved by hand: rows live some days from when they were written, so that it begins today."""
    return FakeClock(time.time_ns())
