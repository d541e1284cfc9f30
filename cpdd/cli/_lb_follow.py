"""The lines of a log that grows: read on from where it was, across rotation and truncation. I/O, and little else."""

import os
from collections.abc import Callable, Iterator
from typing import TextIO


def follow_lines(path: str, wait: Callable[[], bool]) -> Iterator[str | None]:
    """Yield each whole line of a file, and None when there is nothing more for now.

    Args:
        path: may not exist yet. A file that was renamed is read to its end, then the new one of that name from its
            start; one that became shorter is read from its start.
        wait: called when there is nothing more; returns False to end.
    """
    file: TextIO | None = None
    rest = ""
    try:
        while True:
            if file is None:
                file, rest = _open(path), ""
            line = file.readline() if file else ""
            if line.endswith("\n"):
                yield rest + line
                rest = ""
                continue
            rest += line
            if line:
                continue
            if file is not None and _is_over(file, path):
                file.close()
                file = None
                continue
            yield None
            if not wait():
                return
    finally:
        if file is not None:
            file.close()


def _open(path: str) -> TextIO | None:
    try:
        return open(path, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _is_over(file: TextIO, path: str) -> bool:
    """Whether another file has taken the name, or this one was cut short."""
    here = os.fstat(file.fileno())
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino) or there.st_size < file.tell()
