"""Keys made of tokens: who shares a token knows what another has signed with it. Called by sessions and forms."""

import hashlib
import threading

from collector.tokens import Tokens


class TokenKeys:
    """A key for each token of one purpose. Thread-safe.

    scrypt, so that what is signed does not betray a short token; it takes 50 ms, so that keys are remembered.
    """

    def __init__(self, tokens: Tokens, salt: bytes) -> None:
        """Args:
        salt: what the keys are for; those of another purpose are others.
        """
        self._tokens = tokens
        self._salt = salt
        self._lock = threading.Lock()
        self._keys: dict[bytes, bytes] = {}

    def of(self, token: bytes) -> bytes:
        with self._lock:
            if token not in self._keys:
                known = set(self._tokens.current())
                self._keys = {one: key for one, key in self._keys.items() if one in known}
                self._keys[token] = hashlib.scrypt(token, salt=self._salt, n=2**14, r=8, p=1, dklen=32)
            return self._keys[token]
