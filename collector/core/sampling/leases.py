"""At most N traces, all instances together: the server hands out parts, and nobody adds without one.

What was handed out counts as used, for ever: an instance that is gone may have used it. So N is never overdrawn, and
what a lost instance leaves unused is lost.

Of several servers each sets a part of N aside for itself, writes that down, and *then* looks what others have set
aside: of two at once, the one that looks last sees the other. Of what it has set aside it hands out no more than the
others leave of N. So all together never hand out more than N.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

PARTS = 4
LEAST_PARTS = 16


@dataclass
class Lease:
    """The traces of one boost, as one server has them."""

    total: int
    granted: dict[str, int] = field(default_factory=dict)
    """By instance, in all since the boost began."""
    used: dict[str, int] = field(default_factory=dict)
    claimed: int = 0
    """Set aside for this server, in all: written down, and others were looked at since."""
    allowed: int = 0
    """What of it may be handed out: what others had left by then. What they set aside later takes nothing of it."""
    elsewhere: int = 0
    """Set aside for others, those before this one included, who handed it out to whom nobody here knows."""
    moved: int = 0
    """Of `elsewhere`, what came to us with the instances that have it."""

    @property
    def handed_out(self) -> int:
        """Of what is this server's."""
        return sum(self.granted.values()) - min(self.moved, self.elsewhere)

    @property
    def left(self) -> int:
        """What may still be handed out now."""
        return max(0, self.allowed - self.handed_out)

    @property
    def is_short(self) -> bool:
        """Whether more has to be set aside, and there is more."""
        return self.next_claim > self.claimed and self.left < max(1, self._part // 2)

    @property
    def next_claim(self) -> int:
        """What is set aside when one more part is."""
        return max(self.claimed, min(self.total - self.elsewhere, max(self.claimed, self.handed_out) + self._part))

    @property
    def _part(self) -> int:
        """A quarter of what nobody has set aside, so that each of many servers gets some; not ever smaller ones."""
        free = self.total - self.elsewhere - self.claimed
        return max(-(-free // PARTS), -(-self.total // LEAST_PARTS))

    @property
    def used_in_all(self) -> int:
        """What has been added, as far as is known; what others have set aside may have been."""
        return max(0, self.elsewhere - self.moved) + sum(self.used.values())

    def settle(self, total: int, claimed: int, elsewhere: int) -> None:
        """Take note of what is set aside, by a look at the others behind the last claim that was written down."""
        before = self.allowed if total >= self.total else 0
        self.total, self.claimed, self.elsewhere = total, claimed, elsewhere
        self.allowed = max(before, min(claimed, total - elsewhere))

    def report(self, instance: str, used: int) -> None:
        """Take note of what an instance has used; one that used more than we know of had it from another server."""
        self.used[instance] = max(used, self.used.get(instance, 0))
        known = self.granted.get(instance, 0)
        if used > known:
            self.granted[instance] = used
            self.moved = min(self.moved + used - known, self.elsewhere)

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
