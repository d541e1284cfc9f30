"""Trace and baggage go along when work changes hands inside a program: threads, pools, processes, queues, tasks.

`cpdd.init` activates it, CPDD_HANDOVER=off leaves it out; nothing is patched by importing it. What asyncio hands
over by itself (tasks, `to_thread`, `call_later`, `run_coroutine_threadsafe`) is left alone.
"""

import threading
from collections.abc import Mapping

from cpdd.failures import tell
from cpdd.handover import executors, pools, processes, queues, tasks, threads
from cpdd.handover.patch import Patch

PATCHES: dict[str, tuple[Patch, ...]] = {
    "threads": threads.PATCHES,
    "executors": executors.PATCHES,
    "pools": pools.PATCHES,
    "processes": processes.PATCHES,
    "queues": queues.PATCHES,
    "tasks": tasks.PATCHES,
}
"""Everything that is patched, by the module that does it."""

_lock = threading.Lock()


def activate(environ: Mapping[str, str] | None = None) -> None:
    """Patch what is not patched yet, unless CPDD_HANDOVER says off. A patch that fails is told and left out."""
    if (environ or {}).get("CPDD_HANDOVER", "").strip().lower() in ("off", "false", "0", "no"):
        return
    with _lock:
        for name, patches in PATCHES.items():
            for patch in patches:
                try:
                    patch.apply()
                except Exception as error:
                    tell(f"handing over by {name}", error)


def deactivate() -> None:
    """Take every patch out again; work that was handed over before keeps its context."""
    with _lock:
        for patches in PATCHES.values():
            for patch in patches:
                patch.undo()


def is_active() -> bool:
    """Whether anything is patched."""
    return any(patch.is_applied for patches in PATCHES.values() for patch in patches)
