"""The last good policy on disk, from which a program starts before its server has answered."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from cpdd.failures import tell
from cpdd.sampling.document import MAX_BYTES


class SavedPolicy:
    """One file. What fails is told once and costs the start from disk, nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """Return what was saved last; None where there is nothing."""
        try:
            with self.path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            tell("reading saved policies", error)
            return None

    def write(self, text: bytes) -> None:
        """Replace the file as a whole: processes of one service share it."""
        part = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(text)
            part.replace(self.path)
        except OSError as error:
            tell("saving policies", error)


def default_path(environ: Mapping[str, str], service: str, endpoint: str) -> Path | None:
    """Return the file for a service's policies of a server, in the user's cache; None where there is no home.

    >>> default_path({"XDG_CACHE_HOME": "/c"}, "shop/a", "http://x:5778").name
    'shop-a-7d23c3b7.json'
    """
    cache, home = environ.get("XDG_CACHE_HOME"), environ.get("HOME")
    folder = Path(cache) if cache else Path(home) / ".cache" if home else None
    if folder is None:
        return None
    digest = hashlib.sha256(f"{endpoint} {service}".encode()).hexdigest()[:8]
    return folder / "cpdd" / "sampling" / f"{re.sub(r'[^A-Za-z0-9_.-]', '-', service)[:80]}-{digest}.json"
