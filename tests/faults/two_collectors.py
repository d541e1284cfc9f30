"""Two collectors on one ClickHouse server, which share the analysis; one is killed with -9 in the middle of a load.
The other takes over, nothing acknowledged is lost, no trace is analyzed wrong or counted twice.

    python -m tests.faults.two_collectors --requests 400
    python -m tests.faults.two_collectors --requests 400 --kill second

The server is the real engine behind ClickHouse's HTTP interface (`tests.store.clickhouse_http`). Requests go to both
in turn; what the killed one did not answer is sent to the other.
"""

import argparse
import sys
import tempfile
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from collector.core.shares import SHARES
from tests.faults.accounts import Found, differences, found_in, tell
from tests.faults.disk_trouble import SPANS, Notes, send, waited
from tests.load import RequestMaker
from tests.serving import ServerProcess, server_process
from tests.store.conftest import serving

HALVES = (SHARES / 2, SHARES / 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help=f"of {SPANS} spans, half before the kill")
    parser.add_argument(
        "--kill", choices=("first", "second"), default="first", help="first: it judges and writes minutes as well"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), arguments.requests, arguments.kill == "second")


def check(folder: Path, requests: int, kill_second: bool = False, *flags: str) -> int:
    """Kill one of two; returns how many expectations failed.

    Args:
        kill_second: else the first, which judges and writes minutes as well.
        flags: further ones of `cpdd serve`.
    """
    notes, maker = Notes(), RequestMaker(SPANS)
    bodies = [maker.make(time.time_ns()) for _ in range(requests)]
    with serving(folder / "engine") as (port, _):
        dsn = f"clickhouse://127.0.0.1:{port}/cpdd"
        with (
            server_process(folder / "one", "--store", dsn, *flags) as one,
            server_process(folder / "two", "--store", dsn, *flags) as two,
        ):
            notes.expect(waited(lambda: turn(one) == 1), "the collector that came first judges and writes minutes")
            notes.expect(turn(two) == 0, "the other one does not")
            notes.expect(waited(lambda: (shares(one), shares(two)) == HALVES), "each analyzes half of the traces")
            killed, other = (two, one) if kill_second else (one, two)
            unanswered = _send_to_both(killed, other, bodies, notes)
            began_s = time.monotonic()
            notes.expect(waited(lambda: turn(other) == 1 and shares(other) == SHARES), "the other one does everything")
            print(f"  {time.monotonic() - began_s:.0f} s after the last request")
            notes.expect(
                all(send(other, body, notes) is None for body in unanswered),
                f"it takes the {len(unanswered)} requests that the killed one did not answer",
            )
            found = _settled(dsn, folder / "reader", notes)
            notes.expect(other.stop() == 0, "SIGTERM ends it with 0")
    return len(notes.problems) + tell(found, notes.acknowledged, differences(found, notes.acknowledged))


def turn(server: ServerProcess) -> float:
    return _metric(server, "cpdd_analyzer_turn")


def shares(server: ServerProcess) -> float:
    return _metric(server, "cpdd_analyzer_shares")


def _metric(server: ServerProcess, name: str) -> float:
    with urlopen(f"{server.addresses['metrics']}/metrics", timeout=30) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines()]
    return next(float(line[1]) for line in lines if line[0] == name)


def _send_to_both(killed: ServerProcess, other: ServerProcess, bodies: list[bytes], notes: Notes) -> list[bytes]:
    """Send in turn, kill one in the middle; returns what it did not answer."""
    unanswered = []
    for number, body in enumerate(bodies):
        if number == len(bodies) // 2:
            killed.process.kill()
            print(f"one is killed after {number} requests")
        try:
            refused = send(killed if number % 2 else other, body, notes)
            notes.expect(refused is None, f"request {number} is acknowledged") if refused else None
        except (URLError, HTTPException, OSError):
            unanswered.append(body)
    return unanswered


def _settled(dsn: str, folder: Path, notes: Notes) -> Found:
    """What the store holds, as soon as everything is analyzed, or at last."""
    found = found_in(dsn, folder)

    def is_settled() -> bool:
        nonlocal found
        found = found_in(dsn, folder)
        return not any(differences(found, notes.acknowledged).values())

    notes.expect(waited(is_settled), "everything that was acknowledged is analyzed, by the one or the other")
    return found


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
