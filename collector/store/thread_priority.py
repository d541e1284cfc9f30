"""Threads that go first where too many want a processor, those that make a page, and threads that go behind meanwhile.

A thread may always be put behind others (`merge_threads`); to put it before them takes a privilege: that of root, or
CAP_SYS_NICE. Who has it not makes pages like everything else.
"""

import os
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

NICE = -10
"""Nine times what others get, while there is too little for both (decision 163)."""
BEHIND = 5
"""A third of what others get: threads that insert, of which each has a tenth of a second of work (decision 167)."""
_OTHERS = 0
_CAP_SYS_NICE = 23


@cache
def may_go_first() -> bool:
    """Return whether threads of this process may be put before others. One that was started behind others stays."""
    if sys.platform != "linux" or os.getpriority(os.PRIO_PROCESS, os.getpid()) != _OTHERS:
        return False
    try:
        return _has_capability() and _is_put_first(threading.get_native_id())
    except OSError:
        return False


def go_first() -> None:
    """Put the calling thread before others, where that is allowed."""
    _put(NICE)


def as_others() -> None:
    """Put the calling thread where it was before `go_first`."""
    _put(_OTHERS)


def _put(nice: int) -> None:
    """A right that is lost on the way leaves the thread where it is."""
    if may_go_first():
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def _has_capability() -> bool:
    """What the engine asks for its own threads; a limit (RLIMIT_NICE) that lets ours go first does nothing for them."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.partition(":")[2], 16) >> _CAP_SYS_NICE & 1)


def _is_put_first(thread: int) -> bool:
    """Try: a capability of a user namespace of its own is none here. Raises OSError where it is refused."""
    os.setpriority(os.PRIO_PROCESS, thread, NICE)
    os.setpriority(os.PRIO_PROCESS, thread, _OTHERS)
    return True
