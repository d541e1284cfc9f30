"""Tokens: who may send, read or change. Several are valid at once, so that they can be exchanged one by one.

    CPDD_INGEST_TOKENS=new,old          or          CPDD_INGEST_TOKENS=@/run/secrets/tokens, one a line

A file is read again when it has changed, so that a token can be added, senders moved, and the old one taken out
without a restart.
"""

import base64
import binascii
import hmac
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cpdd.errors import CpddError


class TokensUnreadable(CpddError):
    """The file of tokens cannot be read, or has none: nobody could come in."""

    def __init__(self, setting: str, path: Path, reason: str) -> None:
        self.setting = setting
        self.path = path
        self.reason = reason
        super().__init__(
            f"no tokens: {reason}\n  at {path} (setting {setting})\n"
            "hint: write a token a line, readable for the user of cpdd"
        )


class Tokens:
    """The tokens of one purpose. Thread-safe."""

    def __init__(self, setting: str, text: str) -> None:
        """Args:
        setting: its name, for messages.
        text: tokens with commas between, or @ and the path of a file with one a line; empty: everybody may.
        Raises:
            TokensUnreadable
        """
        self._setting = setting
        self._path = Path(text[1:]) if text.startswith("@") else None
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._tokens = _tokens(text.split(","))
        if self._path:
            self._tokens = ()
            self._read()

    @property
    def asked_for(self) -> bool:
        """Whether anything has to be shown at all."""
        return bool(self._path or self._tokens)

    def allow(self, authorization: str) -> bool:
        """Return whether the value of an Authorization header shows one of them: as Bearer, or as Basic's password."""
        if not self.asked_for:
            return True
        said = _shown(authorization)
        # Each is compared, and in constant time: how long it takes says nothing.
        return sum(hmac.compare_digest(said, token) for token in self.current()) > 0

    def current(self) -> tuple[bytes, ...]:
        """Return those that are valid now."""
        if self._path:
            with suppress(TokensUnreadable):  # in mid-exchange: what was read last is valid until it is there again
                self._read()
        return self._tokens

    def _read(self) -> None:
        assert self._path is not None
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            with self._lock:
                if stamp == self._stamp:
                    return
                tokens = _tokens(self._path.read_text().splitlines())
                if not tokens:
                    raise TokensUnreadable(self._setting, self._path, "the file is empty")
                self._tokens, self._stamp = tokens, stamp
        except (OSError, UnicodeDecodeError) as error:
            raise TokensUnreadable(self._setting, self._path, str(error)) from error


def _tokens(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(text.strip().encode() for text in texts if text.strip())


def _shown(authorization: str) -> bytes:
    """The token of a header: `Bearer TOKEN`, or `Basic` with any name and the token as password, for browsers."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


ANYBODY = Tokens("", "")
"""Nothing is asked for."""
