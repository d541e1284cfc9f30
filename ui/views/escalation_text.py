"""An escalation packet as Markdown that reads well in a chat, and as plain text where a chat does not draw it.

Names come from spans: they stand in code spans, where nothing in them is Markdown, a mention or a link.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

from collector.core.code import UNKNOWN
from collector.core.requirement import UNDETERMINED
from ui.draw.units import NBSP, clock, duration, percent
from ui.views.escalation import EdgePart, ExampleTrace, Packet
from ui.views.span_panel import CodeLine, OwnerLine
from ui.views.words import whose_words

_ACTIVE = re.compile(r"[`*\[\]<>~|\\]")


def to_markdown(packet: Packet, now_unix_nano: int) -> str:
    """Return the packet for a chat."""
    lines = [f"**{_plain(packet.title)}**", *(_plain(fact) for fact in packet.facts), ""]
    lines += [f"- {name}: {text}" for name, text in _rows(packet, now_unix_nano) if text]
    return "\n".join(lines).replace(NBSP, " ") + "\n"


def _rows(packet: Packet, now_unix_nano: int) -> Iterator[tuple[str, str]]:
    yield "who", f"{_owner(packet.owner)} ({_code(packet.service)}{_version(packet)})"
    if packet.edge:
        yield "where", f"{_code(packet.edge.caller)} → {_code(packet.edge.callee)}{needed_words(packet.edge)}"
    if packet.code:
        whose = f", code of {_code(packet.code_service)}" if packet.code_service != packet.service else ""
        yield "code", _line(packet.code) + whose
    if packet.whose not in ("", UNKNOWN):
        yield "lies in", whose_words(packet.whose)
    if packet.since_unix_nano is not None:
        earlier = " or earlier" if packet.since_is_bound else ""
        yield "since", f"{clock(packet.since_unix_nano, now_unix_nano)} UTC{earlier}"
    yield "critical path", _path(packet)
    if packet.budget_share is not None:
        yield "error budget", f"{percent(packet.budget_share)} of it is spent"
    yield "examples", ", ".join(map(_example, packet.examples))
    links = [("the trace", packet.address), ("the journey", packet.journey_address)]
    yield "see", " · ".join(f"[{words}]({address})" for words, address in links if address)
    yield "in a terminal", _code(packet.command) if packet.command else ""


def needed_words(edge: EdgePart) -> str:
    """Return what is known of whether the caller needs the call, to stand behind the two; "" for nothing."""
    known = {"": "", UNDETERMINED: ", not known whether mandatory"}.get(edge.requirement, f", {edge.requirement}")
    return f"{known} ({edge.requirement_words})" if known and edge.requirement_words else known


def _owner(owner: OwnerLine) -> str:
    parts = [_plain(owner.name), _plain(owner.contact), quote(owner.href, safe=":/?#@!$&'+,;=%~")]
    return " · ".join(filter(None, parts)) or "nobody is named as owner"


def _version(packet: Packet) -> str:
    return f" {_code(packet.version)}" if packet.version else ""


def _line(line: CodeLine) -> str:
    at = _code(f"{line.path or line.function}{f':{line.line}' if line.line else ''}")
    linked = f"[{at}]({line.href})" if line.href else at
    function = f" in {_code(line.function)}" if line.function and line.path else ""
    revision = f" at {_code(line.revision[:12])}" if line.revision else ""
    return linked + function + revision


def _path(packet: Packet) -> str:
    parts = []
    if packet.critical_ns is not None and packet.critical_share is not None:
        parts.append(f"{duration(packet.critical_ns)}, {percent(packet.critical_share)} of this trace")
    if packet.journey_share is not None:
        parts.append(f"{percent(packet.journey_share)} of {_code(packet.journey)} in the hour before")
    return "; ".join(parts)


def _example(example: ExampleTrace) -> str:
    failed = " failed" if example.failed else ""
    return f"[{duration(example.duration_ns)}{failed}]({example.address})"


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39)).replace(chr(10), ' ')}`" if text else ""


def _plain(text: str) -> str:
    """Text in which no chat finds anything to do: no emphasis, link, heading or mention of everybody."""
    return _ACTIVE.sub("", text).replace("\n", " ")
