"""Jaeger's JSON to OTLP protobuf bytes by kernels: what `formats.jaeger` makes of it, many times as fast.

It does the plain documents, as tracers and Jaeger write them; `formats.jaeger` does the others, and is the judge of
both: tests hold them to the same bytes. See docs/decisions/064.
"""

from dataclasses import dataclass
from types import ModuleType

from collector.core import kernels

WORTH_BYTES = 4 * 2**20
"""JSON from which loading the kernels takes less time than they save."""
WORTH_COMPILING_BYTES = 400 * 2**20
"""JSON from which they are compiled where they never were, rather than left to `python -m collector.warm`."""

_BEGINNING_BYTES = 512
_MAX_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Translator:
    """The kernels, compiled or plain: both give the same answer."""

    tapes: ModuleType
    jaeger: ModuleType


def translator(compiled: bool) -> Translator:
    """Return the kernels."""
    if compiled:
        work = kernels.PLAIN_LIMIT + 1
        return Translator(kernels.load("json_tape", work), kernels.load("jaeger", work))
    return Translator(kernels.plain("json_tape"), kernels.plain("jaeger"))


def translate_quickly(body: bytes, read_before: int = 0) -> bytes | None:
    """Return the OTLP protobuf bytes of Jaeger JSON, None where the kernels cannot tell or are not worth loading.

    Args:
        read_before: bytes of JSON that were read already: of many small files each is too small to be worth it.
    """
    if not body.startswith(b"{") or b'"data"' not in body[:_BEGINNING_BYTES] or len(body) > _MAX_BYTES:
        return None
    if not kernels.is_compiled("jaeger") and read_before + len(body) < WORTH_BYTES:
        return None
    quick = translator(compiled=True)
    if not kernels.is_cached(quick.jaeger.store_trace) and read_before + len(body) < WORTH_COMPILING_BYTES:
        return None
    return translate_with(quick, body)


def translate_with(quick: Translator, body: bytes) -> bytes | None:
    """Do the work of `translate_quickly` with these kernels."""
    tapes, jaeger = quick.tapes, quick.jaeger
    room = jaeger.make_room(len(body), int(tapes.most_values(body)))
    if tapes.scan(body, room.tape) < 0:
        return None
    data, at = jaeger.find_traces(body, room), 0
    if data < 0:
        return None
    trace, end = data + 1, int(room.tape[data, tapes.PAST])
    while trace < end:
        at = jaeger.store_trace(body, room, trace, at)
        if at < 0:
            return None
        trace = int(room.tape[trace, tapes.PAST])
    translated: bytes = room.out[:at].tobytes()
    return translated
