"""Progress of work that takes a while, on stderr, where somebody sits before it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Update = Callable[[int, int | None], None]
"""Takes what is done and what there is to do, None where that is not known."""

PATIENCE_S = 0.5
"""Work that is done by then shows nothing."""


@contextmanager
def progress_of_bytes(words: str) -> Iterator[Update]:
    """Show `words` and a bar while bytes are read; nothing where stderr is no terminal."""
    with _progress(words, DownloadColumn()) as update:
        yield update


@contextmanager
def progress_of_traces(words: str) -> Iterator[Update]:
    """Show `words` and a bar while traces are worked on; nothing where stderr is no terminal."""
    with _progress(words, MofNCompleteColumn()) as update:
        yield update


@contextmanager
def _progress(words: str, amount: DownloadColumn | MofNCompleteColumn) -> Iterator[Update]:
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task(words, total=None)
    begun = time.monotonic()

    def update(done: int, total: int | None) -> None:
        if not progress.live.is_started and time.monotonic() - begun > PATIENCE_S:
            progress.start()
        progress.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        progress.stop()
