"""`cpdd demo`: the collector and the example shop under load, until Ctrl-C. Everything is a child and ends with us."""

import importlib.util
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import click

import cpdd
from cpdd.cli._settings import read_settings
from cpdd.errors import CpddError
from cpdd.settings import Settings, flag_of

READY_S = 600.0
"""The first start compiles the kernels: more than a minute of a core, and several where others want that core too."""
PATIENCE_S = 15.0
"""How often a person who waits is told that it still goes on."""
ENDED_S = 25.0

_NEEDED = ("fastapi", "flask", "grpc", "httpx", "requests", "uvicorn", "opentelemetry.instrumentation.flask")
_PORTS = (
    *("otlp_http_port", "otlp_grpc_port", "zipkin_port", "ui_port", "health_port", "metrics_port"),
    *("sampling_http_port", "sampling_grpc_port", "sampling_grpc_legacy_port"),
)
_SERVE = (sys.executable, "-c", "from cpdd.cli import main; main()", "serve", "--json", "--store", "embedded")
_GUARD = (sys.executable, "-m", "cpdd.cli._guard")


class DemoFailed(CpddError):
    """A part of the demo that did not start or ended early: which, what happened, and the end of its log."""

    def __init__(self, part: str, problem: str, log: Path) -> None:
        self.part = part
        self.problem = problem
        self.log = log
        tail = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        super().__init__("\n".join([f"{part} {problem}", f"  at {log}", *tail]))


class Part:
    """A child that says in one line of JSON where it is, and that ends when its standard input does.

    Entered: started, its words on stderr in `log`. Left: asked to end, and killed where it does not.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = environ or {}
        self._name = name
        self._command = command
        self._log = log
        self._cwd = cwd
        self._said: list[str] = []

    def __enter__(self) -> "Part":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env={**os.environ, "SHOP_SUPERVISED": "1", **self._environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # a Ctrl-C is for us, who end the parts in order
            )
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(ENDED_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def facts(self, ending: threading.Event) -> dict[str, Any] | None:
        """Return what the part says when it is ready, None where `ending` comes first. Raises DemoFailed."""
        started_s = told_s = time.monotonic()
        while not ending.wait(0.1):
            if self._said:
                facts: dict[str, Any] = json.loads(self._said[0])
                return facts
            self.check()
            now_s = time.monotonic()
            if now_s > started_s + READY_S:
                raise DemoFailed(self._name, f"is not ready after {READY_S:g} s", self._log)
            if now_s > told_s + PATIENCE_S:
                told_s = now_s
                _say(f"{self._name} is still starting, after {now_s - started_s:.0f} s")
        return None

    def check(self) -> None:
        """Raise DemoFailed where the part has ended."""
        status = self._process.poll()
        if status is not None:
            raise DemoFailed(self._name, f"ended with status {status}", self._log)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._said.append(line)


@click.command()
@click.option(
    "--rate", type=click.FloatRange(0, 500, min_open=True), default=20.0, show_default=True, help="Journeys a second."
)
@click.option("--duration", "duration_s", type=click.FloatRange(min=0), help="Seconds to run; without it until Ctrl-C.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder to keep spans and logs in; else they are deleted."
)
@click.option("--nginx", "through_nginx", is_flag=True, help="Visitors come through an nginx, whose log is spans.")
@click.option("--json", "as_json", is_flag=True, help="When ready, one line on stdout: addresses and folders.")
def command(rate: float, duration_s: float | None, data: Path | None, through_nginx: bool, as_json: bool) -> None:
    """A shop of real services under load, and its critical paths on a page.

    Starts cpdd serve (on free ports where the usual ones are taken) and eleven small services; prints where to look
    and how to break one of them. Ctrl-C ends everything.

    \b
      cpdd demo
      cpdd demo --rate 5 --duration 60 --data ./demo
      cpdd demo --nginx
    """
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    check_packages()
    nginx = find_nginx() if through_nginx else None
    root, package = find_shop()
    settings, _ = read_settings()
    with kept_or_deleted(data) as folder:
        promises = root.joinpath(*package.split("."), "cpdd.toml")
        serve = [*_GUARD, *_SERVE, "--data", str(folder / "data"), "--config", str(promises), *port_flags(settings)]
        _say("starting the collector; the first time it compiles, which takes a minute or more")
        with Part("the collector", serve, folder / "collector.log") as collector:
            addresses = collector.facts(ending)
            if addresses is None:
                return
            shop = [sys.executable, "-m", f"{package}.run", "--json", "--rate", str(rate)]
            shop += ["--endpoint", addresses["otlp_http"], "--folder", str(folder / "shop")]
            shop += ["--nginx", nginx] if nginx else []
            _say("starting the shop")
            with Part("the shop", shop, folder / "shop.log", root, sampled_by(addresses)) as services:
                opened = services.facts(ending)
                if opened is None:
                    return
                facts = {**addresses, **opened, "folder": str(folder)}
                click.echo(json.dumps(facts) if as_json else announcement(facts, rate, data is not None))
                sys.stdout.flush()
                _wait(ending, duration_s, collector, services)
                _say("ending the shop, then the collector")


def sampled_by(addresses: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that have the shop sample by the collector: everything, until somebody says otherwise."""
    sampling = addresses.get("sampling_http")
    if sampling is None:
        return {}
    return {"OTEL_TRACES_SAMPLER": "cpdd", "OTEL_TRACES_SAMPLER_ARG": f"endpoint={sampling},cache=off,detail=all"}


def check_packages() -> None:
    """Raise ClickException where a package of the shop's is missing."""
    missing = [name for name in _NEEDED if not _is_installed(name)]
    if missing:
        raise click.ClickException(
            f"the shop needs {', '.join(missing)}, which cannot be imported\n"
            'hint: pip install "cpdd[collector,examples]"'
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def find_nginx() -> str:
    """Return nginx's program; Debian keeps it where users do not look. Raises ClickException where there is none."""
    found = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))
    if found is None:
        raise click.ClickException("nginx is not installed\nhint: apt-get install nginx-light, or leave out --nginx")
    return found


def find_shop() -> tuple[Path, str]:
    """Return the folder to start the shop from and its package: beside us in a checkout, inside us once installed."""
    ours = Path(cpdd.__file__).absolute().parent
    if (ours.parent / "examples/shop/run.py").is_file():
        return ours.parent, "examples.shop"
    if (ours / "_examples/shop/run.py").is_file():
        return ours.parent, "cpdd._examples.shop"
    raise click.ClickException(
        f"the example shop is neither at {ours.parent / 'examples/shop'} nor at {ours / '_examples/shop'}\n"
        "hint: clone the repository and run cpdd demo there"
    )


@contextmanager
def kept_or_deleted(data: Path | None) -> Iterator[Path]:
    """A folder for spans and logs: the one that was asked for, else one that is deleted when all went well."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="cpdd-demo-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def port_flags(settings: Settings) -> list[str]:
    """Return flags for `cpdd serve`: 0, which is any free port, where the usual port is taken.

    The shop needs OTLP over HTTP and a reader needs the pages, so these two are there even where settings say off.
    """
    flags: list[str] = []
    for name in _PORTS:
        port: int | None = getattr(settings, name)
        if port is None and name not in ("otlp_http_port", "ui_port"):
            flags += [flag_of(name), "off"]
        elif not port or is_taken(settings.host, port):
            flags += [flag_of(name), "0"]
    return flags


def is_taken(host: str, port: int) -> bool:
    """Return whether somebody listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def announcement(facts: Mapping[str, Any], rate: float, kept: bool) -> str:
    """Return what a person is told when all is ready."""
    control = facts["control"]
    faults = [
        (f"curl -d fail=0.3 {control['pricing']}/faults", "declared optional, and check out fails with it"),
        (f"curl -d slow_ms=400 {control['recommendations']}/faults", "optional, and the cart page waits for it"),
        (f"curl -d fail=0.4 {control['bank']}/faults", "retries hide it, and take their time"),
    ]
    width = max(len(line) for line, _ in faults)
    return "\n".join(
        [
            f"the shop is open, {rate:g} journeys a second; the first traces are there in a few seconds",
            f"  pages   {facts['ui']}; what the traces say: {facts['ui']}/findings; sampling: {facts['ui']}/sampling",
            f"  shop    {facts['shop']}",
            f"  spans   {facts['otlp_http']} (OTLP/HTTP)",
            f"  folder  {shlex.quote(facts['folder'])} ({'kept' if kept else 'deleted at the end'}): spans and logs",
            "break something, in another terminal:",
            *(f"  {line:{width}}  # {what}" for line, what in faults),
            "and mend it: the same with fail=0 or slow_ms=0; examples/shop/README.md has more",
            "Ctrl-C ends everything",
        ]
    )


def _wait(ending: threading.Event, duration_s: float | None, *parts: Part) -> None:
    """Return when told to end or when time is up. Raises DemoFailed where a part ends before."""
    until_s = time.monotonic() + duration_s if duration_s is not None else float("inf")
    while not ending.wait(min(0.5, max(0.0, until_s - time.monotonic()))) and time.monotonic() < until_s:
        for part in parts:
            part.check()


def _say(text: str) -> None:
    click.echo(f"cpdd demo: {text}", err=True)
