"""The examples in docstrings are true."""

import doctest
from types import ModuleType

import pytest

import collector.core.population.certainty
import collector.core.population.levels
import collector.core.population.whatif
import collector.core.population.wishes
import collector.store.bands
import collector.store.histogram
import ui.draw.histogram


@pytest.mark.parametrize(
    "module",
    [
        collector.core.population.certainty,
        collector.core.population.levels,
        collector.core.population.whatif,
        collector.core.population.wishes,
        collector.store.bands,
        collector.store.histogram,
        ui.draw.histogram,
    ],
    ids=lambda module: module.__name__,
)
def test_examples_are_true(module: ModuleType):
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 0
