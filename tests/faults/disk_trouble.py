"""A disk that is full under a running server, and one that is read-only at a start: told with the cause, nothing lost,
and it goes on by itself when the disk does.

    python -m tests.faults.disk_trouble          (mounts a small tmpfs: needs root)

Fill the disk, send until something is refused, look at the answer and at `/ready`, make room, send what was refused
again. At the end the store is opened and compared with what was acknowledged.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from collector.store.engine import open_store
from collector.store.reader import Reader
from tests.load import RequestMaker, trace_ids
from tests.serving import CPDD, FREE_PORTS, ServerProcess, server_process

SIZE_MB = 300
SPANS = 512
PATIENCE_S = 120.0


@dataclass
class Notes:
    acknowledged: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, what: str) -> None:
        print(f"  {'yes' if holds else 'NO '}  {what}", flush=True)
        if not holds:
            self.problems.append(what)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)) as disk:
        return check(disk)


def check(disk: Path) -> int:
    """Run both troubles on `disk`, a small mount of its own; returns how many expectations failed."""
    notes, maker = Notes(), RequestMaker(SPANS)
    ballast = disk / "ballast"
    with server_process(disk / "data") as server:
        notes.expect(send(server, maker.make(time.time_ns()), notes) is None, "before any trouble, spans are stored")
        print("the disk fills up")
        trouble(server, maker, notes, "is full", lambda: fill(ballast), ballast.unlink)
        notes.expect(server.stop() == 0, "SIGTERM ends it with 0")
    print("a start on a disk that is read-only")
    remount(disk, "ro")
    start = subprocess.run([CPDD, "serve", "--data", str(disk / "data"), *FREE_PORTS], capture_output=True, text=True)
    remount(disk, "rw")
    notes.expect(start.returncode == 1 and "Read-only" in start.stderr, "ends with 1 and says so")
    notes.expect("hint: " in start.stderr and "Traceback" not in start.stderr, "with a way out, and no traceback")
    print("a start on a disk that is full")
    fill(ballast)
    start = subprocess.run([CPDD, "serve", "--data", str(disk / "new"), *FREE_PORTS], capture_output=True, text=True)
    ballast.unlink()
    notes.expect(start.returncode == 1 and "No space left" in start.stderr, "ends with 1 and says so")
    notes.expect("hint: " in start.stderr and "Traceback" not in start.stderr, "with a way out, and no traceback")
    with open_store("chdb://", disk / "data") as store:
        reader = Reader(store)
        lost = [trace_id for trace_id in notes.acknowledged if reader.trace(trace_id) is None]
    notes.expect(not lost, f"{len(notes.acknowledged):,} traces were acknowledged, all are there")
    return len(notes.problems)


def trouble(
    server: ServerProcess,
    maker: RequestMaker,
    notes: Notes,
    cause: str,
    begin: Callable[[], object],
    end: Callable[[], object],
) -> None:
    begin()
    try:
        refused, body = sent_until(server, maker, notes, lambda answer: answer is not None)
        notes.expect(refused is not None and refused[0] == 503, "spans are refused with 503 and Retry-After")
        notes.expect(refused is not None and cause in refused[1], f"the answer says that the disk {cause}")
        notes.expect(ready_says(server, cause), f"/ready says within {PATIENCE_S:.0f} s that the disk {cause}")
        notes.expect(server.process.poll() is None, "the process lives")
    finally:
        end()
    taken = waited(lambda: send(server, body, notes) is None)
    notes.expect(taken, "what was refused is taken when the disk is well again, without a restart")
    notes.expect(waited(lambda: status(server, "/ready")[0] == 200), "/ready is well again")


def send(server: ServerProcess, body: bytes, notes: Notes) -> tuple[int, str] | None:
    """Send a request; None when it was acknowledged, else status and words of the refusal."""
    headers = {"content-type": "application/x-protobuf"}
    try:
        with urlopen(Request(f"{server.addresses['otlp_http']}/v1/traces", body, headers), timeout=60):
            notes.acknowledged |= trace_ids(body)
            return None
    except HTTPError as refusal:
        return refusal.code if refusal.headers["retry-after"] else 0, refusal.read().decode("utf-8", "replace")


def sent_until(
    server: ServerProcess, maker: RequestMaker, notes: Notes, wanted: Callable[[tuple[int, str] | None], bool]
) -> tuple[tuple[int, str] | None, bytes]:
    """Send ever new requests until one has such an answer."""
    for _ in range(2_000):
        body = maker.make(time.time_ns())
        answer = send(server, body, notes)
        if wanted(answer):
            return answer, body
    return None, body


def ready_says(server: ServerProcess, cause: str) -> bool:
    """Whether `/ready` comes to say so while senders go on trying."""
    maker, notes = RequestMaker(SPANS), Notes()

    def told() -> bool:
        send(server, maker.make(time.time_ns()), notes)
        code, text = status(server, "/ready")
        return code == 503 and cause in text

    return waited(told)


def status(server: ServerProcess, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"{server.addresses['health']}{path}", timeout=60) as answer:
            return answer.status, json.dumps(json.load(answer))
    except HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def waited(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.5)
    return False


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            return


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of SIZE_MB while the context lasts."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
