"""From when to when boosts were live, so that it can be told which traces they brought. Pure; the ledger keeps it."""

from dataclasses import dataclass

from collector.core.sampling.policies import KEEP_ENDED_MS, Book
from cpdd.sampling.document import Policy


@dataclass(frozen=True, slots=True)
class Life:
    """A boost, or a part of one."""

    policy: Policy
    since_ms: int
    """Unix time at which it was first seen; 0 where it was there at the start."""
    until_ms: int
    """When it ends, or was ended early."""


class Lives:
    """Boosts of now and of the last hour, those that somebody ended included."""

    def __init__(self, book: Book) -> None:
        self._lives: dict[str, Life] = {}
        self._note(book, 0)

    def note(self, book: Book, now_ms: int) -> None:
        """Take note of another book."""
        for name, life in list(self._lives.items()):
            if life.until_ms < now_ms - KEEP_ENDED_MS:
                del self._lives[name]
            elif name not in book.policies and life.until_ms > now_ms:
                self._lives[name] = Life(life.policy, life.since_ms, now_ms)
        self._note(book, now_ms)

    def all(self) -> list[Life]:
        return list(self._lives.values())

    def _note(self, book: Book, now_ms: int) -> None:
        for policy in book.policies.values():
            if policy.kind == "boost":
                known = self._lives.get(policy.id)
                since_ms = known.since_ms if known else now_ms
                self._lives[policy.id] = Life(policy, since_ms, policy.expires_unix_ms or 0)
