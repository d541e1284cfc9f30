"""The token of forms: what a page of ours holds, and no page of another site can read or guess.

    HMAC-SHA256(scrypt(control token), "form")

As sessions, and for the same reasons: collectors that share `control_token` behind a balancer take each other's forms,
and a form that was open over a restart is taken still. Where none is set, changes come from this machine alone, and a
token that is made at each start will do.
"""

import hashlib
import hmac
import secrets

from collector.token_keys import TokenKeys
from collector.tokens import ANYBODY, Tokens


class Forms:
    """The tokens of a server's forms. Thread-safe."""

    def __init__(self, tokens: Tokens = ANYBODY) -> None:
        """Args:
        tokens: what a change must bring besides.
        """
        self._tokens = tokens
        self._keys = TokenKeys(tokens, b"cpdd form")
        self._own = secrets.token_urlsafe(24)

    def token(self) -> str:
        """Return what forms are drawn with now."""
        return self._valid()[0]

    def holds(self, said: str) -> bool:
        """Return whether a form brings the token of a page of ours; all are compared, as tokens are."""
        brought = said.encode("utf-8", "surrogateescape")
        return sum(hmac.compare_digest(brought, valid.encode()) for valid in self._valid()) > 0

    def _valid(self) -> list[str]:
        made = [hmac.new(self._keys.of(token), b"form", hashlib.sha256) for token in self._tokens.current()]
        return [mac.hexdigest() for mac in made] or [self._own]
