"""Starts the shop: `python -m examples.shop.run --endpoint http://127.0.0.1:4318`. Nothing of it outlives this process.

Each service is a child with a log file of its own. A child's standard input is a pipe that only this process holds,
so that a child ends when this process does, even if that was killed.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

import click

from . import directory
from .directory import HOST, SERVICES, Ports
from .service import end_with_parent

READY_WITHIN_S = 120.0
ENDED_WITHIN_S = 5.0
PACKAGE = __package__ or "examples.shop"
ROOT = Path(__file__).absolute().parents[len(PACKAGE.split("."))]
_PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so that none takes a port while its service is down."""


class ServiceDied(Exception):
    """A service that ended without being told to: its name, its exit status, and the end of its log."""

    def __init__(self, name: str, status: int, log: Path) -> None:
        self.name = name
        self.status = status
        self.log = log
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        super().__init__(f"{name} ended with status {status}\n  at {log}\n{tail}")


class Shop:
    """The services of the shop as child processes; a context manager.

    Args:
        endpoint: base address of the collector, over OTLP/HTTP.
        folder: for logs and databases; made if need be.
        variables: more environment for every service.
        nginx: program of an nginx for visitors to come through; None for none.
    """

    def __init__(
        self, endpoint: str, folder: Path, variables: Mapping[str, str] | None = None, nginx: str | None = None
    ) -> None:
        self.folder = folder
        self.ports = free_ports()
        self._nginx = nginx
        self._edge_port = free_port_numbers(1)[0]
        self._endpoint = endpoint
        self._variables = dict(variables or {})
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Where users come in."""
        return f"http://{self.entrance}"

    @property
    def entrance(self) -> str:
        """Host and port of the same."""
        return f"{HOST}:{self.ports['shop'].port if self._nginx is None else self._edge_port}"

    def pids(self) -> dict[str, int]:
        """Return the process of each child."""
        return {name: child.pid for name, child in self._children.items()}

    def __enter__(self) -> "Shop":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for service in SERVICES:
                self.start(service.name, PACKAGE + "." + service.name, resource=service.resource_attributes())
            self._wait_until_ready()
            if self._nginx is not None:
                self.start("edge", PACKAGE + ".edge", "--nginx", self._nginx, "--port", str(self._edge_port))
                self._wait_for("edge", partial(listens, self._edge_port))
        except BaseException:
            self._end()
            raise
        directory.state_file().write_text(directory.encode(self.ports))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        state = directory.state_file()
        if state.exists() and state.read_text() == directory.encode(self.ports):  # and not of a shop opened later
            state.unlink()
        self._end("load")
        self._end()

    def start(self, name: str, module: str, *arguments: str, resource: str = "") -> None:
        """Start one child, a Python module; its words go to `folder/NAME.log`."""
        environ = {
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self._endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": resource,
            # installed, the shop lies among the libraries, and its own lines would not be taken for a user's
            "CPDD_SOURCE_MODULES": PACKAGE,
            "SHOP_DATA": str(self.folder),
            "SHOP_SUPERVISED": "1",
            directory.PORTS_VARIABLE: directory.encode(self.ports),
            **self._variables,
        }
        with self._log(name).open("wb") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for this process, which ends the others in order
            )

    def check(self) -> None:
        """Raise ServiceDied where a service has ended."""
        for name, child in self._children.items():
            status = child.poll()
            if status is not None and name != "load":
                raise ServiceDied(name, status, self._log(name))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _wait_until_ready(self) -> None:
        """Return when all answer; they start at the same time and take a second or two of a core each."""
        for service in SERVICES:
            self._wait_for(service.name, partial(is_ready, self.ports[service.name].control))

    def _wait_for(self, name: str, holds: Callable[[], bool]) -> None:
        until_s = time.monotonic() + READY_WITHIN_S
        while not holds():
            self.check()
            if time.monotonic() > until_s:
                raise TimeoutError(f"{name} is not ready after {READY_WITHIN_S:g} s")
            time.sleep(0.05)

    def _end(self, *names: str) -> None:
        """End children: asked first, all at once, and after a while killed."""
        ending = [child for name, child in self._children.items() if not names or name in names]
        for child in ending:
            if child.poll() is None:
                child.terminate()
        until_s = time.monotonic() + ENDED_WITHIN_S
        for child in ending:
            try:
                child.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()


def is_ready(control: int) -> bool:
    """Return whether the service with this control port takes requests."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{control}/ready", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def listens(port: int) -> bool:
    """Return whether somebody takes connections there."""
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def free_ports() -> dict[str, Ports]:
    """Return ports that nobody listens on. Somebody may take one before its service does, which then says so."""
    found = free_port_numbers(2 * len(SERVICES))
    pairs = zip(found[::2], found[1::2], strict=True)
    return {service.name: Ports(*pair) for service, pair in zip(SERVICES, pairs, strict=True)}


def free_port_numbers(count: int) -> list[int]:
    """Return so many ports that nobody listens on."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found


@click.command()
@click.option("--endpoint", default="http://127.0.0.1:4318", show_default=True, help="Collector, OTLP over HTTP.")
@click.option("--rate", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Journeys a second.")
@click.option("--duration", "duration_s", type=click.FloatRange(min=0), help="Seconds to run; until Ctrl-C without it.")
@click.option("--folder", type=click.Path(path_type=Path), help="For logs and databases; a temporary one without it.")
@click.option("--nginx", metavar="PROGRAM", help="Put this nginx in front: visitors come through it, its log is spans.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when the shop is open.")
def command(
    endpoint: str, rate: float, duration_s: float | None, folder: Path | None, nginx: str | None, as_json: bool
) -> None:
    """Run the shop under load until Ctrl-C."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    end_with_parent(ending.set)
    folder = folder or Path(tempfile.mkdtemp(prefix="cpdd-shop-"))
    try:
        with Shop(endpoint, folder, nginx=nginx) as shop:
            if rate:
                shop.start("load", f"{PACKAGE}.load", "--rate", str(rate), "--host", shop.entrance)
            announce(shop, as_json)
            serve(shop, ending, duration_s)
    except (ServiceDied, TimeoutError) as error:
        click.echo(f"the shop is closed: {error}", err=True)
        sys.exit(1)


def announce(shop: Shop, as_json: bool) -> None:
    """Say where the shop is."""
    if as_json:
        control = {name: f"http://{HOST}:{at.control}" for name, at in shop.ports.items()}
        click.echo(json.dumps({"shop": shop.url, "control": control, "folder": str(shop.folder), "pids": shop.pids()}))
    else:
        click.echo(f"the shop is open at {shop.url}, its logs are in {shop.folder}")
    sys.stdout.flush()


def serve(shop: Shop, ending: threading.Event, duration_s: float | None) -> None:
    """Return when told to end or when time is up. Raises ServiceDied."""
    until_s = time.monotonic() + duration_s if duration_s is not None else float("inf")
    while not ending.wait(min(0.5, max(0.0, until_s - time.monotonic()))) and time.monotonic() < until_s:
        shop.check()


if __name__ == "__main__":
    command()
