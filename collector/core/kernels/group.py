"""Rows in order of arrival to rows grouped by trace."""

import numpy as np

from collector.core.kernels import inlined, kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_HIGH = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(32)


@inlined
def mix(high, low, seed):
    """Return 64 well-mixed bits of an id; `seed` differs between processes, so that nobody can prepare collisions."""
    bits = (low ^ seed) * _MIX
    bits = (bits ^ (bits >> _SHIFT) ^ high) * _MIX_HIGH
    return bits ^ (bits >> _SHIFT)


@kernel
def group_rows(high, low, seed):
    """Return (order, first): the rows of trace t are order[first[t]:first[t + 1]], traces by their first row."""
    n = len(high)
    runs = 0
    for row in range(n):
        runs += row == 0 or low[row] != low[row - 1] or high[row] != high[row - 1]
    size = 16
    while size < 2 * runs:
        size *= 2
    mask = np.uint64(size - 1)
    slots = np.full(size, -1, np.int32)
    trace_of = np.empty(n, np.int32)
    first_row = np.empty(runs, np.int32)
    traces = 0
    for row in range(n):
        if row > 0 and low[row] == low[row - 1] and high[row] == high[row - 1]:
            trace_of[row] = trace_of[row - 1]
            continue
        slot = np.int64(mix(high[row], low[row], seed) & mask)
        while True:
            trace = slots[slot]
            if trace < 0:
                slots[slot] = traces
                first_row[traces] = row
                trace_of[row] = traces
                traces += 1
                break
            other = first_row[trace]
            if low[other] == low[row] and high[other] == high[row]:
                trace_of[row] = trace
                break
            slot = (slot + 1) & (size - 1)

    first = np.zeros(traces + 1, np.int64)
    if traces == runs:  # they are grouped already
        first[:traces] = first_row
        first[traces] = n
        return np.arange(n), first
    for row in range(n):
        first[trace_of[row] + 1] += 1
    for trace in range(traces):
        first[trace + 1] += first[trace]
    cursor = first[:traces].copy()
    order = np.empty(n, np.int64)
    for row in range(n):
        trace = trace_of[row]
        order[cursor[trace]] = row
        cursor[trace] += 1
    return order, first
