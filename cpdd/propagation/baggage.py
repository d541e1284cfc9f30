"""W3C baggage: what travels with a request, and where it stops. In and out of headers; knows no framework.

What differs from OpenTelemetry's own propagator: several headers are one list, properties travel on, a plus is a plus,
and an allow-list says which keys pass, to whom, and whether callers may send any.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote, urlsplit

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import Span, SpanKind

BAGGAGE = "baggage"
MAX_MEMBERS = 180
MAX_CHARS = 8192
"""Both as in OpenTelemetry's propagator; W3C asks for 64 and 8192 at least. What is over is left out."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KEY_SAFE = "!#$&'*+-.^_`|~"
_VALUE_SAFE = "!#$&'()*-./:<=>?@[]^_`{|}~"
"""Without the plus, which is allowed: OpenTelemetry's Python reads it as a space."""
_OWN = "cpdd."
_HOST_ATTRIBUTES = ("server.address", "net.peer.name")
_URL_ATTRIBUTES = ("url.full", "http.url")


class BaggageValue(str):
    """A value with the properties that came with it, which other programs may understand."""

    properties: str

    def __new__(cls, value: str, properties: str = "") -> "BaggageValue":
        made = super().__new__(cls, value)
        made.properties = properties
        return made

    def __reduce__(self) -> tuple[type["BaggageValue"], tuple[str, str]]:
        return BaggageValue, (str(self), self.properties)


@dataclass(frozen=True, slots=True)
class BaggageRules:
    """Which baggage passes the border of this process. Patterns are those of a shell: `cpdd.*`, `*.internal`."""

    keys: tuple[str, ...] = ("*",)
    hosts: tuple[str, ...] = ("*",)
    """To whom it is sent. With any list but `*`, not to hosts that the client's span does not name."""
    from_callers: bool = True
    """Off at the public edge: strangers do not name our journeys."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "BaggageRules":
        """Return what CPDD_BAGGAGE_KEYS, CPDD_BAGGAGE_HOSTS and CPDD_BAGGAGE_FROM_CALLERS say."""
        from_callers = environ.get("CPDD_BAGGAGE_FROM_CALLERS", "").strip().lower()
        return cls(
            _patterns(environ.get("CPDD_BAGGAGE_KEYS", "")),
            _patterns(environ.get("CPDD_BAGGAGE_HOSTS", "").lower()),
            from_callers not in ("off", "false", "0", "no"),
        )

    def passes(self, key: str) -> bool:
        return self.keys == ("*",) or _matches(key, self.keys)

    def reaches(self, span: Span) -> bool:
        """Whether baggage may go where the client of this span sends it."""
        if self.hosts == ("*",) or getattr(span, "kind", None) not in (SpanKind.CLIENT, None):
            return True
        host = _host(getattr(span, "attributes", None) or {})
        return host is not None and _matches(host, self.hosts)


class BaggagePropagator(TextMapPropagator):
    """The baggage header, as far as the rules let it pass; by default those of the environment."""

    def __init__(self, rules: BaggageRules | None = None) -> None:
        self._rules = rules or BaggageRules.of(os.environ)

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return the context with what the caller sent, too. A member that cannot be read is left out."""
        inside = Context() if context is None else context
        if not self._rules.from_callers:
            return inside
        for key, value in read_baggage(",".join(getter.get(carrier, BAGGAGE) or ())):
            if self._rules.passes(key):
                inside = baggage.set_baggage(key, value, inside)
        return inside

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the header; none where nothing may pass."""
        carried = baggage.get_all(context)
        if not carried or not self._rules.reaches(trace.get_current_span(context)):
            return
        header = write_baggage({key: value for key, value in carried.items() if self._rules.passes(key)})
        if header:
            setter.set(carrier, BAGGAGE, header)

    @property
    def fields(self) -> set[str]:
        return {BAGGAGE}


def read_baggage(header: str) -> Iterator[tuple[str, BaggageValue]]:
    """Yield the members of a header, several headers joined by commas, as far as they can be read.

    >>> [(key, value, value.properties) for key, value in read_baggage("a=1;p;q=2 , b=x%20y+z")]
    [('a', '1', 'p;q=2'), ('b', 'x y+z', '')]
    """
    room = MAX_CHARS
    for member in header.split(",", MAX_MEMBERS)[:MAX_MEMBERS]:
        room -= len(member) + 1
        if room < -1:
            return
        pair, _, properties = member.partition(";")
        key, equals, value = (part.strip(" \t") for part in pair.partition("="))
        if not equals or not _TOKEN.fullmatch(key) or not value.isascii() or not properties.isascii():
            continue
        key = unquote(key)
        # we send a space as %20 and a plus as %2B: where our own key has a plus, OpenTelemetry's Python was in between
        value = value.replace("+", " ") if key.startswith(_OWN) else value
        yield key, BaggageValue(unquote(value), properties.strip(" \t"))


def write_baggage(carried: Mapping[str, object]) -> str:
    """Return the header: as many members, in order, as the limits allow.

    >>> write_baggage({"cpdd.journey": "check out", "n": 1, "plus": "a+b"})
    'cpdd.journey=check%20out,n=1,plus=a%2Bb'
    """
    members: list[str] = []
    room = MAX_CHARS + 1
    for key, value in carried.items():
        if not key:
            continue
        properties = value.properties if isinstance(value, BaggageValue) else ""
        member = f"{quote(key, safe=_KEY_SAFE)}={quote(str(value), safe=_VALUE_SAFE)}{properties and f';{properties}'}"
        if len(members) < MAX_MEMBERS and len(member) < room:
            members.append(member)
            room -= len(member) + 1
    return ",".join(members)


def _patterns(said: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in said.split(",") if part.strip()) or ("*",)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _host(attributes: Mapping[str, object]) -> str | None:
    """The host that a client's span names, without port and in small letters."""
    for attribute in _HOST_ATTRIBUTES:
        if isinstance(said := attributes.get(attribute), str) and said:
            return said.lower()
    for attribute in _URL_ATTRIBUTES:
        if isinstance(said := attributes.get(attribute), str):
            try:
                return urlsplit(said).hostname
            except ValueError:
                return None
    return None
