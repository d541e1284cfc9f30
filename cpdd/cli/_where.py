"""`--where key=value`: only the traces that have an attribute, for verbs that read many traces."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
import numpy as np

from collector.core.having import traces_having
from collector.core.spans import SpanBatch
from cpdd.errors import CpddError

Condition = tuple[str, str]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class NoneSuch(CpddError):
    """Conditions that no trace meets."""

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.conditions = conditions
        told = " and ".join(f"{key}={value}" for key, value in conditions)
        super().__init__(
            f"no trace has {told}\n"
            "hint: --where looks at the attributes of spans and of what sent them; values are compared as text"
        )


class _ConditionType(click.ParamType[Condition]):
    """`key=value`."""

    name = "condition"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Condition:
        key, equals, wanted = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{str(value)!r} is no condition such as http.route=/pay", param, ctx)
        return key, wanted


def where_option(command: _Command) -> _Command:
    """Give a command `--where`; it receives `where`, the conditions."""
    help_text = (
        "Only traces with a span, or a resource, that has the attribute. May be repeated: all have to hold, each "
        "for any span."
    )
    return click.option("--where", multiple=True, type=_ConditionType(), metavar="KEY=VALUE", help=help_text)(command)


def those(batch: SpanBatch, where: tuple[Condition, ...]) -> SpanBatch:
    """Return the spans of the traces that meet every condition.

    Raises:
        NoneSuch: there is none.
    """
    if not where:
        return batch
    for key, value in where:
        batch = batch.take(np.flatnonzero(traces_having(batch, key, value)))
    if not len(batch):
        raise NoneSuch(where)
    return batch
