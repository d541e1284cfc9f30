"""A ClickHouse server that is killed and stays away: senders are told so, nothing acknowledged is lost, and when it is
back everything goes on by itself.

    python -m tests.faults.store_away --seconds 300

The server is the real engine behind ClickHouse's HTTP interface (`tests.store.clickhouse_http`), killed with -9 in the
middle of a load, and started again on the same port and data. One request a second goes on meanwhile. What was refused
is sent again afterwards, as exporters do; then the store is compared with what was acknowledged.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from tests.faults.accounts import differences, found_in, tell
from tests.faults.disk_trouble import SPANS, Notes, ready_says, send, status, waited
from tests.load import RequestMaker
from tests.serving import ServerProcess, server_process
from tests.store.conftest import serving

BEFORE = 20
"""Requests before the trouble."""
TOLD_AFTER_S = 40.0
"""`/ready` speaks up when nothing could be stored for 30 s."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the store stays away")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), arguments.seconds)


def check(folder: Path, away_s: float, *flags: str) -> int:
    """Take the store away for so long; returns how many expectations failed.

    Args:
        flags: further ones of `cpdd serve`.
    """
    notes, maker, refused = Notes(), RequestMaker(SPANS), []
    engine, data = folder / "engine", folder / "data"
    with serving(engine) as (port, process):
        dsn = f"clickhouse://127.0.0.1:{port}/cpdd"
        with server_process(data, "--store", dsn, *flags) as server:
            taken = [send(server, maker.make(time.time_ns()), notes) is None for _ in range(BEFORE)]
            notes.expect(all(taken), "before any trouble, spans are stored")
            process.kill()
            process.wait()
            print(f"the store is away for {away_s:.0f} s")
            refused += _send_meanwhile(server, maker, notes, away_s)
            with serving(engine, port):
                print("the store is back")
                _recover(server, refused, notes)
                notes.expect(server.stop() == 0, "SIGTERM ends it with 0")
                found = found_in(dsn, folder / "reader")
    return len(notes.problems) + tell(found, notes.acknowledged, differences(found, notes.acknowledged))


def _send_meanwhile(server: ServerProcess, maker: RequestMaker, notes: Notes, away_s: float) -> list[bytes]:
    """Send a request a second; returns those that were refused."""
    refused, answers = [], []
    until = time.monotonic() + away_s
    while not answers or time.monotonic() < until:
        body = maker.make(time.time_ns())
        answer = send(server, body, notes)
        answers.append(answer)
        if answer is not None:
            refused.append(body)
        time.sleep(max(0.0, min(1.0, until - time.monotonic())))
    notes.expect(all(one is not None and one[0] == 503 for one in answers), "each is answered 503 with Retry-After")
    notes.expect(
        all(one is not None and "does not answer" in one[1] for one in answers), "each answer says that it is the store"
    )
    if away_s > TOLD_AFTER_S:
        notes.expect(ready_says(server, "does not answer"), "/ready says so, too")
    notes.expect(server.process.poll() is None, "the process lives")
    notes.expect(status(server, "/")[0] == 200, "and is healthy: a restart would not help")
    return refused


def _recover(server: ServerProcess, refused: list[bytes], notes: Notes) -> None:
    """Send again what was refused, and wait until all of it is analyzed."""
    began_s = time.monotonic()
    taken = all(waited(lambda body=body: send(server, body, notes) is None) for body in refused)  # type: ignore[misc]
    notes.expect(taken, f"all {len(refused)} that were refused are taken, without a restart")
    notes.expect(waited(lambda: status(server, "/ready")[0] == 200), "/ready is well")
    notes.expect(waited(lambda: _is_analyzed(server)), "what came before and after is analyzed")
    print(f"  {time.monotonic() - began_s:.0f} s until everything was analyzed")


def _is_analyzed(server: ServerProcess) -> bool:
    with urlopen(f"{server.addresses['metrics']}/metrics", timeout=30) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if line.startswith("cpdd_analyzer_")]
    metrics = {line[0]: float(line[1]) for line in lines}
    return metrics["cpdd_analyzer_lag_seconds"] == 0 and metrics["cpdd_analyzer_open_traces"] == 0


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
