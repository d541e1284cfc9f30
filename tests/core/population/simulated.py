"""A shop whose every duration is known: traces of it, and how long they would take if an operation were slower.

    checkout  |--own--|===================|--own--|==items==|--own--|
                      | login | price     |  both started at once, joined
                      | stock ( db )      |

The program is drawn from a seed, so that the same requests can be made again with a slower operation: what really
happens is known, and what `whatif` says of the first traces can be held against it.

    python -m tests.core.population.simulated --seeds 100      the record docs/records/what-if.md
"""

import argparse
from dataclasses import dataclass

import numpy as np

from collector.core.population.whatif import WhatIf
from collector.core.population.wishes import Wish
from collector.core.spans import SpanBatch
from tests.core.drawing import EPOCH_NS, DrawnSpan, make_batch

MS = 1_000_000
OPERATIONS = ("login", "price", "stock", "db", "item", "checkout")
ITEMS = 3
TRUTH_REQUESTS = 200_000


@dataclass(frozen=True)
class Slower:
    """An operation whose own work takes longer by a fixed time, each time."""

    operation: str = ""
    by_ns: int = 0


@dataclass(frozen=True)
class Requests:
    """What many requests do, shape (n,) each, in ns: own work by operation, and how many items are asked for."""

    work: dict[str, np.ndarray]
    items: np.ndarray

    @classmethod
    def drawn(cls, seed: int, count: int) -> "Requests":
        random = np.random.default_rng(seed)

        def around(ms: float, spread: float, *shape: int) -> np.ndarray:
            return (ms * MS * random.lognormal(0, spread, (count, *shape))).astype(np.int64) + 1_000

        work = {
            "checkout": around(3, 0.4, 4),
            "login": around(6, 0.5),
            "price": around(14, 0.6),
            "stock": around(4, 0.5),
            "db": around(13, 0.7),
            "item": around(5, 0.5, ITEMS),
        }
        return cls(work, random.integers(0, ITEMS + 1, count))

    def slower(self, slower: Slower) -> "Requests":
        return Requests(
            {name: times + (slower.by_ns if name == slower.operation else 0) for name, times in self.work.items()},
            self.items,
        )

    def durations(self) -> np.ndarray:
        """How long each request takes: the program, not a reading of its spans."""
        work = self.work
        asked = np.arange(ITEMS) < self.items[:, None]
        both = np.maximum(work["login"] + work["price"], work["stock"] + work["db"])
        own = work["checkout"][:, 0] + work["checkout"][:, 1:3].sum(axis=1)
        if (extra := work["checkout"][:, 3]).any():
            own = own + extra
        return own + both + (work["item"] * asked).sum(axis=1)

    def spans(self) -> SpanBatch:
        """The requests as a tracer would have seen them, all of service `shop`."""
        return make_batch([span for number in range(len(self.items)) for span in self._trace(number)])

    def _trace(self, number: int) -> list[DrawnSpan]:
        work = {name: times[number] for name, times in self.work.items()}
        drawn: list[DrawnSpan] = []

        def add(operation: str, start: int, length: int, parent: int) -> int:
            drawn.append(
                DrawnSpan(
                    label=f"shop/{operation}#{len(drawn)}",
                    span_id=len(drawn) + 2,
                    parent_span_id=parent,
                    start_time_unix_nano=EPOCH_NS + int(start),
                    end_time_unix_nano=EPOCH_NS + int(start + length),
                    service="shop",
                    operation=operation,
                    trace=number + 1,
                )
            )
            return len(drawn) + 1

        at = work["checkout"][0]
        add("login", at, work["login"], 1)
        add("price", at + work["login"], work["price"], 1)
        stock = add("stock", at, work["stock"] + work["db"], 1)
        add("db", at + work["stock"], work["db"], stock)
        at += max(work["login"] + work["price"], work["stock"] + work["db"]) + work["checkout"][1]
        for item in range(int(self.items[number])):
            add("item", at, work["item"][item], 1)
            at += work["item"][item]
        at += work["checkout"][2] + work["checkout"][3]
        root = DrawnSpan("shop/checkout", 1, EPOCH_NS, EPOCH_NS + int(at), "shop", "checkout", trace=number + 1)
        return [root, *drawn]


@dataclass(frozen=True)
class Outcome:
    """One prediction and what really happened."""

    seed: int
    slower: Slower
    truth_ns: float
    """The expected change of the mean: of 200,000 other requests of the same program."""
    predicted_ns: float
    low_ns: float
    high_ns: float

    @property
    def holds(self) -> bool:
        return self.low_ns <= self.truth_ns <= self.high_ns

    @property
    def width(self) -> float:
        """Of the interval, relative to the effect."""
        return (self.high_ns - self.low_ns) / abs(self.truth_ns)


def try_out(seed: int, requests: int, slower: Slower, truth_requests: int = TRUTH_REQUESTS) -> Outcome:
    """Predict from `requests` traces what slowing an operation does, and look what it does."""
    others = Requests.drawn(10_000 + seed, truth_requests)
    truth = float((others.slower(slower).durations() - others.durations()).mean())
    seen = Requests.drawn(seed, requests)
    wish = Wish("", f"shop/{slower.operation}", shift_ns=slower.by_ns)
    mean = WhatIf(seen.spans()).predict([wish]).mean
    return Outcome(seed, slower, truth, mean.change_ns, *mean.interval_ns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--by-ms", type=float, default=20)
    options = parser.parse_args()
    print(f"{options.seeds} seeds, {options.requests} traces each, slower by {options.by_ms:g} ms")
    print("operation   truth ms   within   widest, median interval (share of the effect)   error p95")
    for operation in OPERATIONS[:-1]:
        slower = Slower(operation, int(options.by_ms * MS))
        found = [try_out(seed, options.requests, slower) for seed in range(options.seeds)]
        widths = sorted(each.width for each in found)
        errors = sorted(abs(each.predicted_ns - each.truth_ns) / each.truth_ns for each in found)
        print(
            f"{operation:10} {np.mean([each.truth_ns for each in found]) / MS:9.2f} {sum(e.holds for e in found):8d}"
            f"   {widths[-1]:.3f}, {widths[len(widths) // 2]:.3f} {errors[int(0.95 * (len(errors) - 1))]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
