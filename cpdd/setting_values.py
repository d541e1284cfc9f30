"""What settings may say: parsers from what a flag, a variable or the file says, and what of it may be shown.

Nothing beyond the standard library, as `cpdd.settings`.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

Parse = Callable[[object], Any]
"""From what a flag, a variable or the file says to the setting's value; a ValueError says what is wrong."""


def parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def parse_integer(value: object) -> int:
    """Return a whole number of 0 or more."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and re.fullmatch(r"[+-]?[0-9][0-9_]*", value.strip()):
        number = int(value)
    if number is None:
        raise ValueError(f"{value!r} is no whole number")
    if number < 0:
        raise ValueError(f"{number} is below 0")
    return number


def parse_seconds(value: object) -> float:
    """Return a number of 0 or more."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no number") from None
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError(f"{value!r} is no number of 0 or more")
    return number


def parse_share(value: object) -> float:
    """Return a number from 0 to 1."""
    number = parse_seconds(value)
    if number > 1:
        raise ValueError(f"{number:g} is no share from 0 to 1")
    return number


def parse_duration_ns(value: object) -> int:
    """Return nanoseconds: a whole number of them, or a number with a unit.

    >>> parse_duration_ns("1.5ms"), parse_duration_ns("2s"), parse_duration_ns(70)
    (1500000, 2000000000, 70)
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ns|us|µs|ms|s|m)?", str(value).strip())
    if match is None or (match[2] is None and "." in match[1]) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no duration such as 1s, 500ms or 250us")
    return int(Fraction(match[1]) * _NANOSECONDS[match[2] or "ns"])


def parse_bytes(value: object) -> int:
    """Return bytes: a whole number of them, or a number with a unit.

    >>> parse_bytes("1.5GB"), parse_bytes("10MiB"), parse_bytes(0)
    (1500000000, 10485760, 0)
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]i?)?B?", str(value).strip())
    if match is None or (match[2] is None and "." in match[1]) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no size such as 20GB, 500MiB or 1000000")
    unit = match[2] or ""
    power = "kMGT".index(unit[0]) + 1 if unit else 0
    return int(Fraction(match[1]) * (1024 if unit.endswith("i") else 1000) ** power)


_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}


def parse_port(value: object) -> int | None:
    """Return a port, 0 for any free one, None for `off`."""
    if value == "off" or value is False:
        return None
    try:
        port = parse_integer(value)
    except ValueError:
        raise ValueError(f"{value!r} is no port: a number from 0 (any free port) to 65535, or off") from None
    if port > 65535:
        raise ValueError(f"{port} is no port: the largest is 65535")
    return port


LINK_PARTS = ("url", "repository", "revision", "path", "line", "function")
"""What an address of a line of code may have filled in."""


def parse_link_template(value: object) -> str:
    """Return an address with places to fill in, or "" for none; its host is given, or that of {url}."""
    return _parse_template(
        value, LINK_PARTS, rf"(?:{_HOST}|\{{url\}})/", "{url}/ or with http:// or https:// and a host"
    )


LOGS_PARTS = ("trace_id", "span_id", "service", "start", "end", "start_ms", "end_ms")
"""What an address of logs may have filled in."""


def parse_logs_template(value: object) -> str:
    """Return an address with places to fill in, or "" for none; its host is given."""
    return _parse_template(value, LOGS_PARTS, f"{_HOST}/", "http:// or https:// and a host")


_HOST = r"https?://[A-Za-z0-9.-]+(?::\d+)?"


def _parse_template(value: object, parts: Sequence[str], begin: str, begin_words: str) -> str:
    """Return an address that begins as the pattern says and has these places to fill in, or "" for none."""
    text = parse_text(value).strip()
    if not text:
        return ""
    if not re.match(begin, text):
        raise ValueError(f"{value!r} does not begin with {begin_words}")
    if set("{}") & set(re.sub(r"\{(" + "|".join(parts) + r")\}", "", text)):
        raise ValueError(f"{value!r}: what is filled in is one of {', '.join(f'{{{part}}}' for part in parts)}")
    return text


def parse_web_address(value: object) -> str:
    """Return an address of http or https, or "" for none."""
    text = parse_text(value).strip()
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError(f"{value!r} is no address that begins with http:// or https://")
    return text


def parse_header_name(value: object) -> str:
    """Return the name of a header, or "" for none. Underscores are refused, as by servers."""
    text = parse_text(value).strip()
    if text and not re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise ValueError(f"{value!r} is no name of a header: letters, digits and dashes")
    return text


def parse_networks(value: object) -> str:
    """Return addresses and networks with commas between, as they came.

    >>> parse_networks("10.0.0.7, fd00::/8")
    '10.0.0.7, fd00::/8'
    """
    text = parse_text(value)
    try:
        networks(text)
    except ValueError as error:
        raise ValueError(f"{error}: addresses or networks such as 10.0.0.7, 10.1.0.0/16") from None
    return text


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that a text lists; raises ValueError for what is none."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def one_of(*words: str) -> Parse:
    """Return a parser that takes one of `words`."""

    def parse(value: object) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return str(value)

    return parse


def hide_password(dsn: str) -> str:
    """Return the address with its password replaced.

    >>> hide_password("clickhouse://cpdd:secret@db/traces")
    'clickhouse://cpdd:***@db/traces'
    """
    return re.sub(r"(://[^:/@]*:)[^@]*(@)", r"\1***\2", dsn)


def hide_path(url: str) -> str:
    """Return an address without its path, which is the secret of a webhook.

    >>> hide_path("https://hooks.slack.com/services/T0/B0/secret")
    'https://hooks.slack.com/***'
    """
    return re.sub(r"(://)(?:[^/@]*@)?([^/]+)/.+", r"\1\2/***", url)


def hide_tokens(text: str) -> str:
    """Return tokens as so many stars; where they are read from may be seen.

    >>> hide_tokens("one,two"), hide_tokens("@/run/tokens")
    ('***,***', '@/run/tokens')
    """
    return text if text.startswith("@") else ",".join("***" for token in text.split(",") if token.strip())


def hide_values(text: str) -> str:
    """Return headers as their names.

    >>> hide_values("authorization=Bearer x,tenant=a")
    'authorization=***,tenant=***'
    """
    return re.sub(r"=[^,]*", "=***", text)
