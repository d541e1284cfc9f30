"""What the engine says of the machine, in words for whoever is on call. Knows texts alone; nothing is raised here."""

import errno
from pathlib import Path

_FULL = ("no space left on device", "not_enough_space", "cannot reserve", "disk quota exceeded")
_READ_ONLY = ("read-only file system",)
_AWAY = ("connection refused", "max retries exceeded", "name or service not known", "timed out", "connection reset")


def explain(error: Exception, folder: Path, store: str) -> str:
    """Return why something was not stored: the cause where it is known, else what the engine said, on one line.

    Args:
        folder: where the embedded store is, or what is on its way to the store.
        store: address of the store, without its password.
    """
    said = " ".join(str(error).split())
    text = said.lower()
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or any(word in text for word in _FULL):
        return f"the disk of {folder} is full; make room, or set a ceiling with --disk"
    if number == errno.EROFS or any(word in text for word in _READ_ONLY):
        return f"the disk of {folder} is read-only; look for its errors with dmesg, and mount it for writing"
    if any(word in text for word in _AWAY):
        return f"the store does not answer: {store}: {said[:300]}"
    return said[:600]
