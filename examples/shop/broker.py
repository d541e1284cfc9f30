"""The broker: queues of messages over HTTP, each delivered at least once.

Like most brokers it sends no spans of its own: what is known of it is what its producers and consumers say.
"""

import collections
import itertools
import threading
import time
from collections.abc import Callable

import flask

from .service import Switches, run
from .web import WebListener, install

REDELIVER_AFTER_S = 10.0
LONGEST_WAIT_S = 5.0


class Queue:
    """Messages in order of arrival; one that was received and not acknowledged in time is given out again."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._waiting: collections.deque[tuple[int, object]] = collections.deque()
        self._taken: dict[int, tuple[float, object]] = {}
        self._ids = itertools.count(1)
        self._changed = threading.Condition()

    def put(self, message: object) -> int:
        """Add a message and return its id."""
        with self._changed:
            number = next(self._ids)
            self._waiting.append((number, message))
            self._changed.notify()
            return number

    def take(self, wait_s: float) -> tuple[int, object] | None:
        """Return the next message and its id, None where none came in time."""
        with self._changed:
            self._give_back_late()
            if not self._changed.wait_for(lambda: self._waiting, wait_s):
                return None
            number, message = self._waiting.popleft()
            self._taken[number] = (self._now_s() + REDELIVER_AFTER_S, message)
            return number, message

    def acknowledge(self, number: int) -> None:
        """Forget a message that was dealt with."""
        with self._changed:
            self._taken.pop(number, None)

    def _give_back_late(self) -> None:
        late = [number for number, (until_s, _) in self._taken.items() if until_s <= self._now_s()]
        for number in reversed(late):
            self._waiting.appendleft((number, self._taken.pop(number)[1]))


app = flask.Flask("broker")
queues: dict[str, Queue] = collections.defaultdict(Queue)


@app.post("/queues/<name>")
def send(name: str) -> tuple[dict[str, object], int]:
    return {"id": queues[name].put(flask.request.get_json())}, 202


@app.post("/queues/<name>/receive")
def receive(name: str) -> tuple[dict[str, object], int] | tuple[str, int]:
    wait_s = min(float(flask.request.args.get("wait_s", 0)), LONGEST_WAIT_S)
    taken = queues[name].take(wait_s)
    return ({"id": taken[0], "message": taken[1]}, 200) if taken else ("", 204)


@app.delete("/queues/<name>/<int:number>")
def acknowledge(name: str, number: int) -> tuple[str, int]:
    queues[name].acknowledge(number)
    return "", 204


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("broker", switches, WebListener("broker", app))
