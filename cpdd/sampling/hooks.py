"""Hooks in forked children that do not keep alive what they call: the interpreter never takes a hook back."""

import os
import weakref
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def after_fork(thing: _T, call: Callable[[_T], None]) -> None:
    """Let `call(thing)` run in every child that is forked while `thing` lives."""
    if not hasattr(os, "register_at_fork"):
        return
    reference = weakref.ref(thing)

    def run() -> None:
        if (alive := reference()) is not None:
            call(alive)

    os.register_at_fork(after_in_child=run)
