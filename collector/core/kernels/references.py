"""Links of a span: how it hangs on its parent (OpenTracing's FOLLOWS_FROM, which Jaeger's SDKs write as links), of
which call it is another attempt or which root it called (`cpdd.link.type`), or which message it takes.
"""

from collector.core.kernels import inlined, step
from collector.core.kernels.attributes import STRING_VALUE, read_key_value
from collector.core.kernels.names import find_name, name_table
from collector.core.kernels.protobuf import BYTES, equals, load_big_endian, load_word, read_size, read_tag, skip_field

_SPAN_LINK = 13 << 3 | BYTES
_LINK_TRACE_ID, _LINK_SPAN_ID, _LINK_ATTRIBUTE = 1 << 3 | BYTES, 2 << 3 | BYTES, 4 << 3 | BYTES
_KEY, _VALUE = b"opentracing.ref_type", b"follows_from"
_TYPE = b"cpdd.link.type"
_TYPES = name_table([b"retry", b"hedge", b"adopted"])
NO_LINK, LINK, TYPED = range(3)
"""Types of link, as `spans.LINKS`; those that `cpdd.link.type` names begin at the last one."""


@step
def follows_parent(body: bytes, at: int, end: int, trace: int, parent: int) -> bool:
    """Return whether a link of the checked Span [at, end) leads to its parent as FOLLOWS_FROM.

    Args:
        trace: where the span's trace id lies.
        parent: where its parent's id lies.
    """
    while 0 <= at < end:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag == _SPAN_LINK:
            _, link = read_size(body, value, end)
            if _is_follows_from(body, link, at, trace, parent):
                return True
    return False


@step
def _is_follows_from(body: bytes, at: int, end: int, trace: int, parent: int) -> bool:
    same_trace, same_span, follows = False, False, False
    kind_known = False
    while 0 <= at < end:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag & 7 != BYTES:
            continue
        size, content = read_size(body, value, end)
        if tag == _LINK_TRACE_ID:
            same_trace = size == 16 and _same_word(body, content, trace) and _same_word(body, content + 8, trace + 8)
        elif tag == _LINK_SPAN_ID:
            same_span = size == 8 and _same_word(body, content, parent)
        elif tag == _LINK_ATTRIBUTE and not kind_known:
            key, key_end, kind, text, text_end = read_key_value(body, content, at)
            kind_known = equals(body, key, key_end, _KEY)
            follows = kind_known and kind == STRING_VALUE and equals(body, text, text_end, _VALUE)
    return same_trace and same_span and follows


@step
def find_link(body: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return type, place of trace id and place of span id of the link that counts of the checked Span [at, end).

    That is the first with a `cpdd.link.type` we know, else the first. Links whose ids are none do not count.
    """
    kind, trace, span = NO_LINK, 0, 0
    while 0 <= at < end and kind < TYPED:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag == _SPAN_LINK:
            _, link = read_size(body, value, end)
            this, this_trace, this_span = _read_link(body, link, at)
            if this > kind:
                kind, trace, span = this, this_trace, this_span
    return kind, trace, span


@step
def _read_link(body: bytes, at: int, end: int) -> tuple[int, int, int]:
    kind, trace, span = LINK, 0, 0
    while 0 <= at < end:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag & 7 != BYTES:
            continue
        size, content = read_size(body, value, end)
        if tag == _LINK_TRACE_ID:
            trace = content if size == 16 else 0
        elif tag == _LINK_SPAN_ID:
            span = content if size == 8 and load_big_endian(body, content) != 0 else 0
        elif tag == _LINK_ATTRIBUTE and kind == LINK:
            key, key_end, type_of, text, text_end = read_key_value(body, content, at)
            if type_of == STRING_VALUE and equals(body, key, key_end, _TYPE):
                named = find_name(body, text, text_end, _TYPES)
                kind = TYPED + named if named >= 0 else LINK
    return (kind, trace, span) if trace > 0 and span > 0 else (NO_LINK, 0, 0)


@inlined
def _same_word(body: bytes, at: int, other: int) -> bool:
    return load_word(body, at) == load_word(body, other)
