"""Ports: bound before anything is opened, so that a taken one stops the start at once, with its name and its flag."""

import errno
import os
import socket
from dataclasses import dataclass

from cpdd.errors import CpddError
from cpdd.settings import flag_of


class PortUnavailable(CpddError):
    """A port that we were told to listen on cannot be had."""

    def __init__(self, what: str, setting: str, host: str, port: int, problem: str, number: int | None = None) -> None:
        """Args:
        number: of the system's error, where it has one.
        """
        super().__init__(
            f"cannot listen on {address(host, port)} for {what}: {problem}\nhint: {_hint(setting, port, number)}"
        )
        self.what = what
        self.setting = setting
        self.host = host
        self.port = port
        self.problem = problem
        self.is_taken = number == errno.EADDRINUSE


def _hint(setting: str, port: int, number: int | None) -> str:
    another = f"choose another port with {flag_of(setting)} (0: any free one, off: none)"
    match number:
        case errno.EADDRINUSE:
            return f"see who has it with: ss -ltnp 'sport = :{port}'; or {another}"
        case errno.EACCES:
            return f"ports below 1024 need the right to them (CAP_NET_BIND_SERVICE); or {another}"
        case errno.EADDRNOTAVAIL:
            return "give an address of this machine with --host (127.0.0.1: this machine alone, 0.0.0.0: all of them)"
    return f"{another}, or another address with --host"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something of the process that listens."""

    key: str
    """Its name in `cpdd serve --json`; the setting of its port is `KEY_port`."""
    what: str
    """Its name for people."""
    scheme: str = "http://"
    """Before the address; empty for gRPC."""

    @property
    def setting(self) -> str:
        return f"{self.key}_port"


def address(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in brackets.

    >>> address("::1", 4318)
    '[::1]:4318'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(endpoint: Endpoint, host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; port 0 is any free one. Raises PortUnavailable.

    It listens at once: binding alone would let a second process bind the same port and fail only later.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise PortUnavailable(
            endpoint.what, endpoint.setting, host, port, str(error.strerror).lower(), errno.EADDRNOTAVAIL
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # a port whose last connections are closing may be had again; Windows means more by it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        problem = (error.strerror or str(error)).lower()
        raise PortUnavailable(endpoint.what, endpoint.setting, host, port, problem, error.errno) from error
    listener.setblocking(False)
    return listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def reachable(host: str) -> str:
    """Return an address at which this machine reaches what listens at `host`.

    >>> reachable("0.0.0.0")
    '127.0.0.1'
    """
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
