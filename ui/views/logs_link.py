"""Where the logs of a trace or a span are: the address that `logs_link` of the settings tells, filled in. Pure.

Ids and names were brought by spans: every part is percent-encoded, and the host is the template's own.
"""

import re
from datetime import UTC, datetime
from urllib.parse import quote

MAX_LENGTH = 4_000
AROUND_NS = 60 * 1_000_000_000
"""Logs are looked for so long before and after: clocks differ, and some are written late."""


def logs_link(
    template: str, trace_id: str, span_id: str, service: str, start_unix_nano: int, end_unix_nano: int
) -> str:
    """Return the address, "" where there is no template.

    >>> logs_link("https://logs.example/?q={trace_id}+{service}", "0af7", "", "shop/eu", 0, 0)
    'https://logs.example/?q=0af7+shop%2Feu'

    Args:
        span_id: empty for the whole trace.
    """
    start, end = max(start_unix_nano - AROUND_NS, 0), end_unix_nano + AROUND_NS
    said = {
        "trace_id": trace_id,
        "span_id": span_id,
        "service": service,
        "start": _iso(start),
        "end": _iso(end),
        "start_ms": str(start // 1_000_000),
        "end_ms": str(end // 1_000_000),
    }
    address = re.sub(r"\{(\w+)\}", lambda match: quote(said.get(match[1], ""), safe="", errors="replace"), template)
    return address if len(address) <= MAX_LENGTH else ""


def _iso(unix_nano: int) -> str:
    seconds = min(unix_nano // 1_000_000_000, 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
