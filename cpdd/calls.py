"""One declared call: its span, its place in the context, and what becomes of it. Used by marks; knows no decorator."""

import asyncio
import concurrent.futures
import inspect
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode

from cpdd.deadlines import DeadlineExceeded
from cpdd.failures import contained
from cpdd.names import (
    ATTEMPT,
    DEADLINE_MS,
    FALLBACK,
    GROUP,
    OUTCOME,
    QUORUM,
    REQUIREMENT,
    FallbackKind,
    Outcome,
    Requirement,
)
from cpdd.requirement import declare

_Value = TypeVar("_Value")
_CALL = context.create_key("cpdd-call")
_tracer = trace.get_tracer("cpdd")


@dataclass(frozen=True, slots=True)
class Declaration(Generic[_Value]):
    """What a mark says of a call before it is made."""

    requirement: Requirement
    fallback: Callable[[], _Value] | None = None
    fallback_kind: FallbackKind | None = None
    deadline_s: float | None = None
    group: str | None = None
    """The calls of one caller that share it stand in for each other."""
    quorum: int | None = None
    """How many of the group have to succeed."""
    attempt: int | None = None
    """Which try of one call this is, from 1."""

    def __post_init__(self) -> None:
        if self.group == "":
            raise ValueError(f"cpdd.{self.requirement}: group is empty\nhint: name what its calls are for each other")
        if self.quorum is not None and self.group is None:
            raise ValueError(f"cpdd.{self.requirement}: quorum={self.quorum} of which group?\nhint: add group=")
        for name, number in (("quorum", self.quorum), ("attempt", self.attempt)):
            if number is not None and number < 1:
                raise ValueError(f"cpdd.{self.requirement}: {name}={number} is less than 1")

    def attributes(self) -> dict[str, str | int]:
        """Return the attributes that the call's span starts with."""
        said: dict[str, str | int] = {REQUIREMENT: self.requirement}
        if self.fallback_kind is not None:
            said[FALLBACK] = self.fallback_kind
        if self.deadline_s is not None:
            said[DEADLINE_MS] = round(self.deadline_s * 1000)
        if self.group is not None:
            said[GROUP] = self.group
            said[QUORUM] = self.quorum or 1
        if self.attempt is not None:
            said[ATTEMPT] = self.attempt
        return said


class Call(Generic[_Value]):
    """A declared call while it runs: what `with cpdd.optional(...) as call` gives.

    As a context manager it goes from the opening of the span to its outcome. Where the declaration has a fallback,
    an Exception ends here and `value` is what the fallback gave.
    """

    value: _Value

    def __init__(self, name: str, declaration: Declaration[_Value]) -> None:
        self._name = name
        self._declaration = declaration
        self._outcome: Outcome = "ok"
        self._span: Span = INVALID_SPAN
        self._token: Token[Context] | None = None
        self._timeout: asyncio.Timeout | None = None

    @contained("recording what became of a call", instead=None)
    def record(self, outcome: Outcome, fallback: FallbackKind | None = None) -> None:
        """Say what became of the call where the block deals with it itself: `call.record("fallback_used", "cache")`.

        An exception that leaves the block afterwards says it better, and wins.
        """
        self._outcome = outcome
        if fallback is not None:
            self._span.set_attribute(FALLBACK, fallback)

    def __enter__(self) -> "Call[_Value]":
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool:
        if error is None or not self._falls_back(error):
            self._end(error)
            return False
        try:
            self.value = self._fall_back()
        except BaseException as again:
            self._end(again)
            raise
        self._end(error, "fallback_used")
        return True

    async def __aenter__(self) -> "Call[_Value]":
        if self._declaration.deadline_s is not None:
            self._timeout = asyncio.timeout(self._declaration.deadline_s)
            await self._timeout.__aenter__()  # raises outside of a task, when nothing is open yet
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool:
        final = await self._after_timeout(kind, error, where)
        if final is None or not self._falls_back(final):
            self._end(final)
            if final is not None and final is not error:
                raise final
            return False
        try:
            value = self._fall_back()
            self.value = await value if inspect.isawaitable(value) else value
        except BaseException as again:
            self._end(again)
            raise
        self._end(final, "fallback_used")
        return True

    @contained("opening the span of a call", instead=None)
    def _begin(self) -> None:
        self._span = _tracer.start_span(self._name, attributes=self._declaration.attributes())
        inside = trace.set_span_in_context(self._span, declare(self._declaration.requirement))
        self._token = context.attach(context.set_value(_CALL, self, inside))

    async def _after_timeout(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> BaseException | None:
        """What the block ended with: `error`, or in place of the cancellation that our deadline caused, that."""
        if self._timeout is None:
            return error
        try:
            await self._timeout.__aexit__(kind, error, where)
        except TimeoutError as late:
            exceeded = DeadlineExceeded(self._name, self._declaration.deadline_s or 0.0)
            exceeded.__cause__ = late
            return exceeded
        return error

    def _falls_back(self, error: BaseException) -> bool:
        return self._declaration.fallback is not None and isinstance(error, Exception)

    def _fall_back(self) -> _Value:
        assert self._declaration.fallback is not None
        return self._declaration.fallback()

    @contained("closing the span of a call", instead=None)
    def _end(self, error: BaseException | None, outcome: Outcome | None = None) -> None:
        if self._token is not None:
            context.detach(self._token)
        try:
            self._describe(outcome or (self._outcome if error is None else outcome_of(error)), error)
        finally:
            self._span.end()

    def _describe(self, outcome: Outcome, error: BaseException | None) -> None:
        self._span.set_attribute(OUTCOME, outcome)
        if error is None:
            return
        self._span.set_attribute("error.type", type(error).__qualname__)
        self._span.record_exception(error)
        if outcome != "fallback_used":
            self._span.set_status(Status(StatusCode.ERROR, str(error)))


def current_call() -> Call[object] | None:
    """Return the innermost call that is open in this context, None outside of any."""
    call = context.get_value(_CALL)
    return call if isinstance(call, Call) else None


def outcome_of(error: BaseException) -> Outcome:
    """Return what an error that leaves a call makes of it; the end of the task or program is a cancellation."""
    if isinstance(error, TimeoutError):
        return "timed_out"
    if isinstance(error, concurrent.futures.CancelledError) or not isinstance(error, Exception):
        return "cancelled"
    return "failed"
