"""Who may ask what of the control port. Pure: a request's head to a refusal, or none.

The port listens on loopback, where every program of the machine may ask, and every web page of its browsers may try:
so names that a page's DNS may point here are refused, and so is whatever a browser says comes from a page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from collector.own_names import OwnNames, is_loopback
from collector.tokens import ANYBODY, Tokens
from cpdd.errors import CpddError


class Forbidden(CpddError):
    """A request that is not answered, and why."""

    def __init__(self, status: HTTPStatus, problem: str, hint: str = "") -> None:
        self.status = status
        self.problem = problem
        self.hint = hint
        super().__init__(problem + (f"\nhint: {hint}" if hint else ""))


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says of who asks."""

    host: str
    """The Host header."""
    origin: str
    authorization: str
    content_type: str
    peer: str
    """The address it came from; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one port."""

    bound_to: str
    tokens: Tokens = ANYBODY
    """What changes must bring; where none is asked for, they must come from this machine."""
    senders: Tokens = ANYBODY
    """What reports must bring, as spans must; where none is asked for, everybody may report."""
    public_url: str = ""
    """Where people open the pages, which is a name and an origin of ours, too; empty: nobody said."""

    def check(self, caller: Caller) -> None:
        """Raise Forbidden for a request that a foreign web page may have made."""
        names = OwnNames(self.bound_to, self.public_url)
        if not names.has(caller.host):
            raise Forbidden(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"host is {caller.host!r}; this port answers to localhost and to addresses",
                "ask http://127.0.0.1, or bind to another address with --host",
            )
        if not names.is_origin(caller.origin, caller.host):
            raise Forbidden(HTTPStatus.FORBIDDEN, f"requests of web pages are refused (origin {caller.origin!r})")

    def check_body(self, caller: Caller) -> None:
        """Raise Forbidden for a body in another form than JSON, which a page may send without being asked."""
        if caller.content_type != "application/json":
            raise Forbidden(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type is {caller.content_type!r}, application/json expected"
            )

    def check_change(self, caller: Caller) -> None:
        """Raise Forbidden for a change by somebody who may not make it."""
        if self.tokens.asked_for:
            if not self.tokens.allow(caller.authorization):
                raise Forbidden(
                    HTTPStatus.UNAUTHORIZED,
                    "a change needs the token of this server",
                    "authorization: Bearer …; the command reads CPDD_CONTROL_TOKEN",
                )
        elif refusal := self.refusal_of_all_from(caller.peer):
            raise refusal

    def refusal_of_all_from(self, peer: str) -> Forbidden | None:
        """Return why nobody at an address may change anything, whatever they bring; None where some may."""
        if self.tokens.asked_for or is_loopback(peer):
            return None
        return Forbidden(
            HTTPStatus.FORBIDDEN,
            f"changes from another machine{f' ({peer})' if peer else ''} need a token, and this server has none",
            "start it with CPDD_CONTROL_TOKEN set",
        )

    def may_report(self, caller: Caller) -> bool:
        """Return whether somebody may say what a program samples, and be granted traces of boosts."""
        return self.senders.allow(caller.authorization) or (
            self.tokens.asked_for and self.tokens.allow(caller.authorization)
        )

    def check_report(self, caller: Caller) -> None:
        """Raise Forbidden for a report by somebody who may not send spans either."""
        if not self.may_report(caller):
            raise Forbidden(
                HTTPStatus.UNAUTHORIZED,
                "a report needs a token that spans are sent with",
                "authorization: Bearer …; the sampler takes it from OTEL_EXPORTER_OTLP_HEADERS where spans go to the "
                "same host, or from token=… in OTEL_TRACES_SAMPLER_ARG",
            )


class Bucket:
    """So many changes a second on average, and a burst. The caller's clock."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def take(self) -> None:
        """Raise Forbidden (429) when there is none left."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            raise Forbidden(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {self._per_second:g} changes a second",
                "try again in a second",
            )
        self._left -= 1
