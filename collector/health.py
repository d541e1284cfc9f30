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

    def alive(self) -> Reply:
        """Return the answer of `/`."""
        faults, problems = self._wrong()
        return _json(not faults, {"status": self._word(faults, problems), "problems": [*faults, *problems]})

    def status(self) -> Reply:
        """Return the answer of `/status`: as `/`, with the facts."""
        faults, problems = self._wrong()
        said = {"status": self._word(faults, problems), "problems": [*faults, *problems], **self.facts()}
        return _json(not faults, said)

    def ready(self) -> Reply:
        """Return the answer of `/ready`."""
        faults, problems = self._wrong()
        said = {"status": self._word(faults, problems), "problems": [*faults, *problems]}
        return _json(self.state is State.READY and not said["problems"], said)

    def _wrong(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.faults(), self.problems()

    def _word(self, faults: Sequence[str], problems: Sequence[str]) -> str:
        if faults:
            return "failed"
        return "not ready" if problems and self.state is State.READY else self.state.value


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
