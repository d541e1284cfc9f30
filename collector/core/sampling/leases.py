"""At most N traces, all instances together: the server hands out parts, and nobody adds without one.

What was handed out counts as used, for ever: an instance that is gone may have used it. So N is never overdrawn, and
what a lost instance leaves unused is lost.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

PARTS = 4


@dataclass
class Lease:
    """The traces of one boost."""

    total: int
    granted: dict[str, int] = field(default_factory=dict)
    """By instance, in all since the boost began."""
    used: dict[str, int] = field(default_factory=dict)
    before: int = 0
    """Handed out by a server before this one, to whom nobody knows."""
    ceiling: int = 0
    """What may be handed out in all, as far as it is written down: parts of `total`, one after the other."""

    @property
    def handed_out(self) -> int:
        return self.before + sum(self.granted.values())

    @property
    def left(self) -> int:
        """What may still be handed out now."""
        return max(0, min(self.total, self.ceiling) - self.handed_out)

    @property
    def is_short(self) -> bool:
        """Whether more of the total has to be written down."""
        return self.ceiling < self.total and self.ceiling - self.handed_out < max(1, self.total // PARTS // 2)

    @property
    def next_ceiling(self) -> int:
        """The ceiling when one more part is written down."""
        return min(self.total, max(self.ceiling, self.handed_out) + -(-self.total // PARTS))

    @property
    def used_in_all(self) -> int:
        return self.before + sum(self.used.values())

    def report(self, instance: str, used: int) -> None:
        """Take note of what an instance has used; one that used more than we know of had it from an earlier server."""
        self.used[instance] = max(used, self.used.get(instance, 0))
        known = self.granted.get(instance, 0)
        if used > known:
            self.granted[instance] = used
            self.before = max(0, self.before - (used - known))

    def top_up(self, instance: str, live: Collection[str]) -> int:
        """Return what an instance may have used in all: more than before when it runs low.

        A part is half of what is left, shared by those who are live, so that one busy instance gets nearly all.
        """
        granted, used = self.granted.get(instance, 0), self.used.get(instance, 0)
        part = min(self.left, -(-self.left // (2 * max(1, len(live)))))
        if granted - used <= part // 2 or not granted:
            granted += part
            self.granted[instance] = granted
        return granted
