"""Jaeger's JSON to OTLP protobuf bytes by kernels: what `formats.jaeger` makes of it, many times as fast.

It does the plain documents, as tracers and Jaeger write them; `formats.jaeger` does the others, and is the judge of
both: tests hold them to the same bytes. See docs/decisions/064.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from collector.core import kernels

WORTH_BYTES = 4 * 2**20
"""JSON from which loading the kernels takes less time than they save."""
WORTH_COMPILING_BYTES = 400 * 2**20
"""JSON from which they are compiled where they never were, rather than left to `python -m collector.warm`."""

BEGINNING_BYTES = 512
_MAX_BYTES = 2**30
_SMALL_BYTES = 16 * 2**20
"""Of which every second byte may be a value: the room is not worth counting them."""


@dataclass(frozen=True, slots=True)
class Translator:
    """The kernels, compiled or plain: both give the same answer."""

    tapes: ModuleType
    jaeger: ModuleType
    is_compiled: bool


def translator(compiled: bool) -> Translator:
    """Return the kernels."""
    if compiled:
        work = kernels.PLAIN_LIMIT + 1
        return Translator(kernels.load("json_tape", work), kernels.load("jaeger", work), True)
    return Translator(kernels.plain("json_tape"), kernels.plain("jaeger"), False)


def is_candidate(text: bytes) -> bool:
    """Whether a file, or a line, may be Jaeger's JSON as the kernels know it; its first `BEGINNING_BYTES` tell."""
    return text.startswith(b"{") and b'"data"' in text[:BEGINNING_BYTES] and len(text) <= _MAX_BYTES


def is_worth_it(size: int) -> bool:
    """Whether so many bytes of JSON are worth loading the kernels, or compiling them."""
    if not kernels.is_compiled("jaeger") and size < WORTH_BYTES:
        return False
    return size >= WORTH_COMPILING_BYTES or kernels.is_cached(translator(compiled=True).jaeger.store_documents)


def translate_quickly(body: bytes, read_before: int = 0) -> bytes | None:
    """Return the OTLP protobuf bytes of Jaeger JSON, None where the kernels cannot tell or are not worth loading.

    Args:
        read_before: bytes of JSON that were read already: of many small files each is too small to be worth it.
    """
    if not is_candidate(body) or not is_worth_it(read_before + len(body)):
        return None
    return translate_with(translator(compiled=True), [body])[0]


def translate_with(quick: Translator, bodies: Sequence[bytes]) -> list[bytes | None]:
    """Translate each of some documents with these kernels, all in one call; None for those that they cannot tell.

    Together they are less than 1 GiB.
    """
    edges = np.cumsum([0, *map(len, bodies)], dtype=np.int64)
    joined = bodies[0] if len(bodies) == 1 else b"".join(bodies)
    out, behind = translate_joined(quick, np.frombuffer(joined, np.uint8), edges)
    first, pieces = 0, list[bytes | None]()
    for end in behind.tolist():
        pieces.append(out[first:end].tobytes() if end >= 0 else None)
        first = max(first, end)
    return pieces


def translate_joined(
    quick: Translator, text: NDArray[np.uint8], edges: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Translate documents that stand behind one another, number i being text[edges[i]:edges[i + 1]].

    Returns:
        The requests behind one another, and by document the position behind its own, negative where the kernels cannot
        tell.
    """
    if quick.is_compiled:
        text = text.view()
        text.flags.writeable = False  # as that of `bytes` is: one compiled form
        body: NDArray[np.uint8] | bytes = text
    else:
        body = text.tobytes()  # an array's bytes are numbers of 8 bits there
    longest = int(np.diff(edges).max())
    values = longest // 2 + 1 if longest <= _SMALL_BYTES else int(quick.tapes.most_values(body))
    room = quick.jaeger.make_room(len(text), longest, values)
    behind = np.empty(len(edges) - 1, np.int64)
    quick.jaeger.store_documents(body, edges, room, behind)
    return room.out, behind
