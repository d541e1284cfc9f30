"""How sure a difference is: intervals by Student's t, and a correction for many comparisons. Pure.

Sources: Wallace, Bounds on normal approximations to Student's distributions, Annals of Mathematical Statistics 1959;
Welch, Biometrika 1947; Holm, Scandinavian Journal of Statistics 1979.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_NORMAL = NormalDist()

FloatColumn = NDArray[np.float64]


def normal_deviate(t: FloatColumn, freedom: FloatColumn) -> FloatColumn:
    """Return z with the tail probability that |t| has under Student's t; within 0.02 from 3 degrees of freedom on.

    >>> normal_deviate(np.array([2.131]), np.array([15.0])).round(2).tolist()
    [1.96]
    """
    freedom = np.minimum(freedom, 1e9)
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return scale * np.sqrt(freedom * np.log1p(np.minimum(np.abs(t), 1e150) ** 2 / freedom))


def student_quantile(freedom: FloatColumn, level: float = LEVEL) -> FloatColumn:
    """Return the half-width of a two-sided interval in standard errors.

    >>> student_quantile(np.array([4.0, 15.0, 1e9])).round(2).tolist()
    [2.79, 2.13, 1.96]
    """
    z = _NORMAL.inv_cdf(0.5 + level / 2)
    freedom = np.clip(freedom, 1.0, 1e9)
    exponent = np.minimum((z * (8 * freedom + 3) / (8 * freedom + 1)) ** 2 / freedom, 500.0)
    return np.sqrt(freedom * np.expm1(exponent))


def two_sided(z: FloatColumn) -> FloatColumn:
    """Return the probability of a deviate as far from 0 as z or farther."""
    return np.array([2 * _NORMAL.cdf(-abs(float(each))) for each in z.reshape(-1)]).reshape(z.shape)


def holm(p: FloatColumn, error: float) -> NDArray[np.bool_]:
    """Tell which of many hypotheses are rejected when none of the true ones may be, but with probability `error`.

    >>> holm(np.array([0.04, 0.001, 0.02]), 0.05).tolist()
    [True, True, True]
    >>> holm(np.array([0.04, 0.03, 0.02]), 0.05).tolist()
    [False, False, False]
    """
    order = np.argsort(p, kind="stable")
    passes = p[order] <= error / (len(p) - np.arange(len(p)))
    rejected = np.zeros(len(p), bool)
    rejected[order[: int(np.argmin(np.append(passes, False)))]] = True
    return rejected
