"""The token that a command shows to a server that asks for one."""

from pathlib import Path
from urllib.request import Request

from cpdd.cli._settings import read_settings
from cpdd.settings import SettingsError


def first_token(text: str) -> str:
    """Return the token that a client shows where several are valid: of a text, or of the file behind an @.

    >>> first_token("new,old")
    'new'

    Raises:
        SettingsError: the file cannot be read.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text().strip().partition("\n")[0]
        except OSError as error:
            raise SettingsError(f"the token cannot be read: {error.strerror}", f"file {text[1:]}") from None
    return text.partition(",")[0].strip()


def reader_request(address: str) -> Request:
    """Return a request for what a server shows to readers, with the first of `read_tokens` where there are any.

    Another address that the answer leads to is not shown the token.
    """
    request = Request(address, headers={"Accept": "application/json"})
    if token := first_token(read_settings()[0].read_tokens):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request
