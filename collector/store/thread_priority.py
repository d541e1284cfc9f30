"""Threads that go first where too many want a processor: those that make a page somebody waits for.

A thread may always be put behind others (`merge_threads`); to put it before them takes a privilege: that of root, or
CAP_SYS_NICE. Who has it not makes pages like everything else.
"""

import os
import sys
import threading
from functools import cache

NICE = -10
"""Nine times what others get, while there is too little for both (decision 163)."""
_OTHERS = 0


@cache
def may_go_first() -> bool:
    """Return whether threads of this process may be put before others. One that was started behind others stays."""
    if sys.platform != "linux" or os.getpriority(os.PRIO_PROCESS, os.getpid()) != _OTHERS:
        return False
    tried = threading.get_native_id()
    try:
        os.setpriority(os.PRIO_PROCESS, tried, NICE)
    except PermissionError:
        return False
    os.setpriority(os.PRIO_PROCESS, tried, _OTHERS)
    return True


def go_first() -> None:
    """Put the calling thread before others, where that is allowed."""
    if may_go_first():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def as_others() -> None:
    """Put the calling thread where it was before `go_first`."""
    if may_go_first():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _OTHERS)
