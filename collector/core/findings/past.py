"""A journey that is slower than it used to be at this hour. One finding a journey: the deepest call that explains it.

When a level is entered and left is `core.population.regressions`' business; this puts it into words.
"""

from collections.abc import Iterator

from collector.core.findings.model import SLOWER, Disproved, Fact, Finding, Look, PastSeen, spoken


def slower_journeys(look: Look) -> Iterator[Finding | Disproved]:
    for past in look.pasts:
        yield _finding(past)


def _finding(past: PastSeen) -> Finding:
    much = "much slower" if past.is_critical else "slower"
    where = f": most of it in {spoken(past.callee)}" if past.caller else ": most of it in its own work"
    return Finding(
        kind=SLOWER,
        journey=past.journey,
        subject="duration",
        title=f"{past.journey} is {much} than it used to be at this hour{where}",
        advice=_advice(past),
        service=past.callee[0],
        caller=past.caller,
        callee=past.callee,
        facts=(
            Fact("longer by", past.delta_ns, "ns"),
            Fact("used to take", past.past_ns, "ns"),
            Fact("share of the change", past.explained, "share"),
            Fact("spreads of the past", past.spreads, "times"),
            Fact("hours compared", past.hours, "count"),
            *((Fact("other calls that changed", past.others, "count"),) if past.others else ()),
        ),
    )


def _advice(past: PastSeen) -> str:
    also = " Other calls changed as well, and it does not explain them." if past.others else ""
    return (
        f"See what changed at {past.callee[0] or 'it'} since then: a version, its load, what it calls; "
        f"compare the two hours on the journey's page.{also}"
    )
