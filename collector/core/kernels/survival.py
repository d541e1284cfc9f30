"""How likely it is that a caller survives: quantiles of the ratio of two shares, by drawing both."""

import numpy as np

from collector.core.kernels import held


@held
def survival_quantiles(generator, well, ill, ill_weight, base_well, base_ill, base_ill_weight, draws, levels):
    """Return the quantiles of survival at `levels` (ascending, below 1).

    A share that ends well is drawn from a Beta where both outcomes weigh the same. Survival is the share of failed
    calls over that of the baseline, at most 1.

    Args:
        well, ill, ill_weight: witnesses of failures, and how much more one of the ill weighs; `base_*` of the baseline,
            which is 1 where there are none.
    """
    good = generator.standard_gamma(0.5 + well, draws)
    bad = generator.standard_gamma(0.5 + ill, draws)
    survival = good / (good + bad * ill_weight)
    if base_well + base_ill > 0:
        good = generator.standard_gamma(0.5 + base_well, draws)
        bad = generator.standard_gamma(0.5 + base_ill, draws)
        survival = survival / (good / (good + bad * base_ill_weight))
    survival = np.minimum(1.0, survival)
    survival.sort()
    found = np.empty(len(levels))
    for i in range(len(levels)):
        at = levels[i] * (draws - 1)
        low = int(at)
        below, above = survival[low], survival[low + 1]
        part = at - low
        found[i] = above - (above - below) * (1 - part) if part >= 0.5 else below + (above - below) * part
    return found
