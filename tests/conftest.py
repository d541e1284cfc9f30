"""What tests of the collector's threads have in common."""

import time

import pytest
from hypothesis import HealthCheck, settings

from cpdd.testing import FakeClock

# How long an example takes says how busy the machine is: no test fails for it. In CI hypothesis derandomizes as well.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def clock() -> FakeClock:
    """The time of day, moved by hand: rows live some days from when they were written, so that it begins today."""
    return FakeClock(time.time_ns())
