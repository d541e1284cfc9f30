"""`multiprocessing.pool`: `ThreadPool` and `Pool`, whichever of their methods takes the function."""

import inspect
from collections.abc import Callable
from multiprocessing.pool import Pool, ThreadPool
from typing import Any

from cpdd.handover.carry import Bound
from cpdd.handover.patch import Method, Patch
from cpdd.handover.processes import Carried

_CALLBACKS = ("callback", "error_callback")


def _bind(pool: Pool, function: Callable[..., Any]) -> Callable[..., Any]:
    return Bound(function) if isinstance(pool, ThreadPool) else Carried(function)


def _with_function(original: Method) -> Method:
    """However they are passed: the function is for the workers, callbacks are for a thread in this process."""
    signature = inspect.signature(original)

    def call(pool: Pool, *args: Any, **kwargs: Any) -> Any:
        said = signature.bind(pool, *args, **kwargs)
        said.arguments["func"] = _bind(pool, said.arguments["func"])
        for name in _CALLBACKS:
            if said.arguments.get(name) is not None:
                said.arguments[name] = Bound(said.arguments[name])
        return original(*said.args, **said.kwargs)

    return call


PATCHES = (
    Patch(Pool, "apply_async", _with_function),
    Patch(Pool, "imap", _with_function),
    Patch(Pool, "imap_unordered", _with_function),
    Patch(Pool, "_map_async", _with_function),
)
