"""A consistent sampling decision for programs that can compare nothing but text: a threshold as a regular expression.

Keep a trace where the last 14 hex digits of its id are at least T = (1 - ratio) * 2^56, as OpenTelemetry's consistent
probability sampling has it. Values only.
"""

from fractions import Fraction

_DIGITS = "0123456789abcdef"
_SIGNIFICANT = 4


def threshold(ratio: Fraction) -> str:
    """Return T as `ot=th:` writes it: 4 digits behind leading f's, without trailing zeros; "0" keeps everything.

    >>> threshold(Fraction(1)), threshold(Fraction(1, 2)), threshold(Fraction(1, 100)), threshold(Fraction(1, 1000))
    ('0', '8', 'fd70a', 'ffbe77')
    """
    exact = (1 - ratio) * 2**56
    whole = f"{int(exact):014x}"
    digits = len(whole) - len(whole.lstrip("f")) + _SIGNIFICANT
    step = 16 ** (14 - digits) if digits < 14 else 1
    rounded = round(exact / step) * step
    return f"{min(rounded, 2**56 - 1):014x}".rstrip("0") or "0"


def at_least(prefix: str) -> str:
    """Return a regular expression for the hex numbers that are not below one that begins with `prefix`.

    >>> at_least("fd7")
    'fd[789abcdef]|f[ef]'
    """
    return "|".join(
        f"{prefix[:place]}{_range(digit + (place < len(prefix) - 1))}"
        for place, digit in reversed([*enumerate(map(_DIGITS.index, prefix))])
        if digit + (place < len(prefix) - 1) < 16
    )


def _range(first: int) -> str:
    return _DIGITS[first] if first == 15 else f"[{_DIGITS[first:]}]"
