"""Where a series parts best into a lower beginning and a higher end."""

import numpy as np

from collector.core.kernels import held


@held
def best_cut(latency, traces, least_times, parted, least_steps, least_traces):
    """Return the first step after the best cut (-1: there is none), and the means on either side. Work: O(n^2).

    Args:
        latency, traces: by step.
        parted: of all pairs of a step before and one after, the least share in which the one after is slower.
    """
    n = len(latency)
    weight, total = np.zeros(n + 1), np.zeros(n + 1)
    for i in range(n):
        weight[i + 1] = weight[i] + traces[i]
        total[i + 1] = total[i] + traces[i] * latency[i]
    best, most, mean_before, mean_after = -1, np.int64(-1), 0.0, 0.0
    pairs = np.int64(0)
    for cut in range(1, n):
        # The step before the cut goes over to the other side: from here on it is compared with what is after it.
        moved = latency[cut - 1]
        for i in range(cut - 1):
            pairs -= moved > latency[i]
        for i in range(cut, n):
            pairs += latency[i] > moved
        before, after = weight[cut], weight[n] - weight[cut]
        if pairs <= most or pairs < parted * cut * (n - cut):
            continue
        if min(cut, n - cut) < least_steps or min(before, after) < least_traces:
            continue
        low, high = total[cut] / before, (total[n] - total[cut]) / after
        if high >= least_times * low:
            best, most, mean_before, mean_after = cut, pairs, low, high
    return best, mean_before, mean_after
