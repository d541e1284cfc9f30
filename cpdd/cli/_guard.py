"""Runs a command that must not outlive whoever started it: `python -m cpdd.cli._guard COMMAND...`.

Standard input is a pipe that only the starter holds. When it ends, however the starter ended, or on SIGTERM, the
command is asked to end too, and killed where it does not.
"""

import os
import signal
import subprocess
import sys
import threading

KILL_AFTER_S = 15.0
SIGNAL_SEEN_AFTER_S = 1.0


def main(command: list[str]) -> int:
    """Run the command; return its exit status, 1 where a signal ended it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_starter, args=(ending,), daemon=True).start()
    threading.Thread(target=_watch_child, args=(child, ending), daemon=True).start()
    while not ending.wait(SIGNAL_SEEN_AFTER_S):
        pass  # awake often enough to act on a signal that another thread heard
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return max(child.returncode, 0) or int(child.returncode < 0)


def _watch_starter(ending: threading.Event) -> None:
    # not sys.stdin: a lock that a thread holds there aborts the interpreter at its end
    while os.read(0, 4096):
        pass
    ending.set()


def _watch_child(child: "subprocess.Popen[bytes]", ending: threading.Event) -> None:
    child.wait()
    ending.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
