"""Work in a thread of its own, from `start` to `stop`."""

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """Runs `_run` in a thread; `_run` looks at `_stopping`, and waits on nothing else for long."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False before `start`, and when the thread has ended."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the round that is in work, and return when nothing runs any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _run(self) -> None: ...
