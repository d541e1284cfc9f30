"""A disk that turns read-only under a running server, as file systems do that find an error: told, nothing lost.

    python -m tests.faults.dying_disk          (makes a loop device of ext4: needs root)

The kernel is asked to find an error on a file system mounted with `errors=remount-ro`, Debian's default for `/`. What
is refused from then on is sent again after an operator's round: SIGTERM, check, mount, start. At the end the store is
compared with what was acknowledged.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.accounts import differences, found_in, tell
from tests.faults.burst import is_analyzed
from tests.faults.disk_trouble import SPANS, Notes, ready_says, send, sent_until, waited
from tests.load import RequestMaker
from tests.serving import server_process

SIZE_MB = 400
BEFORE = 20
"""Requests before the trouble."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, dying_disk(Path(folder)) as disk:
        return check(disk)


def check(disk: Path) -> int:
    """Let `disk`, of `dying_disk`, turn read-only; returns how many expectations failed."""
    notes, maker = Notes(), RequestMaker(SPANS)
    with server_process(disk / "data") as server:
        taken = [send(server, maker.make(time.time_ns()), notes) is None for _ in range(BEFORE)]
        notes.expect(all(taken), "before any trouble, spans are stored")
        print("the disk turns read-only")
        turn_read_only(disk)
        refused, body = sent_until(server, maker, notes, lambda answer: answer is not None)
        notes.expect(refused is not None and refused[0] == 503, "spans are refused with 503 and Retry-After")
        notes.expect(refused is not None and "is read-only" in refused[1], "the answer says that it is read-only")
        notes.expect(ready_says(server, "is read-only"), "/ready says so")
        notes.expect(server.process.poll() is None, "the process lives")
        notes.expect(server.stop() == 0, "SIGTERM ends it with 0")
    print("an operator checks the disk, mounts it and starts again")
    repair(disk)
    with server_process(disk / "data") as server:
        notes.expect(send(server, body, notes) is None, "what was refused is taken")
        notes.expect(waited(lambda: is_analyzed(server)), "everything is analyzed")
        notes.expect(server.stop() == 0, "SIGTERM ends it with 0")
    found = found_in("chdb://", disk / "data")
    return len(notes.problems) + tell(found, notes.acknowledged, differences(found, notes.acknowledged))


@contextmanager
def dying_disk(folder: Path) -> Iterator[Path]:
    """An ext4 of its own below `folder` while the context lasts."""
    image, disk = folder / "image", folder / "disk"
    with image.open("wb") as file:
        file.truncate(SIZE_MB << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    disk.mkdir()
    _mount(image, disk)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def turn_read_only(disk: Path) -> None:
    """Let the kernel find an error on it."""
    device = subprocess.run(["findmnt", "-no", "SOURCE", str(disk)], check=True, capture_output=True, text=True)
    os.sync()
    Path("/sys/fs/ext4", Path(device.stdout.strip()).name, "trigger_fs_error").write_text("1")


def repair(disk: Path) -> None:
    """Do what an operator does; nobody may have files open there."""
    image = disk.with_name("image")
    subprocess.run(["umount", str(disk)], check=True)
    subprocess.run(["e2fsck", "-y", "-f", str(image)], check=False, capture_output=True)  # 1: errors were corrected
    _mount(image, disk)


def _mount(image: Path, disk: Path) -> None:
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(image), str(disk)], check=True)


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
