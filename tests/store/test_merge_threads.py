"""Threads that merge give way to those that somebody waits for."""

import os
import sys
from pathlib import Path

import pytest

from collector.store.engine import open_store
from collector.store.merge_threads import NICE, merging_threads


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_the_embedded_engine_merges_at_a_lower_priority_than_it_answers(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path) as store, store.client():
        priorities = {os.getpriority(os.PRIO_PROCESS, thread) for thread in merging_threads()}

    assert priorities == {NICE}
    assert os.getpriority(os.PRIO_PROCESS, 0) < NICE
