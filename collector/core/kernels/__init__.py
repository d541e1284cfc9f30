"""Hot loops as plain Python source: compiled by Numba for much work, run as they stand for little.

A module in this package holds kernels and constants only. It imports other kernels by name
(`from collector.core.kernels.protobuf import read_varint`) and nothing of cpdd's outside this package, so that
`load` can make a second copy of it in which nothing is compiled: `cpdd path` of a small file then neither imports
Numba nor waits for a compiler. Kernels never call themselves (a self-recursive kernel crashes when it is loaded
from Numba's cache) and never mix uint64 with int64 (Numba makes that float64 and loses nanoseconds).
"""

import hashlib
import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

PLAIN_LIMIT = 20_000
"""Work (spans, or bytes / 32) up to which a kernel that is not compiled yet runs as plain Python."""

_IMPORTED = re.compile(rb"^(?:from|import) collector\.core\.kernels(?:\.| import )(\w+)", re.MULTILINE)

_Function = TypeVar("_Function", bound=Callable[..., object])
_lock = threading.RLock()
_plain_modules: dict[str, ModuleType] = {}
_loading_plain = False


def kernel(function: _Function) -> _Function:
    """Mark a kernel: compiled on first call, cached on disk, the GIL released while it runs."""
    return _compiled(function)


def held(function: _Function) -> _Function:
    """Mark a kernel of a millisecond: it keeps the GIL, since to get it back from a busy thread would take five."""
    return _compiled(function, nogil=False)


def step(function: _Function) -> _Function:
    """Mark a part of kernels that allocates no array: it borrows its arguments instead of counting references.

    A counted reference costs two atomic operations for each array of each call, more than most steps themselves:
    decoding takes half the time without them.
    """
    return _compiled(function, _nrt=False)


def inlined(function: _Function) -> _Function:
    """Mark a step that is to become part of each caller: a few operations, or called in one place of a hot loop."""
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: _Function, **options: bool) -> _Function:
    if _loading_plain:
        return function
    import numba  # noqa: PLC0415 - plain copies never import it

    compiler: Any = numba.njit(**{"cache": True, "nogil": True, "error_model": "numpy", **options})  # type: ignore[call-overload]
    compiled = compiler(function)
    stamp = source_stamp(Path(__file__).parent, function.__module__.removeprefix(f"{__name__}."))
    compiled._cache._cache_file._source_stamp = stamp
    compiled.get_call_template = partial(_call_of_plain_types, compiled.get_call_template)
    return cast(_Function, compiled)


def _call_of_plain_types(call: Callable[..., Any], args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
    """Resolve a call between kernels without the values of constants.

    Numba would compile the callee for each constant, and for the first value of a loop's variable (`at = 0`) besides
    the variable itself: every kernel twice, and all below it. Where a constant matters, LLVM puts it in by inlining.
    """
    from numba import types  # noqa: PLC0415 - plain copies never import it

    return call(tuple(map(types.unliteral, args)), {name: types.unliteral(kind) for name, kind in kws.items()})


@cache
def source_stamp(folder: Path, name: str) -> str:
    """Return a digest of a kernel module's source, of all that it imports from this package, and of this file.

    Numba's own looks at one file, so that a kernel would be loaded from the cache though one that became part of it
    has changed since: after an upgrade, a mixture of two versions that disagree on where things lie.
    """
    source = (folder / f"{name}.py").read_bytes()
    imported = sorted({"__init__", *(found.decode() for found in _IMPORTED.findall(source))} - {name})
    parts = [source_stamp(folder, other).encode() for other in imported if (folder / f"{other}.py").exists()]
    return hashlib.sha256(b"\0".join([source, *parts])).hexdigest()


def load(name: str, work: int) -> ModuleType:
    """Return kernel module `name` of this package, compiled, or as plain Python where `work` is little.

    A compiled copy that is loaded already serves any amount of work; one that another thread loads right now is waited
    for.
    """
    full_name = f"{__name__}.{name}"
    compiled = sys.modules.get(full_name)
    if compiled is not None and not _loading_plain and not _is_half_loaded(compiled):
        return compiled
    if work > PLAIN_LIMIT or (compiled is not None and not _loading_plain):
        with _lock:
            return importlib.import_module(full_name)
    return plain(name)


def _is_half_loaded(module: ModuleType) -> bool:
    """As the import system knows it: such a module is in `sys.modules` already, and has not all of its names yet."""
    return bool(getattr(module.__spec__, "_initializing", False))


def is_compiled(name: str) -> bool:
    """Return whether `load` has the compiled copy of a kernel module already."""
    return f"{__name__}.{name}" in sys.modules


def is_cached(function: Any) -> bool:
    """Return whether a compiled kernel is in memory or on disk, so that its next call waits for no compiler."""
    if function.signatures:
        return True
    index = function._cache._cache_file._load_index()  # empty for another version of the sources
    return bool(index)


def plain(name: str) -> ModuleType:
    """Return kernel module `name` as a second copy whose kernels are ordinary functions."""
    full_name = f"{__name__}.{name}"
    return _plain(full_name)


def _plain(full_name: str) -> ModuleType:
    global _loading_plain
    with _lock:
        if full_name not in _plain_modules:
            aside = {n: m for n, m in sys.modules.items() if n.startswith(__name__ + ".")}
            for module_name in aside:
                del sys.modules[module_name]
            sys.modules.update(_plain_modules)
            _loading_plain = True
            try:
                importlib.import_module(full_name)
            finally:
                _loading_plain = False
                for module_name in [n for n in sys.modules if n.startswith(__name__ + ".")]:
                    _plain_modules[module_name] = sys.modules.pop(module_name)
                sys.modules.update(aside)
        return _plain_modules[full_name]
