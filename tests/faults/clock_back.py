"""The clock of a running collector is set back an hour, and ahead again: what is acknowledged is analyzed, at once and
once, and what is told to people does not stand still.

    python -m tests.faults.clock_back          (needs a C compiler)

The time of day of the whole process, engine included, comes from a library that is loaded before all others and adds
an offset that it reads from a file. The clock that only goes forward is not touched, as by an operator's `date -s`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.faults.accounts import differences, found_in, tell
from tests.faults.disk_trouble import SPANS, Notes, send, waited
from tests.load import RequestMaker
from tests.serving import CPDD, FREE_PORTS, ServerProcess

SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    char text[32] = {0};
    int file = open(getenv("CLOCK_SHIFT_FILE"), O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return strtol(text, 0, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (!code && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return code;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
"""
HOUR_S = 3_600
REQUESTS = 10
"""In each of the three times."""
MINUTES_TRIES = 3
"""Making minutes may take a fifth of the time, which on a busy machine is a long wait."""


def build(folder: Path) -> Path:
    """Compile SHIFT; return where the library is."""
    source, library = folder / "shift.c", folder / "shift.so"
    source.write_text(SHIFT)
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def main() -> int:
    if shutil.which("cc") is None:
        print("skipped: no C compiler is installed (apt-get install gcc)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder))


def check(folder: Path, *flags: str) -> int:
    """Set the clock back and ahead; returns how many expectations failed.

    Args:
        flags: further ones of `cpdd serve`.
    """
    notes, maker, offset = Notes(), RequestMaker(SPANS), folder / "offset"
    offset.write_text("0")
    environment = {**os.environ, "LD_PRELOAD": str(build(folder)), "CLOCK_SHIFT_FILE": str(offset)}
    command = [CPDD, "serve", "--json", "--data", str(folder / "data"), *FREE_PORTS, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            server = ServerProcess(json.loads(process.stdout.readline()), process)
            for what, shift_s in (("as it is", 0), ("set back an hour", -HOUR_S), ("as it is again", 0)):
                offset.write_text(str(shift_s))
                print(f"the clock is {what}")
                _expect_analysis(server, maker, notes, shift_s)
            notes.expect(server.stop() == 0, "SIGTERM ends it with 0")
        finally:
            process.kill()
    found = found_in("chdb://", folder / "data")
    return len(notes.problems) + tell(found, notes.acknowledged, differences(found, notes.acknowledged))


def _expect_analysis(server: ServerProcess, maker: RequestMaker, notes: Notes, shift_s: int) -> None:
    """Send with the times that the collector's machine has, and wait until all of it is on the first page."""
    before = _traces(server)
    sent = [send(server, maker.make(time.time_ns() + shift_s * 10**9), notes) for _ in range(REQUESTS)]
    notes.expect(sent == [None] * REQUESTS, "spans are acknowledged")
    wanted = before + REQUESTS * SPANS // 16
    counted = any(waited(lambda: _traces(server) >= wanted) for _ in range(MINUTES_TRIES))
    notes.expect(counted, f"and analyzed, and counted: {_traces(server)} of {wanted}")


def _traces(server: ServerProcess) -> int:
    """How many traces the journeys of the last day have."""
    with urlopen(server.addresses["ui"] + "/.json?range=24h", timeout=60) as answer:
        page: dict[str, Any] = json.load(answer)
    return sum(int(row["summary"]["traces"]) for row in (*page["needs_you"], *page["others"]))


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
