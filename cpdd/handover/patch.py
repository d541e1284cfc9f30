"""One method of one class, wrapped and unwrapped. Used by every module of `cpdd.handover`."""

from collections.abc import Callable
from functools import wraps
from typing import Any

Method = Callable[..., Any]


class Patch:
    """A method that is replaced by `around(method)` while it is applied."""

    def __init__(self, owner: type, name: str, around: Callable[[Method], Method]) -> None:
        self._owner = owner
        self._name = name
        self._around = around
        self._original: Method | None = None
        self._ours: Method | None = None

    @property
    def is_applied(self) -> bool:
        return self._ours is not None

    def apply(self) -> None:
        """Replace the method; nothing where it is replaced already."""
        if self._ours is None:
            original: Method = self._owner.__dict__[self._name]
            ours = wraps(original)(self._around(original))
            setattr(self._owner, self._name, ours)
            self._original, self._ours = original, ours

    def undo(self) -> None:
        """Put the method back, unless somebody else has wrapped ours: then it has to stay."""
        if self._owner.__dict__.get(self._name) is self._ours:
            setattr(self._owner, self._name, self._original)
            self._original = self._ours = None
