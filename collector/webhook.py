"""Tells an address of findings as they appear and clear. A thread of its own: analysis never waits for it.

What cannot be delivered is tried again for about a minute and then dropped, counted and logged; so is what does not
fit into the queue.
"""

import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from collector.core.findings.message import as_json, as_slack
from collector.core.findings.tracking import Tracked

log = logging.getLogger(__name__)

MAX_WAITING = 1_000
TIMEOUT_S = 10.0
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Between tries."""
_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(slots=True)
class Delivery:
    """What became of messages."""

    sent: int = 0
    dropped: int = 0
    retried: int = 0
    last_failure: str = ""


class Webhook:
    """Sends messages, one after the other, from `start` to `stop`."""

    def __init__(
        self,
        url: str,
        slack: bool = False,
        pages: Callable[[], str] = lambda: "",
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        """Args:
        slack: send Slack's shape instead of plain JSON.
        pages: address of the pages, for links; known once they listen.
        """
        self.delivery = Delivery()
        self._url = url
        self._message = as_slack if slack else as_json
        self._pages = pages
        self._waits_s = tuple(waits_s)
        self._waiting: queue.Queue[Tracked] = queue.Queue(MAX_WAITING)
        self._stopping = threading.Event()
        self._work = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="cpdd-webhook")

    def tell(self, changed: Sequence[Tracked]) -> None:
        """Queue messages; never blocks."""
        for tracked in changed:
            try:
                self._waiting.put_nowait(tracked)
            except queue.Full:
                self._drop("too many messages wait")
            else:
                self._work.release()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Give up what cannot be delivered at once, and return when the thread has ended."""
        self._stopping.set()
        self._work.release()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._work.acquire()
            try:
                tracked = self._waiting.get_nowait()
            except queue.Empty:
                if self._stopping.is_set():
                    return
                continue
            self._deliver(json.dumps(self._message(tracked, self._pages())).encode())

    def _deliver(self, body: bytes) -> None:
        for wait_s in (*self._waits_s, None):
            problem, again = self._post(body)
            if not problem:
                self.delivery.sent += 1
                return
            self.delivery.last_failure = problem
            if not again or wait_s is None:
                break
            self.delivery.retried += 1
            if self._stopping.wait(wait_s):
                break
        self._drop(self.delivery.last_failure)

    def _post(self, body: bytes) -> tuple[str, bool]:
        """Return what went wrong ("": nothing), and whether another try may help."""
        request = urllib.request.Request(
            self._url, body, {"Content-Type": "application/json", "User-Agent": "cpdd"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):
                return "", False
        except urllib.error.HTTPError as error:
            return f"it answered {error.code}", error.code >= 500 or error.code in _AGAIN
        except OSError as error:  # refused, reset, timed out, no such host
            return str(getattr(error, "reason", error)), True

    def _drop(self, problem: str) -> None:
        self.delivery.dropped += 1
        log.warning("a finding could not be told to the webhook", extra={"problem": problem})
