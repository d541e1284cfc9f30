"""Sessions of browsers: a cookie that only the holder of a valid token can have been given.

    EXPIRES.NUMBER.MAC        MAC = HMAC-SHA256(scrypt(token), "EXPIRES.NUMBER")

The key is made of the token: a token that is taken out ends its sessions, several collectors with the same tokens
know each other's, and a restart ends none. scrypt, so that a stolen cookie does not betray a short token.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable

from collector.token_keys import TokenKeys
from collector.tokens import Tokens

LASTS_S = 7 * 86_400
_LONGEST = 200
"""Characters of a cookie that is looked at."""


class Sessions:
    """The sessions of one purpose. Thread-safe."""

    def __init__(self, tokens: Tokens, clock: Callable[[], float]) -> None:
        """Args:
        clock: Unix time in s.
        """
        self._tokens = tokens
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = TokenKeys(tokens, b"cpdd session")
        self._ended: dict[str, int] = {}
        """Sessions that were logged out of here, with the moment from which they are over anyway."""

    def open(self, token: str) -> str | None:
        """Return the cookie of a new session; None for a token that is not valid."""
        said = token.strip().encode("utf-8", "surrogateescape")
        found = [valid for valid in self._tokens.current() if hmac.compare_digest(said, valid)]
        if not found:
            return None
        head = f"{int(self._clock()) + LASTS_S}.{secrets.token_hex(8)}"
        return f"{head}.{self._mac(found[0], head)}"

    def holds(self, cookie: str) -> bool:
        """Return whether a cookie is of a session that has not ended."""
        head, _, mac = cookie[:_LONGEST].rpartition(".")
        expires, _, number = head.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12 and number):
            return False
        if int(expires) <= self._clock() or head in self._ended:
            return False
        said = mac.encode("utf-8", "surrogateescape")
        valid = (self._mac(token, head).encode() for token in self._tokens.current())
        return sum(hmac.compare_digest(said, one) for one in valid) > 0

    def end(self, cookie: str) -> None:
        """End a session before its time: of this process, and of browsers that forget their cookie, everywhere."""
        if not self.holds(cookie):
            return
        head = cookie.rpartition(".")[0]
        now = self._clock()
        with self._lock:
            self._ended = {one: expires for one, expires in self._ended.items() if expires > now}
            self._ended[head] = int(head.partition(".")[0])

    def _mac(self, token: bytes, head: str) -> str:
        return hmac.new(self._keys.of(token), head.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
