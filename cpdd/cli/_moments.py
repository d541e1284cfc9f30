"""Moments as people write them: 10:30, or 2026-03-02T10:30:00; without a zone in UTC."""

from datetime import UTC, datetime


def has_date(text: str) -> bool:
    return "-" in text


def read_moment(text: str, day: datetime) -> int:
    """Return ns since 1970; a time without a date is of `day`.

    Raises:
        ValueError: it is neither.
    """
    try:
        told = datetime.fromisoformat(text if has_date(text) else f"{day:%Y-%m-%d}T{text}")
    except ValueError:
        raise ValueError(f"{text!r} is no time such as 10:30 or 2026-03-02T10:30:00") from None
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()) * 10**9
