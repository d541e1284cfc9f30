"""What the engine says of the machine, in words for whoever is on call. Knows texts alone; nothing is raised here."""

import errno
import re

_FULL = ("no space left on device", "not_enough_space", "cannot reserve", "disk quota exceeded")
_READ_ONLY = ("read-only file system",)
_AWAY = (
    *("connection refused", "max retries exceeded", "name or service not known", "timed out", "connection reset"),
    *("connection aborted", "connection broken", "remote end closed", "broken pipe", "failed to establish"),
)
_CAUSE = re.compile(
    r"\[Errno -?\d+\] [\w ]+|(?:read|connect)? ?timed out|[Rr]emote end closed connection|IncompleteRead"
)
"""Among the names of classes and the whole address of a query."""


def is_trouble(error: Exception) -> bool:
    """Tell whether the machine or the store is at fault, so that a traceback would say nothing."""
    text = str(error).lower()
    return isinstance(error, OSError) or any(word in text for word in (*_FULL, *_READ_ONLY, *_AWAY))


def explain(error: Exception, store: str) -> str:
    """Return why something was not stored: the cause where it is known, else what the engine said, on one line.

    Args:
        store: folder of the embedded store, or address of the server without its password.
    """
    said = reason(error, store)
    return f"the store does not answer: {store}: {said}" if _is_away(error) else said


def reason(error: Exception, store: str) -> str:
    """As `explain`, for whoever names the store anyway."""
    said = " ".join(str(error).partition("\nhint:")[0].split())
    text = said.lower()
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or any(word in text for word in _FULL):
        return f"the disk of {store} is full; make room, or set a ceiling with --disk"
    if number == errno.EROFS or any(word in text for word in _READ_ONLY):
        return f"the disk of {store} is read-only; look for its errors with dmesg, and mount it for writing"
    if _is_away(error):
        cause = _CAUSE.search(said)
        return cause[0] if cause else said[:300]
    return said[:600]


def _is_away(error: Exception) -> bool:
    text = str(error).lower()
    return any(word in text for word in _AWAY) and not any(word in text for word in (*_FULL, *_READ_ONLY))
