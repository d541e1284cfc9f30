"""Populations of traces: what one trace cannot say. Pure; the values behind `cpdd diff`, `whatif` and `report`."""

from collector.core.population.columns import Population, gather, population_of
from collector.core.population.difference import Difference, compare
from collector.core.population.parts import Part

__all__ = ["Difference", "Part", "Population", "compare", "gather", "population_of"]
