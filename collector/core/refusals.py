"""Why the decoder refused a span, in words. Called by `wire` with the numbers that the kernel kept; rare and slow.

Reads the bytes again with the kernels as plain Python: what is wrong is a position, and here it becomes a path.
"""

from collector.core import kernels
from collector.core.rejections import Rejection

_decode = kernels.plain("decode")
_messages = kernels.plain("messages")
_protobuf = kernels.plain("protobuf")
_span = kernels.plain("span")
_attributes = kernels.plain("attributes")

MAX_SHOWN_CHARS = 80
MAX_SHOWN_NAMES = 8
"""Names of a path: a value may hide deeper than anybody wants to read."""

_UNREADABLE = {
    _protobuf.TRUNCATED: "a field runs past its end",
    _protobuf.LONG_VARINT: "a number is longer than 10 bytes",
    _protobuf.BAD_TAG: "a field has no valid number",
    _protobuf.BAD_WIRE_TYPE: "a field is a group or of a wire type that does not exist",
    _decode.WRONG_WIRE_TYPE: "a field that holds spans is not written as a message",
}
_ID_SIZES = {
    _span.TRACE_ID_SIZE: ("trace_id", 16, "expected"),
    _span.SPAN_ID_SIZE: ("span_id", 8, "expected"),
    _span.PARENT_ID_SIZE: ("parent_span_id", 8, "or none expected"),
}
_ZERO_IDS = {_span.TRACE_ID_ZERO: "trace_id", _span.SPAN_ID_ZERO: "span_id"}
_TIMES = {_span.LATE_START: "start_time_unix_nano", _span.LATE_END: "end_time_unix_nano"}
_WHOLES = {
    _decode.OF_SPAN: (_messages.SPAN, ""),
    _decode.OF_RESOURCE: (_messages.RESOURCE, "resource"),
    _decode.OF_RESOURCE_SCHEMA: (_messages.TEXT, "schemaUrl"),
    _decode.OF_SCOPE: (_messages.SCOPE, "scope"),
    _decode.OF_SCOPE_SCHEMA: (_messages.TEXT, "schemaUrl"),
}


def describe_frame(problem: int) -> str:
    """Return what is wrong with the frame of messages around the spans."""
    return _UNREADABLE[problem]


def describe_span(body: bytes, facts: list[int]) -> Rejection:
    """Return the rejection of a span.

    Args:
        facts: a row of the kernel's `rejected`, see `REJECTION_FACTS`.
    """
    problem, fact, of = facts[:3]
    group, scoped, row = (
        f"resourceSpans[{facts[3]}]",
        f"resourceSpans[{facts[3]}].scopeSpans[{facts[4]}]",
        f"resourceSpans[{facts[3]}].scopeSpans[{facts[4]}].spans[{facts[5]}]",
    )
    service = _service(body, facts[8], facts[9]) if of != _decode.OF_RESOURCE else ""
    sender = f'"{service}"' if service else "these spans"
    lies = facts[6 + 2 * of], facts[7 + 2 * of]
    around = {_decode.OF_SPAN: row, _decode.OF_RESOURCE: group, _decode.OF_RESOURCE_SCHEMA: group}.get(of, scoped)
    sentence, hint, value = _sentence(body, problem, fact, of, lies, sender)
    if of != _decode.OF_SPAN:
        sentence = f"{around}.{sentence}"
    return Rejection(sentence, row, _name(body, facts[6], facts[7]), service, hint, value)


def _sentence(
    body: bytes, problem: int, fact: int, of: int, lies: tuple[int, int], sender: str
) -> tuple[str, str, int | None]:
    """Return problem, hint, and the wrong value."""
    if problem in _ID_SIZES:
        name, size, expected = _ID_SIZES[problem]
        return f"{name} has {fact} bytes, {size} {expected}", _id_hint(fact, size, sender), fact
    if problem in _ZERO_IDS:
        return f"{_ZERO_IDS[problem]} is all zero", f"does the exporter of {sender} send spans that never began?", 0
    if problem in _TIMES:
        time = int.from_bytes(body[fact : fact + 8], "little")
        hint = f"is the exporter of {sender} sending a negative time, or other units than nanoseconds?"
        return f"{_TIMES[problem]} is {time}, above {2**63 - 1}", hint, time

    path = _path(body, of, lies, fact)
    if problem == _messages.NOT_UTF8:
        return f"{path} is not UTF-8: byte 0x{body[fact]:02x}", _utf8_hint(body, fact, lies[1], sender), body[fact]
    if problem == _messages.TOO_DEEP:
        hint = f"can {sender} send the value as JSON text, or less of it?"
        return f"{path} holds messages more than {_messages.MAX_DEPTH} deep", hint, _messages.MAX_DEPTH
    offset = fact - lies[0]
    hint = f"did a proxy between {sender} and the collector cut or change the body?"
    return f"{path} cannot be read: {_UNREADABLE[problem]} (byte {offset} of {lies[1] - lies[0]})", hint, offset


def _id_hint(size: int, expected: int, sender: str) -> str:
    """Sizes that tell what was done to an id: hex takes two characters a byte, base64 makes four of three bytes."""
    if size == 0:
        return f"does the exporter of {sender} leave the id out?"
    if size == 2 * expected:
        return f"is the exporter of {sender} sending the hex text of the id where protobuf asks for its bytes?"
    if size == expected * 3 // 2:
        return f"was an id of {sender} in hex read as base64? OTLP/JSON writes ids in hex"
    return f"is the exporter of {sender} sending base64 where OTLP/JSON asks for hex?"


def _utf8_hint(body: bytes, at: int, end: int, sender: str) -> str:
    if body[at] >= 0xC2 and (at + 1 == end or body[at + 1] < 0x80):
        return f"is {sender} sending Latin-1, or cutting texts in the middle of a character?"
    return f"is {sender} sending bytes as text? OTLP has bytes_value for them"


def _service(body: bytes, at: int, end: int) -> str:
    """The service name of a resource that could be read, else empty."""
    for number, content, behind in _fields(body, at, end):
        if number != 1:
            continue
        key, key_end, kind, value, value_end = _attributes.read_key_value(body, content, behind)
        if body[key:key_end] == b"service.name" and kind == _attributes.STRING_VALUE and value_end > value:
            return _shown(body, value, value_end)
    return ""


def _name(body: bytes, at: int, end: int) -> str:
    names = [_shown(body, content, behind) for number, content, behind in _fields(body, at, end) if number == 5]
    return names[-1] if names else ""


def _shown(body: bytes, at: int, end: int) -> str:
    text = body[at : min(end, at + 4 * MAX_SHOWN_CHARS)].decode("utf-8", "replace")
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"


def _fields(body: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """Number, beginning and end of the fields of bytes, up to the first that cannot be read."""
    fields = []
    while at < end:
        tag, value = _protobuf.read_tag(body, at, end)
        after = value if value < 0 else _protobuf.skip_field(body, value, end, tag)
        if after < 0:
            break
        if tag & 7 == _protobuf.BYTES:
            size, content = _protobuf.read_size(body, value, end)
            fields.append((tag >> 3, content, content + size))
        at = after
    return fields


def _path(body: bytes, of: int, lies: tuple[int, int], position: int) -> str:
    """The field that `position` lies in, as deep as fields have names: `attributes[3] ("user.name").value`."""
    message, path = _WHOLES[of]
    at, end = lies
    names = 0
    while (fields := _messages.FIELDS.get(message)) is not None:
        seen: dict[int, int] = {}
        for number, content, behind in _fields(body, at, end):
            seen[number] = seen.get(number, -1) + 1
            if number in fields and content <= position < behind:
                break
        else:
            break
        names += 1
        if names > MAX_SHOWN_NAMES:
            return path + "…"
        name, message = fields[number]
        many = name in _REPEATED
        path += ("." if path else "") + (f"{name}[{seen[number]}]" if many else name)
        if message == _messages.KEY_VALUE:
            path += _key(body, content, behind)
        at, end = content, behind
    return path or "the span"


_REPEATED = frozenset(("attributes", "events", "links", "values", "entityRefs", "idKeys", "descriptionKeys"))


def _key(body: bytes, at: int, end: int) -> str:
    keys = [_shown(body, content, behind) for number, content, behind in _fields(body, at, end) if number == 1]
    return f' ("{keys[-1]}")' if keys else ""
