"""How much of a page one part of it may take: what a stranger sends is bounded by bytes, not only by rows."""

from markupsafe import escape

ROW_BYTES = 100
"""What a row takes beside its texts, nearly."""
SMALL_BYTES = 500
"""A row of at most this much is small; large ones leave a quarter of the room to these."""


class Room:
    """So many bytes of HTML, given to rows as they come: one that does not fit is left out, and smaller ones still fit.

    >>> room = Room(2_000)
    >>> [room.takes(len(text), text) for text in ("a", "b" * 1_200, "c" * 600, "d")]
    [True, True, False, True]
    """

    def __init__(self, size: int) -> None:
        """Args:
        size: in bytes.
        """
        self._left = size
        self._for_small = size // 4
        self._shortest_hopeless = size

    def might_take(self, length: int) -> bool:
        """Return whether it is worth making a row of a text of so many characters."""
        return length < self._shortest_hopeless and self._takes(length + ROW_BYTES)

    def takes(self, length: int, *texts: str) -> bool:
        """Give a row, made of so many characters, the bytes of its texts; False where there are not enough.

        A text may grow tenfold when it is made fit to be shown, which takes its time: after one that grew too large
        only those of less than half its length are tried, so that hardly a dozen are made for nothing.
        """
        size = ROW_BYTES + sum(len(escape(text).encode()) for text in texts)
        if not self._takes(size):
            self._shortest_hopeless = length // 2
            return False
        self._left -= size
        return True

    def _takes(self, size: int) -> bool:
        return size <= self._left - (self._for_small if size > SMALL_BYTES else 0)
