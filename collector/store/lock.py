"""One process per data directory: a lock file that says who holds it.

An embedded engine corrupts what a second process opens beside it, and two collectors with one identity would write
into each other's lanes. The kernel holds the lock (flock), so that a process that died, however, holds nothing;
the pid inside the file is for people.
"""

import fcntl
import os
import shlex
from contextlib import suppress
from pathlib import Path

from cpdd.errors import CpddError

LOCK_FILE = "cpdd.lock"
NO_DIRECTORY = "it is no directory"


class StoreInUse(CpddError):
    """Another process has the data directory open."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.directory = directory
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        stop = f"stop it (kill {pid})" if pid else "stop it"
        super().__init__(
            f"store in use: {who} has {directory} open, and one directory serves one process\n"
            f"hint: ask that process over HTTP, {stop}, or start with another directory (--data DIR)"
        )


class DirectoryUnusable(CpddError):
    """The data directory cannot be made or written."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.directory = directory
        self.reason = reason
        super().__init__(
            f"data directory unusable: {directory}: {reason}\n"
            f"hint: give another one (--data DIR), or {_remedy(directory, reason)}"
        )


def _remedy(directory: Path, reason: str) -> str:
    if reason == NO_DIRECTORY:
        return f"move what has its name out of the way ({shlex.join(('mv', str(directory), f'{directory}.old'))})"
    return f"see that this one has room and is writable for the user of cpdd (uid {os.geteuid()})"


class DirectoryLock:
    """Holds `directory` for this process until `release`."""

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            StoreInUse: another process holds it, or this one does already.
            DirectoryUnusable: it cannot be made or written.
        """
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DirectoryUnusable(directory, _why(error)) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _pid(os.pread(self._file, 32, 0))
            os.close(self._file)
            raise StoreInUse(directory, pid) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # the disk is full
            os.close(self._file)
            raise DirectoryUnusable(directory, _why(error)) from error

    def release(self) -> None:
        """Let the next process in. The file stays: removing it would race with who is opening it."""
        if self._file >= 0:
            with suppress(OSError):  # the disk has turned read-only
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def check_free(directory: Path) -> None:
    """Raise StoreInUse where another process holds `directory` now; makes nothing."""
    try:
        file = os.open(directory / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # there is none, or whoever wants to take it is told why not
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreInUse(directory, _pid(os.pread(file, 32, 0))) from None
    finally:
        os.close(file)


def _why(error: OSError) -> str:
    return NO_DIRECTORY if isinstance(error, FileExistsError) else error.strerror or str(error)


def _pid(content: bytes) -> int | None:
    text = content.strip()
    return int(text) if text.isdigit() else None
