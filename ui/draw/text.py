"""Other people's text, made fit to be shown: bounded, and with nothing in it that acts on the page.

Escaping for HTML is the template's; this is about what escaping leaves in: characters that turn the line around
(bidi overrides), that take no width, or that no font draws, and texts of a megabyte.
"""

import re

from markupsafe import Markup, escape

from cpdd.unseen import UNSEEN_LETTERS

LABEL_LENGTH = 120
"""Characters of a name in a row or a title."""
VALUE_LENGTH = 2_000
"""Characters of an attribute's value in a table; the downloads have all."""

_LONGEST_TAIL = 32
_SEPARATOR = re.compile(r"(?<![/._:,=?&-])([/._:,=?&-]+)(?=\w)")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    f"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f{UNSEEN_LETTERS}]"
)


def shown(text: str, limit: int = LABEL_LENGTH) -> str:
    """Return `text` with unseen characters spelled out and cut at `limit`, the true length said.

    >>> shown("pay\\u202egnp.exe")
    'pay\\\\u202egnp.exe'
    >>> shown("x" * 1000, 10)
    'xxxxxxxxxx… (1,000 characters)'
    """
    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"
    return _UNSEEN.sub(_spell, cut)


def _spell(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def count_of(number: int, singular: str, plural: str = "") -> str:
    """Return "1 span", "2 spans"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def in_a_row(words: list[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def sentence(words: str) -> str:
    """Return words as a sentence begins; a parameter of an address is as it is spelled there.

    >>> sentence("the store is full"), sentence("last=5x is no length of time")
    ('The store is full', 'last=5x is no length of time')
    """
    return words if re.match(r"[a-z_]+=", words) else words[:1].upper() + words[1:]


def head_and_tail(text: str) -> tuple[str, str]:
    """Return a name in two: where there is no room, the head is cut first, as the tail tells operations apart.

    >>> head_and_tail("hipstershop.CurrencyService/Convert")
    ('hipstershop.CurrencyService', '/Convert')
    >>> head_and_tail("OrderRepository.findById")
    ('OrderRepository', '.findById')
    >>> head_and_tail("pay_order")
    ('', 'pay_order')
    """
    at = max(text.rfind("/"), text.rfind("."))
    return (text[:at], text[at:]) if at > 0 and 1 < len(text) - at <= _LONGEST_TAIL else ("", text)


def breakable(text: str) -> Markup:
    """Return text that may go on in the next line behind a separator, as names of operations are long."""
    return Markup("<wbr>").join(escape(piece) for piece in _SEPARATOR.sub("\\1\x00", text).split("\x00"))
