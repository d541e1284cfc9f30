"""Which line of the user's own code a span comes from. Reads frames; remembers what it learned of each function."""

import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import CodeType, FrameType

MAX_REMEMBERED = 10_000
"""Functions remembered; a program that makes functions without end starts over here rather than grow."""

_CPDD_DIR = str(Path(__file__).parent)
_LIBRARY_DIRS = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_LIBRARY_PARTS = ("/site-packages/", "/dist-packages/")
_OURS = ("cpdd", "opentelemetry")
_EVENT_LOOPS = frozenset({"asyncio.base_events", "asyncio.events", "asyncio.runners", "socketserver", "threading"})
"""Modules below which nobody called us: whoever runs the loop or the server did not ask for this span."""


class Whose(Enum):
    """To whom a function belongs, as far as a span's origin is concerned."""

    USER = auto()
    LIBRARY = auto()
    EVENT_LOOP = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """A function: `path` and qualified `function` name as in the semantic conventions of `code.*`."""

    whose: Whose
    path: str
    function: str
    code: CodeType
    """Held so that its id, the key it is remembered by, is not given to another."""


class SourceFinder:
    """Finds the nearest frame of the user's code.

    Args:
        own_modules: packages that are the user's although they are installed among the libraries.
    """

    def __init__(self, own_modules: Iterable[str] = ()) -> None:
        self._own = tuple(own_modules)
        self._places: dict[int, Place] = {}

    def find(self, frame: FrameType | None) -> tuple[Place, int] | None:
        """Return place and line of the nearest user's frame from `frame` outwards, None where there is none."""
        while frame is not None:
            place = self._places.get(id(frame.f_code)) or self._remember(frame)
            if place.whose is Whose.USER:
                return place, frame.f_lineno
            if place.whose is Whose.EVENT_LOOP:
                return None
            frame = frame.f_back
        return None

    def own(self, frame: FrameType) -> Place | None:
        """Return the place of a frame where it is the user's code."""
        place = self._places.get(id(frame.f_code)) or self._remember(frame)
        return place if place.whose is Whose.USER else None

    def _remember(self, frame: FrameType) -> Place:
        if len(self._places) >= MAX_REMEMBERED:
            self._places.clear()
        code, module = frame.f_code, _module_of(frame)
        whose = self._whose(code.co_filename, module)
        place = Place(whose, code.co_filename, f"{module}.{code.co_qualname}".lstrip("."), code)
        self._places[id(code)] = place
        return place

    def _whose(self, path: str, module: str) -> Whose:
        if module in _EVENT_LOOPS:
            return Whose.EVENT_LOOP
        if _within(module, self._own):
            return Whose.USER
        if _within(module, _OURS) or path.startswith(("<", _CPDD_DIR)):
            return Whose.LIBRARY
        normal = path.replace("\\", "/")
        if any(part in normal for part in _LIBRARY_PARTS) or path.startswith(_LIBRARY_DIRS):
            return Whose.LIBRARY
        return Whose.USER


def _module_of(frame: FrameType) -> str:
    """The module's name; its real one for a program started as `python -m shop.payment`."""
    name = str(frame.f_globals.get("__name__", ""))
    spec = frame.f_globals.get("__spec__") if name == "__main__" else None
    return str(getattr(spec, "name", None) or name)


def _within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
