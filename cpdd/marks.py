"""Marks: what a program says of its own calls. Each opens an INTERNAL span that carries requirement and outcome.

Fallbacks and deadlines are the program's behaviour, so they are the same whether or not `cpdd.init` was called;
spans are what a failure of ours may cost, never the call.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Generic, Never, ParamSpec, TypeVar, overload

from cpdd.calls import Call, Declaration, current_call
from cpdd.deadlines import pool
from cpdd.names import FallbackKind

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Value = TypeVar("_Value")

_NO_FALLBACK: Final[Any] = object()


class Mark(Generic[_Value]):
    """A declaration at work: a context manager, an async one, and a decorator of plain and coroutine functions.

    One mark may serve many threads and tasks at a time.
    """

    def __init__(self, declaration: Declaration[_Value], name: str | None) -> None:
        self._declaration = declaration
        self._name = name
        self._open: list[Call[_Value]] = []

    @overload
    def __call__(
        self, function: Callable[_Parameters, Coroutine[Any, Any, _Result]]
    ) -> Callable[_Parameters, Coroutine[Any, Any, _Result | _Value]]: ...

    @overload
    def __call__(self, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result | _Value]: ...

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        qualified = str(getattr(function, "__qualname__", type(function).__qualname__))
        name = self._name or qualified.rpartition("<locals>.")[2]
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"cpdd.{self._declaration.requirement}: {name!r} is a generator, which works after its call returned\n"
                "hint: mark the function that loops over it"
            )
        if inspect.iscoroutinefunction(function):
            return self._around_coroutine(function, name)
        return self._around_function(function, name)

    def _around_function(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        deadline_s = self._declaration.deadline_s

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with Call(name, self._declaration) as call:
                if deadline_s is None:
                    return function(*args, **kwargs)
                return pool.run(functools.partial(function, *args, **kwargs), name, deadline_s)
            return call.value

        return run

    def _around_coroutine(self, function: Callable[..., Coroutine[Any, Any, Any]], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            async with Call(name, self._declaration) as call:
                return await function(*args, **kwargs)
            return call.value

        return run

    def __enter__(self) -> Call[_Value]:
        if self._declaration.deadline_s is not None:
            raise TypeError(
                f"cpdd.{self._declaration.requirement}: a `with` block cannot be left at its deadline "
                f"({self._declaration.deadline_s} s)\nhint: decorate a function, or use `async with`"
            )
        call = Call(self._name or self._name_in(sys._getframe(1).f_code.co_name), self._declaration)
        self._open.append(call)
        return call.__enter__()

    @overload
    def __exit__(  # type: ignore[overload-overlap]  # without a fallback nothing is swallowed
        self: "Mark[Never]", kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...

    @overload
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool | None:
        return self._take().__exit__(kind, error, where)

    async def __aenter__(self) -> Call[_Value]:
        call = Call(self._name or self._name_in(sys._getframe(1).f_code.co_name), self._declaration)
        self._open.append(call)
        return await call.__aenter__()

    @overload
    async def __aexit__(  # type: ignore[overload-overlap]  # without a fallback nothing is swallowed
        self: "Mark[Never]", kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...

    @overload
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool | None:
        return await self._take().__aexit__(kind, error, where)

    def _take(self) -> Call[_Value]:
        """The call to leave: the one this context is in, which of several threads and tasks is the right one.

        A block that a framework leaves in another context than it entered (a generator dependency) takes the newest.
        """
        current = current_call()
        call = next((call for call in self._open if call is current), self._open[-1])
        self._open.remove(call)
        return call

    def _name_in(self, function: str) -> str:
        return f"{self._declaration.requirement} in {function}"


def mandatory(
    name: str | None = None,
    *,
    group: str | None = None,
    quorum: int | None = None,
    attempt: int | None = None,
) -> Mark[Never]:
    """Declare the calls made inside mandatory: the operation cannot do without them.

        with cpdd.mandatory():
            reserve(cart)

    Changes nothing of what the code does. The INTERNAL span it opens carries `cpdd.call.requirement` and
    `cpdd.call.outcome`; the next outgoing spans inside carry the requirement too, and callees are told.

    Args:
        name: of the span; by default the decorated function, or `mandatory in` the function around the block.
        group: calls of one operation that share it stand in for each other: replicas of which some must answer.
        quorum: how many of the group must succeed; 1 where it is not given.
        attempt: which try of the call this is, from 1, for who reads the trace.
    """
    return Mark(Declaration("mandatory", group=group, quorum=quorum, attempt=attempt), name)


@overload
def optional(
    name: str | None = None,
    *,
    deadline_s: float | None = None,
    group: str | None = None,
    quorum: int | None = None,
    attempt: int | None = None,
) -> Mark[Never]: ...


@overload
def optional(
    name: str | None = None,
    *,
    fallback: Callable[[], _Value],
    fallback_kind: FallbackKind = "default",
    deadline_s: float | None = None,
    group: str | None = None,
    quorum: int | None = None,
    attempt: int | None = None,
) -> Mark[_Value]: ...


@overload
def optional(
    name: str | None = None,
    *,
    fallback: _Value,
    fallback_kind: FallbackKind = "default",
    deadline_s: float | None = None,
    group: str | None = None,
    quorum: int | None = None,
    attempt: int | None = None,
) -> Mark[_Value]: ...


def optional(
    name: str | None = None,
    *,
    fallback: Any = _NO_FALLBACK,
    fallback_kind: FallbackKind | None = None,
    deadline_s: float | None = None,
    group: str | None = None,
    quorum: int | None = None,
    attempt: int | None = None,
) -> Mark[Any]:
    """Declare the calls made inside optional: the operation can do without them.

        tips = cpdd.optional("recommendations", fallback=list, deadline_s=0.2)(recommend)(cart)

    Args:
        name: of the span; by default the decorated function, or `optional in` the function around the block.
        fallback: what is returned in place of an Exception or a missed deadline: a function without parameters,
            or a plain value. Without one an exception goes on to the caller as if nothing were declared. In a
            `with` block the exception ends at the block, and the fallback's value is `call.value`.
        fallback_kind: `default` (an empty answer), `cache` (an older one) or `degraded` (a simpler one).
        deadline_s: a plain function runs in a pool of threads and is abandoned when time is up; a coroutine is
            cancelled. Raises DeadlineExceeded, a TimeoutError, where there is no fallback. Not for `with` blocks.
        group, quorum, attempt: as of `mandatory`.
    """
    if fallback is _NO_FALLBACK:
        return Mark(Declaration("optional", None, "none", deadline_s, group, quorum, attempt), name)
    answer = fallback if callable(fallback) else lambda: fallback
    kind = fallback_kind or "default"
    return Mark(Declaration("optional", answer, kind, deadline_s, group, quorum, attempt), name)
