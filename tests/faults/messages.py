"""What somebody reads at three in the morning: each trouble is made, and what the command, the answer to a sender,
`/ready`, the pages and the log say of it is written down.

    python -m tests.faults.messages --record docs/records/messages.md

Small disks are mounted by root alone, and the clock is set by a library that a C compiler makes; without them those
situations are left out, with a word. Says at the end what had to be said and was not.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import clickhouse_connect

from tests.faults.clock_back import HOUR_S, build
from tests.faults.disk_trouble import SPANS, Notes, fill, ready_says, remount, send, sent_until, small_disk, waited
from tests.faults.dying_disk import dying_disk, turn_read_only
from tests.faults.transcript import Transcript
from tests.load import RequestMaker
from tests.serving import CPDD, PORTS, ServerProcess
from tests.store.conftest import serving

HEAD = """# What people read when something is wrong

**Question.** Somebody who does not know cpdd is woken up: what is told, where, and is it enough to go on?

**Command.** `python -m tests.faults.messages --record docs/records/messages.md` (`tests/faults/messages.py`), as root
with a C compiler.

**How.** Each situation is made; every text below is what was said then, in full, with temporary folders as `/tmp/x`,
the checkout as `/checkout` and Python's packages as `/site-packages`.
Phrases that matter are asserted, and that nothing shows a traceback."""

CHECKOUT = Path(__file__).parents[2]
FREE = {f"CPDD_{port.upper().replace('-', '_')}_PORT": "0" for port in PORTS}


@dataclass(frozen=True)
class Running:
    """A server whose log is read."""

    server: ServerProcess
    log: Path
    notes: Notes

    def log_since(self, before: str) -> str:
        return self.log.read_text().removeprefix(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="write what was said into this file")
    arguments = parser.parse_args()
    transcript = Transcript()
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(clickhouse_connect.__file__).parents[1]
        transcript.hidden |= {folder: "/tmp/x", str(packages): "/site-packages", str(CHECKOUT): "/checkout"}
        for situation in (*AT_THE_START, *WHILE_RUNNING):
            own = Path(folder, situation.__name__)
            own.mkdir()
            situation(transcript, own)
    if arguments.record:
        arguments.record.write_text("\n".join([HEAD, *transcript.lines, ""]))
    print("", *transcript.missing, f"{len(transcript.missing)} expectations failed", sep="\n")
    return len(transcript.missing)


def taken_port(transcript: Transcript, folder: Path) -> None:
    transcript.situation("A port in use", "Another program listens there.")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        start(transcript, folder, [f"--otlp-http-port={port}"], "address already in use", f"ss -ltnp 'sport = :{port}'")


def second_start(transcript: Transcript, folder: Path) -> None:
    transcript.situation("A second process on the same data", "`cpdd serve` twice, as it stands; the first goes on.")
    with running(folder) as first:
        flags = [f"--otlp-http-port={first.server.otlp_http_port}"]
        start(transcript, folder, flags, f"process {first.server.process.pid} has", "--data DIR")
        transcript.expect(first.server.process.poll() is None, "the first one goes on")


def foreign_address(transcript: Transcript, folder: Path) -> None:
    transcript.situation("An address that is not this machine's", "As after a move.")
    start(transcript, folder, ["--host=203.0.113.7"], "cannot listen on 203.0.113.7", "--host")


def file_for_data(transcript: Transcript, folder: Path) -> None:
    transcript.situation("A data folder that is none", "A file has its name.")
    (folder / "data").touch()
    start(transcript, folder, [], "it is no directory", "--data DIR")


def away_at_the_start(transcript: Transcript, folder: Path) -> None:
    transcript.situation("A store that is away at the start", "No server listens there.")
    dsn = "clickhouse://me:secret@127.0.0.1:9/traces"
    start(transcript, folder, [f"--store={dsn}"], "store unreachable: clickhouse://127.0.0.1:9/traces: [Errno 111]")


def shadowed(transcript: Transcript, folder: Path) -> None:
    for file in ("collector/__init__.py", "chdb.py", "flask.py", "opentelemetry/__init__.py"):
        place = folder / file.removesuffix(".py").replace("/", "-")
        (place / file).parent.mkdir(parents=True)
        (place / file).write_text("X = 1\n")
        transcript.situation(f"`{file}` beside the program", "The folder is in `PYTHONPATH`.")
        name = Path(file).parts[0].removesuffix(".py")
        start(transcript, place, [], f"the package {name!r} is not", "PYTHONPATH", environ={"PYTHONPATH": str(place)})


def disk_at_the_start(transcript: Transcript, folder: Path) -> None:
    if not _may_mount(transcript, "A disk that is full, or read-only, at the start"):
        return
    with small_disk(folder) as disk:
        transcript.situation("A full disk at the start", "A tmpfs without a byte left.")
        fill(disk / "ballast")
        start(transcript, disk, [], "No space left on device", "has room")
        (disk / "ballast").unlink()
        transcript.situation("A read-only disk at the start", "The same, mounted `ro`.")
        remount(disk, "ro")
        start(transcript, disk, [], "Read-only file system", "is writable")


def disk_fills_up(transcript: Transcript, folder: Path) -> None:
    if not _may_mount(transcript, "A disk that fills up"):
        return
    with small_disk(folder) as disk, running(disk) as it:
        transcript.situation(
            "A disk that fills up", "A tmpfs of 300 MB, filled up under a running server, then given room again."
        )
        ballast = disk / "ballast"
        trouble(transcript, it, "is full", lambda: fill(ballast), ballast.unlink)


def disk_turns_read_only(transcript: Transcript, folder: Path) -> None:
    if not _may_mount(transcript, "A disk that turns read-only"):
        return
    with dying_disk(folder) as disk:
        transcript.situation(
            "A disk that turns read-only",
            "An ext4 mounted with `errors=remount-ro` that finds an error, as on a dying disk. Only an operator makes "
            "it writable again (disk-trouble.md).",
        )
        with running(disk) as it:
            trouble(transcript, it, "is read-only", lambda: turn_read_only(disk))


def store_goes_away(transcript: Transcript, folder: Path) -> None:
    transcript.situation("A store that goes away", "A ClickHouse server that is killed, and comes back.")
    with serving(folder / "engine") as (port, engine):
        dsn = f"clickhouse://127.0.0.1:{port}/cpdd"
        with running(folder, f"--store={dsn}") as it, serving_again(folder / "engine", port) as come_back:
            trouble(transcript, it, "does not answer", lambda: (engine.kill(), engine.wait()), come_back)


def clock_is_set(transcript: Transcript, folder: Path) -> None:
    if shutil.which("cc") is None:
        transcript.situation("A clock that is set", "Left out: no C compiler.")
        return
    transcript.situation(
        "A clock that is set",
        "Back an hour, and right again. Spans are taken and analyzed all the while (clock-back.md).",
    )
    offset = folder / "offset"
    offset.write_text("0")
    environ = {"LD_PRELOAD": str(build(folder)), "CLOCK_SHIFT_FILE": str(offset)}
    with running(folder, environ=environ) as it:
        before = it.log.read_text()
        for shift_s, wanted in ((-HOUR_S, "was set back"), (0, "was set ahead")):
            offset.write_text(str(shift_s))
            waited(lambda wanted=wanted: wanted in it.log_since(before))  # type: ignore[misc]
        transcript.said("The log", it.log_since(before), "was set back", "was set ahead")


def sigterm(transcript: Transcript, folder: Path) -> None:
    transcript.situation("A stop", "SIGTERM, as systemd and containers send it.")
    with running(folder) as it:
        before = it.log.read_text()
        transcript.expect(it.server.stop() == 0, "it ends with 0")
        transcript.said("The log", it.log_since(before), "finishing what was accepted")


AT_THE_START = (
    *(taken_port, second_start, foreign_address, file_for_data, away_at_the_start, shadowed, disk_at_the_start),
)
WHILE_RUNNING = (disk_fills_up, disk_turns_read_only, store_goes_away, clock_is_set, sigterm)


def start(
    transcript: Transcript, folder: Path, flags: list[str], *wanted: str, environ: Mapping[str, str] | None = None
) -> None:
    """Run a start that has to fail with 1, a hint, and these words."""
    arguments = ["serve", "--data", str(folder / "data"), *flags]
    ended = subprocess.run(
        [CPDD, *arguments], env=_environ(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    said = f"$ cpdd {' '.join(arguments)}\n{ended.stdout}{ended.stderr}$ echo $?\n{ended.returncode}"
    transcript.said("The terminal", said, "hint: ", *wanted)
    transcript.expect(ended.returncode == 1, "it ends with 1")
    transcript.expect("secret" not in ended.stderr, "no password is shown")


def trouble(
    transcript: Transcript,
    it: Running,
    cause: str,
    begin: Callable[[], object],
    end: Callable[[], object] | None = None,
) -> None:
    """Make a trouble under a running server, listen to everybody, and end it, where it ends."""
    maker = RequestMaker(SPANS)
    transcript.expect(send(it.server, maker.make(time.time_ns()), it.notes) is None, "spans are stored before it")
    before = it.log.read_text()
    begin()
    refused, body = sent_until(it.server, maker, it.notes, lambda answer: answer is not None)
    transcript.expect(refused is not None and refused[0] == 503, "senders are told to come again")
    transcript.said("A sender of OTLP/JSON", asked(f"{it.server.addresses['otlp_http']}/v1/traces", one_span()), cause)
    transcript.expect(ready_says(it.server, cause), "/ready says so")
    health = it.server.addresses["health"]
    for path in ("/ready", "/"):
        transcript.said(f"`{path}` of the health port", asked(health + path), *((cause,) if path == "/ready" else ()))
    pages = it.server.addresses["ui"]
    transcript.said("The system page, first sentence", _answer(asked(f"{pages}/system.json")), cause)
    transcript.said("The first page", _answer(asked(f"{pages}/.json")))
    transcript.said("The log", it.log_since(before), cause)
    transcript.expect(it.server.process.poll() is None, "the process lives")
    if end is None:
        return
    before = it.log.read_text()
    end()
    transcript.expect(waited(lambda: send(it.server, body, it.notes) is None), "what was refused is taken")
    transcript.expect(waited(lambda: asked(f"{health}/ready").startswith("HTTP 200")), "/ready is well again")
    transcript.said("The log afterwards", it.log_since(before), "stored again")


@contextmanager
def running(folder: Path, *flags: str, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a server whose log goes to a file outside of its data."""
    log = Path(tempfile.mkstemp()[1])
    command = [CPDD, "serve", "--json", "--data", str(folder / "data"), *flags]
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=_environ(environ)) as process,
    ):
        try:
            assert process.stdout is not None
            yield Running(ServerProcess(json.loads(process.stdout.readline()), process), log, Notes())
        finally:
            process.kill()
            log.unlink()


@contextmanager
def serving_again(directory: Path, port: int) -> Iterator[Callable[[], object]]:
    """What starts the engine again on its port; it ends with the context."""
    started = serving(directory, port)
    used: list[object] = []
    try:
        yield lambda: used.append(started.__enter__())
    finally:
        if used:
            started.__exit__(None, None, None)


def asked(address: str, body: bytes | None = None) -> str:
    """Return status and words of an answer; to `body`, which is JSON, where there is one."""
    try:
        with urlopen(Request(address, body, {"content-type": "application/json"}), timeout=120) as answer:
            return f"HTTP {answer.status}\n{answer.read().decode()}"
    except HTTPError as refusal:
        again = refusal.headers["retry-after"]
        return f"HTTP {refusal.code}{f', Retry-After: {again}' if again else ''}\n{refusal.read().decode()}"


def one_span() -> bytes:
    """A request of one span that ends now."""
    times = {"startTimeUnixNano": str(time.time_ns() - 1_000_000), "endTimeUnixNano": str(time.time_ns())}
    span = {"traceId": os.urandom(16).hex(), "spanId": os.urandom(8).hex(), "name": "checkout", **times}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def _answer(said: str) -> str:
    """The sentence of a page, or its error."""
    status, _, body = said.partition("\n")
    value = json.loads(body)
    error = value.get("error")
    return f"{status}\n{error['problem'] + chr(10) + 'hint: ' + error['hint'] if error else value['answer']}"


def _may_mount(transcript: Transcript, title: str) -> bool:
    if os.geteuid() == 0:
        return True
    transcript.situation(title, "Left out: mounting a disk needs root.")
    return False


def _environ(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CPDD_")}
    return {**kept, **FREE, **(more or {})}


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
