"""Requests to the sampling service of a running `cpdd serve`, and how its answers read."""

import getpass
import json
import re
import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import click

from cpdd.cli._bearer import first_token
from cpdd.errors import CpddError
from cpdd.sampling.http import PROBLEMS, Server, words
from cpdd.settings import Settings

TIMEOUT_S = 10.0


class ControlError(CpddError):
    """A sampling service that cannot be reached, or that refuses: the problem, the address, the next step."""

    def __init__(self, problem: str, address: str, hint: str = "") -> None:
        self.problem = problem
        self.address = address
        self.hint = hint
        super().__init__(f"{problem}\n  at {address}" + (f"\nhint: {hint}" if hint else ""))


class ControlClient:
    """One sampling service."""

    def __init__(self, settings: Settings) -> None:
        """Raises ControlError for an address that is none, SettingsError for a token that cannot be read."""
        self._address = settings.sampling_endpoint
        self._token = first_token(settings.control_token)
        try:
            self._server = Server(self._address, TIMEOUT_S)
        except ValueError as error:
            raise ControlError(str(error), self._address) from None

    def ask(self, method: str, path: str, value: object = None, query: dict[str, str] | None = None) -> Any:
        """Return the JSON value of an answer. Raises ControlError."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            response = self._server.ask(method, path, query or {}, value, headers)
            text, status = response.read(), response.status
            answer = json.loads(text)
        except PROBLEMS as error:
            hint = "is cpdd serve running? --sampling or CPDD_SAMPLING_ENDPOINT says where"
            raise ControlError(f"cannot ask the sampling service: {words(error)}", self._address, hint) from None
        finally:
            self._server.close()
        if status != 200:
            problem, _, hint = str(answer.get("error", f"answer {status}")).partition("\nhint: ")
            raise ControlError(problem, self._address, hint)
        return answer


def quoted(policy_id: str) -> str:
    """Return an id as a part of a path.

    >>> quoted("shop GET /")
    'shop%20GET%20%2F'
    """
    return quote(policy_id, safe="")


def author() -> str:
    """Return who asks, for the log of changes."""
    user = "unknown"
    with suppress(OSError, KeyError, ImportError):
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"


def read_share(ctx: click.Context, param: click.Parameter, text: str) -> float:
    """Return the percentage that `100%`, `25 %` or `0.25` means."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*(%?)", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no share such as 100%, 25% or 0.25")
    percentage = float(match[1]) * (1 if match[2] else 100)
    if percentage > 100:
        raise click.BadParameter(f"{text!r} is more than all; 100% is")
    return percentage


def clock_of(unix_ms: int) -> str:
    """Return a time of day.

    >>> clock_of(0)
    '00:00:00 UTC'
    """
    return time.strftime("%H:%M:%S UTC", time.gmtime(unix_ms / 1000))


def length_of(seconds: float) -> str:
    """Return a length of time.

    >>> length_of(300), length_of(90), length_of(4.2)
    ('5 m', '1 m 30 s', '4 s')
    """
    minutes, left = divmod(round(seconds), 60)
    parts = [f"{minutes} m"] * bool(minutes) + [f"{left} s"] * bool(left or not minutes)
    return " ".join(parts)


def share_of(percentage: float) -> str:
    """Return a percentage as people write it.

    >>> share_of(100.0), share_of(0.5)
    ('100 %', '0.5 %')
    """
    return f"{percentage:.4g} %"
