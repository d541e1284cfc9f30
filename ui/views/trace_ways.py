"""Where one goes from a span of a trace: to the sections of the path beside it, to the next that failed. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from collector.core.explain import Explanation


class Place(NamedTuple):
    """A section of the path, and the id of the span that has it; nowhere is the empty id and -1."""

    span: str = ""
    section: int = -1


NOWHERE = Place()


def sections_beside(explained: Explanation, selected: int, section: int) -> tuple[Place, Place]:
    """Return the sections of the path before and after a span.

    Args:
        selected: position of the span in `explained.nodes`, -1 for none.
        section: which section of the path is meant, since a span that waits again and again has many; where it is none
            of the span's, the first that is. A span off the path lies between those before and after its start.
    """
    sections = explained.sections

    def place(number: int) -> Place:
        return Place(explained.nodes[sections[number].node].id, number) if 0 <= number < len(sections) else NOWHERE

    if selected < 0:
        return NOWHERE, place(0)
    if not (0 <= section < len(sections) and sections[section].node == selected):
        section = next((i for i, each in enumerate(sections) if each.node == selected), -1)
    if section >= 0:
        return place(section - 1), place(section + 1)
    start = explained.nodes[selected].start_unix_nano
    after = sum(each.start_unix_nano < start for each in sections)
    return place(after - 1), place(after)


def next_failed(failed: Sequence[bool], selected: int) -> int:
    """Return the position of the next node that failed, from the first again after the last; -1 where none did.

    >>> next_failed([False, True, True], 1), next_failed([False, True, False], 1), next_failed([False], -1)
    (2, 1, -1)
    """
    positions = [i for i, each in enumerate(failed) if each]
    return next((i for i in positions if i > selected), positions[0] if positions else -1)
