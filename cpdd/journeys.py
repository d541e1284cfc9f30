"""Journeys: what the user is doing, named once at the edge, known to every span below it in every service."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from contextvars import Token
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry import baggage, context, trace
from opentelemetry.context import Context

from cpdd.failures import contained
from cpdd.names import CRITICALITY, JOURNEY, Criticality

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Journey:
    """Names the journey of what runs inside it: a `with` block, or the functions it decorates."""

    def __init__(self, name: str, criticality: Criticality | None) -> None:
        self._name = name
        self._criticality = criticality
        self._tokens: list[Token[Context]] = []

    def __enter__(self) -> None:
        self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._leave()

    async def __aenter__(self) -> None:
        self._enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._leave()

    def __call__(self, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        if inspect.iscoroutinefunction(function):
            return cast("Callable[_Parameters, _Result]", self._around_coroutine(function))

        @functools.wraps(function)
        def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            with Journey(self._name, self._criticality):
                return function(*args, **kwargs)

        return run

    def _around_coroutine(
        self, function: Callable[_Parameters, Coroutine[Any, Any, _Result]]
    ) -> Callable[_Parameters, Coroutine[Any, Any, _Result]]:
        @functools.wraps(function)
        async def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            with Journey(self._name, self._criticality):
                return await function(*args, **kwargs)

        return run

    @contained("naming the journey", instead=None)
    def _enter(self) -> None:
        said = {JOURNEY: self._name, CRITICALITY: self._criticality}
        inside = context.get_current()
        span = trace.get_current_span()
        for key, value in said.items():
            if value is None or baggage.get_baggage(key) is not None:
                continue
            inside = baggage.set_baggage(key, value, inside)
            span.set_attribute(key, value)
        self._tokens.append(context.attach(inside))

    @contained("leaving the journey", instead=None)
    def _leave(self) -> None:
        if self._tokens:
            context.detach(self._tokens.pop())


def journey(name: str, criticality: Criticality | None = None) -> Journey:
    """Name the user's journey, such as "check out", for everything called inside.

        with cpdd.journey("check out"):
            ...

    A context manager (also `async with`) and a decorator of plain and coroutine functions. The name becomes the
    attribute `cpdd.journey` of the current span and of every span below, and travels to other services in baggage.
    The first to name a journey names it: a name that came from upstream stays.

    Args:
        name: few and short; not a URL, an id or anything else that users can make up.
        criticality: of the request, for those who shed load: `cpdd.criticality` in baggage and on spans.
    """
    return Journey(name, criticality)
