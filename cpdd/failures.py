"""Where failures of cpdd's own end: in the log, once a place, and never in the user's program."""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("cpdd")

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_told: set[tuple[str, type[BaseException]]] = set()


def tell(what: str, error: BaseException) -> None:
    """Log that `what` failed, with the traceback; the same failure at the same place is said once a process."""
    if (what, type(error)) in _told:
        return
    _told.add((what, type(error)))
    log.warning("%s failed, the program goes on without it: %s", what, error, exc_info=error)


def contained(
    what: str, instead: _Result
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Return a decorator: where the function raises, the failure is told and the caller gets `instead`."""

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                tell(what, error)
                return instead

        return run

    return decorate
