"""A user of cpdd, type-checked and never run: `mypy --strict tests/typing_api.py`."""

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import cpdd
from cpdd.testing import CountingIds, FakeClock, MemoryExporter

exporter = MemoryExporter()
handle = cpdd.init(service="checkout", version="1", criticality="high", processor=SimpleSpanProcessor(exporter))
assert_type(handle, cpdd.Handle)
assert_type(handle.force_flush(timeout_s=1.0), bool)
assert_type(exporter.one("GET").name, str)
cpdd.detail("cart.items", lambda: ["tea"])
assert_type(FakeClock().now_ns(), int)
assert_type(CountingIds().generate_trace_id(), int)


def returns_from_a_mandatory_block() -> int:
    with cpdd.journey("check out", criticality="critical"), cpdd.mandatory("reserve"):
        return 1


def returns_from_an_optional_block() -> list[str]:
    with cpdd.optional("tips", fallback=list[str]) as call:
        return ["tea"]
    return call.value


async def returns_from_an_async_block() -> int:
    async with cpdd.optional("tips", deadline_s=0.2):
        return 1


@cpdd.mandatory()
def reserve(sku: str, *, count: int = 1) -> bool:
    return True


@cpdd.optional("tips", fallback=list[str], fallback_kind="cache", deadline_s=0.2)
def tips(user: str) -> tuple[str, ...]:
    return ("tea",)


@cpdd.optional(fallback=None)
async def price(sku: str) -> int:
    return 490


@cpdd.journey("browse")
async def front_page(user: str) -> str:
    return "tea"


assert_type(reserve("mug", count=2), bool)
assert_type(tips("me"), tuple[str, ...] | list[str])
asynchronous_price: Callable[[str], Coroutine[Any, Any, int | None]] = price
asynchronous_page: Callable[[str], Coroutine[Any, Any, str]] = front_page

reserve(1)  # type: ignore[arg-type]
cpdd.init(service="checkout", criticality="very")  # type: ignore[arg-type]
cpdd.optional(fallback_kind="guess", fallback=list)  # type: ignore[call-overload]
cpdd.no_such_name  # type: ignore[attr-defined]  # noqa: B018
