"""What can be wrong with a request for a page: the page and its `.json` say the same."""

from cpdd.errors import CpddError


class PageError(CpddError):
    """A page that cannot be shown; `status` is the HTTP status."""

    status = 500

    def __init__(self, problem: str, hint: str = "", address: str = "") -> None:
        self.problem = problem
        self.hint = hint
        self.address = address
        """Where the hint leads, where that is a page of ours."""
        super().__init__(f"{problem}\nhint: {hint}" if hint else problem)


class BadAddress(PageError):
    """The address asks for something that cannot be read."""

    status = 400


class NothingThere(PageError):
    """The address is fine, and there is nothing at it."""

    status = 404
