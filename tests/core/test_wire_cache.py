"""Kernels and Numba's cache: what one process has compiled, the next one loads and runs."""

import subprocess
import sys

SCRIPT = """
from collector.core import kernels
from collector.core.wire import decode_traces
from tests.fuzz.fuzz_decode import full_request

decoder = kernels.load("decode", work=kernels.PLAIN_LIMIT + 1)
for _ in range(2):
    batch, rejections = decode_traces(full_request())
    assert (len(batch), rejections.count) == (2, 0)
print(sum(decoder.decode.stats.cache_hits.values()), sum(decoder.decode.stats.cache_misses.values()))
"""


def test_kernels_run_twice_in_each_of_two_processes_and_the_second_loads_them() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True) for _ in range(2)
    ]

    assert runs[0].stdout.split() in (["0", "1"], ["1", "0"])
    assert runs[1].stdout.split() == ["1", "0"]
