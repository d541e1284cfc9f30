"""Which line of the user's own code raised: on the exception events of spans, whoever records them."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from opentelemetry.sdk.trace import Span
from opentelemetry.util.types import AttributeValue

from cpdd.failures import tell
from cpdd.handover.patch import Method, Patch
from cpdd.source import SourceFinder


def raised_at(error: BaseException, finder: SourceFinder) -> dict[str, str | int]:
    """Return `code.*` of the innermost line of the user's code that `error` came through, {} where there is none."""
    found: dict[str, str | int] = {}
    step: TracebackType | None = error.__traceback__
    while step is not None:
        place = finder.own(step.tb_frame)
        if place is not None:
            found = {
                "code.file.path": place.path,
                "code.line.number": step.tb_lineno,
                "code.function.name": place.function,
            }
        step = step.tb_next
    return found


def raising_lines(finder: SourceFinder) -> Patch:
    """Return the patch by which `record_exception` says where; what the caller says itself stays."""

    def around(original: Method) -> Method:
        def record_exception(
            span: Span,
            exception: BaseException,
            attributes: Mapping[str, AttributeValue] | None = None,
            *args: Any,
            **kwargs: Any,
        ) -> None:
            place: Mapping[str, AttributeValue] = {}
            try:
                place = raised_at(exception, finder)
            except Exception as error:
                tell("finding the line that raised", error)
            original(span, exception, {**place, **(attributes or {})}, *args, **kwargs)

        return record_exception

    return Patch(Span, "record_exception", around)
