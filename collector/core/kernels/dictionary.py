"""Dictionaries of a block's LowCardinality columns: each distinct text once, numbered from 1; 0 is the empty text.

A dictionary that runs out of room goes on counting, so that the caller learns how much to bring. The number of probes
is bounded: whoever sends texts that collide gets them into the dictionary more than once, which ClickHouse takes,
instead of a search that never ends.
"""

import collector.core.kernels.native_layout as layout
from collector.core.kernels import inlined, step
from collector.core.kernels.interning import hash_text
from collector.core.kernels.native_layout import Dictionaries
from collector.core.kernels.protobuf import load_word

MAX_PROBES = 32
_HASH_BITS = 0x3FFF_FFFF
_NOWHERE = -1


@step
def clear(dictionaries: Dictionaries) -> None:
    """Empty every dictionary."""
    table = dictionaries.dictionaries
    for which in range(len(table)):
        base = table[which, layout.SLOT_BASE]
        dictionaries.slots[base : base + layout.FIRST_SLOTS] = 0
        table[which, layout.SLOT_MASK] = layout.FIRST_SLOTS - 1
        table[which, layout.TEXT_COUNT] = 0


@step
def find_or_add(source: bytes, at: int, size: int, seed: int, which: int, dictionaries: Dictionaries) -> int:
    """Return the number of the text [at, at + size) of `source` in dictionary `which`, 0 for the empty text.

    The number means nothing where the dictionary has run out of room.
    """
    if size == 0:
        return 0
    table, entries, slots = dictionaries.dictionaries, dictionaries.entries, dictionaries.slots
    key = hash_text(source, at, at + size, seed) & _HASH_BITS
    base = table[which, layout.TEXT_BASE]
    slot_base, mask = table[which, layout.SLOT_BASE], table[which, layout.SLOT_MASK]
    free = _NOWHERE
    for probe in range(MAX_PROBES):
        slot = slot_base + ((key + probe) & mask)
        number = int(slots[slot])
        if number == 0:
            free = slot
            break
        entry = base + number
        if (
            entries[layout.TEXT_HASH, entry] == key
            and entries[layout.TEXT_SIZE, entry] == size
            and same_bytes(source, at, int(entries[layout.TEXT_AT, entry]), size)
        ):
            return number
    return _add(at, size, key, free, which, dictionaries)


@inlined
def find_guessed(
    source: bytes, at: int, size: int, guess: int, seed: int, which: int, dictionaries: Dictionaries
) -> int:
    """Return what `find_or_add` does, sooner where it is `guess` (0: none)."""
    entries, entry = dictionaries.entries, dictionaries.dictionaries[which, layout.TEXT_BASE] + guess
    if (
        guess > 0
        and entries[layout.TEXT_SIZE, entry] == size
        and same_bytes(source, at, int(entries[layout.TEXT_AT, entry]), size)
    ):
        return guess
    return find_or_add(source, at, size, seed, which, dictionaries)


@step
def _add(at: int, size: int, key: int, slot: int, which: int, dictionaries: Dictionaries) -> int:
    """Append a text; `slot` is free for it, or there is none."""
    table, entries = dictionaries.dictionaries, dictionaries.entries
    number = int(table[which, layout.TEXT_COUNT]) + 1
    table[which, layout.TEXT_COUNT] = number
    if number > table[which, layout.TEXT_CAPACITY]:
        return 0
    entry = table[which, layout.TEXT_BASE] + number
    entries[layout.TEXT_AT, entry], entries[layout.TEXT_SIZE, entry] = at, size
    entries[layout.TEXT_HASH, entry] = key
    if slot != _NOWHERE:
        dictionaries.slots[slot] = number
    if 2 * number > table[which, layout.SLOT_MASK]:
        _grow(which, dictionaries)
    return number


@step
def _grow(which: int, dictionaries: Dictionaries) -> None:
    """Use four times the slots, or as many as there are."""
    table, slots = dictionaries.dictionaries, dictionaries.slots
    size = min(4 * (table[which, layout.SLOT_MASK] + 1), table[which, layout.SLOT_CAPACITY])
    mask = size - 1
    if mask == table[which, layout.SLOT_MASK]:
        return
    table[which, layout.SLOT_MASK] = mask
    base, slot_base = table[which, layout.TEXT_BASE], table[which, layout.SLOT_BASE]
    slots[slot_base : slot_base + size] = 0
    for number in range(1, table[which, layout.TEXT_COUNT] + 1):
        key = int(dictionaries.entries[layout.TEXT_HASH, base + number])
        for probe in range(MAX_PROBES):
            slot = slot_base + ((key + probe) & mask)
            if slots[slot] == 0:
                slots[slot] = number
                break


@inlined
def same_bytes(source: bytes, at: int, other: int, size: int) -> bool:
    """Return whether `size` bytes at two positions are equal: eight at a time, the last eight overlapping."""
    done = 0
    if size >= 8:
        while done < size - 8:
            if load_word(source, at + done) != load_word(source, other + done):
                return False
            done += 8
        return load_word(source, at + size - 8) == load_word(source, other + size - 8)
    while done < size and source[at + done] == source[other + done]:
        done += 1
    return done == size
