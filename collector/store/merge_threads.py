"""Merges of the embedded engine give way to whoever is waited for: receivers, and pages.

They take half a core of two while 90,000 spans/s come in. The engine has a setting for that, which takes a privilege;
any process may take priority from threads of its own.
"""

import os
import sys
from pathlib import Path

NICE = 4
"""Two fifths of what a thread gets that somebody waits for, while there is too little for both (decision 142)."""
_COMMAND = "MergeMutate"
_TASKS = Path("/proc/self/task")


def let_merges_give_way() -> None:
    """Lower the priority of the threads that merge, once and for all. Elsewhere than on Linux it is left as it is."""
    for thread in merging_threads():
        if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
            os.setpriority(os.PRIO_PROCESS, thread, NICE)


def merging_threads() -> list[int]:
    """Return the ids of the engine's threads that merge; none elsewhere than on Linux.

    The engine starts them when it is opened; a store that is new has none before its tables are there.
    """
    if sys.platform != "linux":
        return []
    return [int(task.name) for task in _TASKS.iterdir() if _command(task) == _COMMAND]


def _command(task: Path) -> str:
    try:
        return (task / "comm").read_text().strip()
    except OSError:  # it has ended
        return ""
