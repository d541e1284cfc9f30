"""Hooks of the interpreter that do not keep alive what they call: it holds them until the program is over."""

import atexit
import os
import weakref
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def after_fork(thing: _T, call: Callable[[_T], None]) -> None:
    """Let `call(thing)` run in every child that is forked while `thing` lives."""
    if not hasattr(os, "register_at_fork"):
        return
    os.register_at_fork(after_in_child=_while_it_lives(thing, call))


def at_exit(thing: _T, call: Callable[[_T], None]) -> None:
    """Let `call(thing)` run when the program is over and `thing` still lives; daemon threads go on meanwhile."""
    atexit.register(_while_it_lives(thing, call))


def _while_it_lives(thing: _T, call: Callable[[_T], None]) -> Callable[[], None]:
    reference = weakref.ref(thing)

    def run() -> None:
        if (alive := reference()) is not None:
            call(alive)

    return run
