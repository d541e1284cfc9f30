"""JSON objects from outside, field by field: each is taken once and checked, and what nobody takes is an error."""

import difflib
from typing import Any, TypeVar

from cpdd.errors import CpddError

MAX_TEXT_CHARS = 256
_T = TypeVar("_T")


class PolicyError(CpddError):
    """A document that is refused: what is wrong, at which field, and what would do."""

    def __init__(self, problem: str, place: str, hint: str = "") -> None:
        self.problem = problem
        self.place = place
        self.hint = hint
        super().__init__(f"policy refused: {problem}\n  at {place}" + (f"\nhint: {hint}" if hint else ""))


_REQUIRED: Any = object()


class Fields:
    """The fields of a JSON object: each is taken once and checked, what nobody takes is an error."""

    def __init__(self, value: object, place: str) -> None:
        self.place = place or "the document"
        self._prefix = f"{place}." if place else ""
        if not isinstance(value, dict):
            raise PolicyError(f"{short(value)} is no object", self.place)
        self._left = dict(value)
        self._known: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def at(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def take(self, name: str, kind: type[_T], default: Any = _REQUIRED) -> Any:
        self._known.append(name)
        value = self._left.pop(name, None)
        if value is None:
            if default is _REQUIRED:
                raise PolicyError("missing", self.at(name))
            return default
        if not isinstance(value, kind):
            raise PolicyError(f"{short(value)} is no {_WORDS[kind]}", self.at(name))
        return value

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        value: str = self.take(name, str, default)
        if len(value) > MAX_TEXT_CHARS:
            raise PolicyError(f"{len(value)} characters are over the limit of {MAX_TEXT_CHARS}", self.at(name))
        return value

    def word(self, name: str, words: tuple[str, ...], default: Any = _REQUIRED) -> str:
        value = self.text(name, default)
        if value not in words:
            raise PolicyError(f"{value!r} is none of {', '.join(words)}", self.at(name))
        return value

    def number(self, name: str, least: float, most: float, default: Any = _REQUIRED) -> Any:
        value = self._left.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise PolicyError(f"{short(value)} is no number", self.at(name))
        value = self.take(name, object, default)
        if value is not None and value is not default and not least <= value <= most:
            raise PolicyError(f"{short(value)} is not between {least:g} and {most:g}", self.at(name))
        return value

    def integer(self, name: str, least: int, most: int = 10**18, default: Any = _REQUIRED) -> Any:
        value = self._left.get(name)
        if isinstance(value, bool) or not isinstance(value, int | None):
            raise PolicyError(f"{short(value)} is no whole number", self.at(name))
        return self.number(name, least, most, default)

    def finish(self) -> None:
        """Raise for a field that nobody knows."""
        for name in self._left:
            close = difflib.get_close_matches(str(name), self._known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(dict.fromkeys(self._known))}"
            raise PolicyError("unknown field", self.at(str(name)[:MAX_TEXT_CHARS]), hint)


_WORDS: dict[type, str] = {str: "text", list: "list", dict: "object", bool: "true or false", object: "value"}


def short(value: object) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
