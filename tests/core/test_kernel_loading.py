"""Threads that ask for a kernel module at once."""

import sys
import threading
from pathlib import Path

import pytest

from collector.core import kernels

SLOW = """
from tests.core import test_kernel_loading
test_kernel_loading.BEGUN.set()
test_kernel_loading.GO_ON.wait(30)
done = True
"""
BEGUN, GO_ON = threading.Event(), threading.Event()


def test_a_module_that_another_thread_loads_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_load.py").write_text(SLOW)
    monkeypatch.setattr(kernels, "__path__", [*kernels.__path__, str(tmp_path)])
    found = []

    def load(work: int) -> None:
        found.append(kernels.load("slow_to_load", work).done)

    first = threading.Thread(target=load, args=(kernels.PLAIN_LIMIT + 1,))
    second = threading.Thread(target=load, args=(1,))
    try:
        first.start()
        assert BEGUN.wait(30)
        second.start()
        second.join(0.1)
        GO_ON.set()
        first.join(30)
        second.join(30)
    finally:
        GO_ON.set()
        sys.modules.pop("collector.core.kernels.slow_to_load", None)

    assert found == [True, True]
