"""JSON text to plain values, with errors that show the place."""

import json

import orjson

from cpdd.errors import CpddError

SNIPPET_CHARS = 30
"""Text shown on either side of a mistake."""

_LENIENT = ("surrogate", "is infinity")
"""What orjson says where one odd value, not the syntax, stops it."""


class MalformedDocument(CpddError):
    """A document that cannot be read as a whole: the problem, the place, the text there, the next step."""

    def __init__(self, problem: str, place: str = "", snippet: str = "", hint: str = "") -> None:
        self.problem = problem
        self.place = place
        self.snippet = snippet
        self.hint = hint
        where = [f"  at {place}"] if place else []
        super().__init__("\n".join([problem, *where, *snippet.splitlines(), *([f"hint: {hint}"] if hint else [])]))


def parse_json(body: bytes, first_line: int = 1) -> object:
    """Return the value of a JSON text in UTF-8 (or in UTF-16 with a byte order mark).

    Text that is no Unicode (`"\\ud800"`, invalid UTF-8) comes as half surrogate pairs, which cannot be encoded again:
    it costs the span in which it stands, not the document.

    Args:
        first_line: the number of the text's first line in its file, for errors.
    Raises:
        MalformedDocument: names line and column and shows the text around.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        body = body.decode("utf-16", "replace").encode()
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not any(word in error.msg for word in _LENIENT):
            raise _malformed(error.msg, error.doc, error.pos, first_line) from None
    text = body.decode("utf-8", "surrogateescape")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _malformed(error.msg, error.doc, error.pos, first_line) from None
    except (RecursionError, ValueError) as error:
        raise MalformedDocument(f"not valid JSON: {error}") from None


def _malformed(problem: str, text: str, at: int, first_line: int) -> MalformedDocument:
    line = text.count("\n", 0, at) + first_line
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    place = f"line {line:,}, column {column:,}"
    return MalformedDocument(f"not valid JSON: {problem[:1].lower()}{problem[1:]}", place, _snippet(text, at))


def _snippet(text: str, at: int) -> str:
    """The text around a position of its line, and a caret below it."""
    begin = max(text.rfind("\n", 0, at) + 1, at - SNIPPET_CHARS)
    end = text.find("\n", at)
    end = min(end if end >= 0 else len(text), at + SNIPPET_CHARS)
    around = "".join(c if c.isprintable() else " " for c in text[begin:end])
    return f"    {around}\n    {' ' * (at - begin)}^" if around.strip() else ""
