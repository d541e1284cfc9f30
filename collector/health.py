"""Whether the process is alive, ready, and how it fares: `/`, `/status` and `/ready`, in JSON.

`/` and `/status` answer 200 while the process can do its work, 503 when a part of it has failed that only a restart
brings back: for supervisors; what is wrong otherwise they say all the same. `/ready` answers 200 while spans are taken,
and 503 before the start is over, after the process was told to stop, and while nothing can be stored: for load
balancers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

import orjson

from collector.receive.answers import JSON_TYPE, Reply
from collector.receive.asgi import Receive, Scope, Send, respond


class State(Enum):
    """Where the process is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


_FAILED = "failed"


@dataclass(slots=True)
class Health:
    """What `serve` knows of its process."""

    faults: Callable[[], Sequence[str]]
    """What has failed and comes back by a restart alone, a sentence each."""
    problems: Callable[[], Sequence[str]]
    """Why spans are not taken now, though they may be later."""
    facts: Callable[[], Mapping[str, object]]
    """What `/status` shows beside the state."""
    state: State = State.STARTING

    def told(self) -> tuple[str, list[str]]:
        """Return how the process fares in a word, for every page alike, and what is wrong, the worst first.

        `failed`, `not ready`, or the value of its state, which is `ready` only where nothing is wrong.
        """
        faults, problems = self.faults(), self.problems()
        if faults:
            return _FAILED, [*faults, *problems]
        return "not ready" if problems and self.state is State.READY else self.state.value, [*problems]

    def alive(self) -> Reply:
        """Return the answer of `/`."""
        word, wrong = self.told()
        return _json(word != _FAILED, {"status": word, "problems": wrong})

    def status(self) -> Reply:
        """Return the answer of `/status`: as `/`, with the facts."""
        word, wrong = self.told()
        return _json(word != _FAILED, {"status": word, "problems": wrong, **self.facts()})

    def ready(self) -> Reply:
        """Return the answer of `/ready`."""
        word, wrong = self.told()
        return _json(word == State.READY.value, {"status": word, "problems": wrong})


class HealthPage:
    """The ASGI application of the health port."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, self._answer(scope["path"]))

    def _answer(self, path: str) -> Reply:
        match path:
            case "/":
                return self._health.alive()
            case "/status":
                return self._health.status()
            case "/ready":
                return self._health.ready()
        text = f"nothing at {path!r}; ask /, /status or /ready\n"
        return Reply(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text.encode())


def _json(is_well: bool, value: Mapping[str, object]) -> Reply:
    status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
    return Reply(status, JSON_TYPE, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
