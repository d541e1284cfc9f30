"""The unit of `deploy/` under a real systemd: it starts as a user without rights, comes back after kill -9 and after an
abort of the engine, stops with 0 and stays down, and what was acknowledged is there.

    python -m tests.faults.under_systemd          (needs root, systemd, and a kernel with overlayfs and cgroup2)

A systemd that knows this unit alone is process 1 of namespaces of its own, on an overlay of this machine: it goes
with the process that booted it, however that ends, and so does what it wrote. Python and the checkout are bound to
where any user may read them. The first start compiles kernels into the data folder, as on a new machine, which takes
a minute or two.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from collector.store.thread_priority import NICE
from tests.faults.accounts import differences, found_in, tell
from tests.faults.burst import is_analyzed
from tests.faults.disk_trouble import SPANS, Notes, send
from tests.load import RequestMaker
from tests.ports import free_port
from tests.serving import PORTS, ServerProcess

UNIT = Path(__file__).parents[2] / "deploy/cpdd.service"
TARGETS = ("default", "basic", "sysinit", "shutdown", "network-online", "multi-user")
BOOT = """
set -e
root=$1; shift
mount --make-rprivate /
mount -t tmpfs -o size=1g tmpfs "$root/room"
cp -a "$root/upper" "$root/room"
mkdir "$root/room/work" "$root/room/all"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/room/upper,workdir=$root/room/work" "$root/room/all"
cd "$root/room/all"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
number=0
for folder in "$@"; do
    mkdir -p "opt/bound/$number"
    mount --bind "$folder" "opt/bound/$number"
    number=$((number + 1))
done
exec env -i container=other SYSTEMD_UNIT_PATH=/opt/units PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot . /lib/systemd/systemd --system --log-target=console --log-level=warning --show-status=no
"""
"""The folder of the overlay, and the folders to bind; the first of these is where Python is installed. Upper and work
folder of an overlay may not lie on another one, as `/tmp` of a container does."""
PROGRAM = """#!/bin/sh
export PYTHONHOME=/opt/bound/0 LD_LIBRARY_PATH=/opt/bound/0/lib PYTHONPATH={path} PYTHONDONTWRITEBYTECODE=1
exec /opt/bound/0/bin/python3 -c 'import sys; sys.argv[0] = "cpdd"; from cpdd.cli import main; main()' "$@" 2>> said
"""
"""No journal runs; the working folder of the unit is that of its data."""
START_S = 900.0
CAP_SYS_NICE = 23
REQUESTS = 5
"""Before each end."""


@dataclass(frozen=True)
class Systemd:
    """A systemd that runs the unit."""

    pid: int
    health: str
    server: ServerProcess

    def systemctl(self, *words: str) -> str:
        inside = ["nsenter", "-t", str(self.pid), "--mount", "--pid", "--root", "--wd=/", "systemctl", *words]
        return subprocess.run(inside, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.strip()

    def shown(self, name: str) -> str:
        """Return a property of the unit."""
        return self.systemctl("show", "cpdd.service", "--value", "--property", name)

    def kill(self, signal: str) -> None:
        self.systemctl("kill", f"--signal={signal}", "--kill-who=main", "cpdd.service")

    def is_ready(self) -> bool:
        try:
            with urlopen(f"{self.health}/ready", timeout=60) as answer:
                return bool(answer.status == 200)
        except (HTTPError, URLError, OSError):
            return False


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder))


def check(folder: Path) -> int:
    """Boot, end it in every way, count; returns how many expectations failed."""
    notes, maker = Notes(), RequestMaker(SPANS)

    def spans_are_taken(restarts: int) -> None:
        up = waited(lambda: systemd.shown("NRestarts") == str(restarts) and systemd.is_ready())
        notes.expect(up, f"it is ready, after {restarts} restarts")
        taken = [send(systemd.server, maker.make(time.time_ns()), notes) is None for _ in range(REQUESTS)]
        notes.expect(all(taken), "spans are acknowledged")

    with booted(folder) as systemd:
        systemd.systemctl("start", "--no-block", "cpdd.service")
        spans_are_taken(restarts=0)
        inside = Path(f"/proc/{systemd.pid}/root/proc", systemd.shown("MainPID"))
        status = dict(line.split(":", 1) for line in (inside / "status").read_text().splitlines())
        notes.expect(status["Uid"].split()[0] != "0", f"it runs as user {status['Uid'].split()[0]}")
        rights = {name: int(status[name], 16) for name in ("CapBnd", "CapEff")}
        notes.expect(set(rights.values()) == {1 << CAP_SYS_NICE}, "it has CAP_SYS_NICE, and may get nothing else")
        notes.expect(NICE in _priorities(inside), "whoever hears of a page goes first")
        for signal in ("KILL", "ABRT"):
            print(f"SIG{signal}")
            systemd.kill(signal)
            spans_are_taken(restarts=1 if signal == "KILL" else 2)
        notes.expect(waited(lambda: is_analyzed(systemd.server)), "everything is analyzed")
        print("systemctl stop")
        systemd.systemctl("stop", "cpdd.service")
        notes.expect(systemd.shown("Result") == "success", "it ended with success")
        notes.expect(systemd.shown("ExecMainStatus") == "0", "its exit code is 0")
        notes.expect(systemd.shown("ActiveState") == "inactive", "it stays down")
        data = shutil.copytree(f"/proc/{systemd.pid}/root/var/lib/private/cpdd", folder / "data", symlinks=True)
    print(*(line for line in (data / "said").read_text().splitlines() if "CRITICAL" in line), sep="\n")
    found = found_in("chdb://", data)
    return len(notes.problems) + tell(found, notes.acknowledged, differences(found, notes.acknowledged))


def _priorities(process: Path) -> set[int]:
    """Return the nice values of a process's threads."""
    stats = [(task / "stat").read_text() for task in (process / "task").iterdir()]
    return {int(stat.rpartition(")")[2].split()[16]) for stat in stats}


@contextmanager
def booted(folder: Path) -> Iterator[Systemd]:
    """A systemd on an overlay in `folder`, while the context lasts."""
    ports = {name: free_port() for name in ("otlp-http", "health", "metrics")}
    bound = [sys.base_prefix, *_outside(sys.path)]
    for name in ("upper/opt/units", "upper/opt/cpdd/bin", "upper/etc/cpdd", "room"):
        (folder / name).mkdir(parents=True)
    _install(folder / "upper", ports, len(bound))
    namespaces = ("--pid", "--fork", "--mount", "--cgroup", "--uts", "--ipc", "--kill-child")
    goes_with_us = ("setpriv", "--pdeathsig=KILL")
    boot = [*goes_with_us, "unshare", *namespaces, "bash", "-c", BOOT, "boot", str(folder), *bound]
    with subprocess.Popen(boot) as process:
        try:
            addresses = {name.replace("-", "_"): f"http://127.0.0.1:{port}" for name, port in ports.items()}
            server = ServerProcess(addresses, process)  # type: ignore[arg-type]
            yield Systemd(_first_inside(process.pid), addresses["health"], server)
        finally:
            process.kill()  # the first process of the namespace goes with it, and all others with that


def _install(root: Path, ports: dict[str, int], bound: int) -> None:
    """What docs/how-to/deploy.md tells to install."""
    units, program = root / "opt/units", root / "opt/cpdd/bin/cpdd"
    (units / "cpdd.service").write_text(UNIT.read_text())
    for name in TARGETS:
        (units / f"{name}.target").write_text(f"[Unit]\nDescription={name}\nDefaultDependencies=no\n")
    program.write_text(PROGRAM.format(path=":".join(f"/opt/bound/{number}" for number in range(1, bound))))
    program.chmod(0o755)
    lines = [f"CPDD_{name.upper().replace('-', '_')}_PORT={ports.get(name, 0)}" for name in PORTS]
    (root / "etc/cpdd/cpdd.env").write_text("\n".join([*lines, "CPDD_TRACE_SETTLE_S=3", ""]))


def _outside(path: list[str]) -> list[str]:
    """The folders of Python's path that are not part of its installation."""
    folders = [str(Path(entry or ".").resolve()) for entry in path if Path(entry or ".").is_dir()]
    return list(dict.fromkeys(f for f in folders if not Path(f).is_relative_to(Path(sys.base_prefix).resolve())))


def _first_inside(parent: int) -> int:
    """The pid, as seen from here, of process 1 of the namespace; systemd answers when this returns."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    assert waited(lambda: bool(children.read_text().split())), "no namespace was made"
    pid = int(children.read_text().split()[0])
    assert waited(lambda: Path(f"/proc/{pid}/root/run/systemd/private").exists()), "systemd does not come up"
    return pid


def waited(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.5)
    return False


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("booting a systemd needs root")
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
