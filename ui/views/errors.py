"""What can be wrong with a request for a page: the page and its `.json` say the same."""

from collector.store.trouble import is_trouble, reason
from cpdd.errors import CpddError
from ui.draw.text import shown


class PageError(CpddError):
    """A page that cannot be shown; `status` is the HTTP status."""

    status = 500

    def __init__(self, problem: str, hint: str = "", address: str = "", may_come: bool = False) -> None:
        self.problem = problem
        self.hint = hint
        self.address = address
        """Where the hint leads, where that is a page of ours."""
        self.may_come = may_come
        """Somebody who waits may see it: the page looks again by itself."""
        super().__init__(f"{problem}\nhint: {hint}" if hint else problem)


class BadAddress(PageError):
    """The address asks for something that cannot be read."""

    status = 400


class NothingThere(PageError):
    """The address is fine, and there is nothing at it."""

    status = 404


class ForeignName(PageError):
    """The server was asked for by a name that a stranger may have pointed to it."""

    status = 421

    def __init__(self, host: str) -> None:
        super().__init__(
            f"this server is not known as {shown(host, 60)}; if people open its pages there, set public_url "
            "(CPDD_PUBLIC_URL) to that address",
            "at this machine it answers to localhost, and to addresses such as 127.0.0.1",
        )


class StoreTrouble(PageError):
    """The machine or the store is at fault, and not the page."""

    status = 503

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"the store cannot be read: {reason(error, 'the store')}",
            "this page comes back by itself when it can; how the collector fares is on the system page",
            "/system",
            may_come=True,
        )


def is_store_trouble(error: Exception) -> bool:
    """Tell whether the engine failed for a cause that no page can do anything about."""
    return is_trouble(error) and not isinstance(error, OSError)
