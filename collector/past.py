"""Holds journeys against their past, hour by hour, and remembers how each call path stands. Called by `look`.

The hours just now are read in each round, those of the last 14 days seldom and a few journeys at a time: they change
by one hour in an hour, and are the dear part.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from collector.core.availability import Operation
from collector.core.findings.model import PastSeen
from collector.core.population.regressions import (
    DAYS,
    FEWEST_TRACES,
    HOURS_BEFORE,
    Alarm,
    CallPathHours,
    Level,
    State,
    hour_of,
    watch_journey,
)
from collector.store.dictionaries import PathStep
from collector.store.judgements import Judgements
from collector.store.reader import Reader
from collector.store.values import Window

PASTS_AT_ONCE = 2
"""Journeys whose 14 days are read in one round."""

_HOUR_NS = 3_600 * 1_000_000_000
_RECENT_NS = (HOURS_BEFORE + 1) * _HOUR_NS

Hours = Mapping[int, CallPathHours]


class PastWatch:
    """Which journeys are slower than they used to be. One thread."""

    def __init__(self, reader: Reader, judgements: Judgements) -> None:
        self._reader = reader
        self._judgements = judgements
        self._states: dict[str, dict[int, State]] | None = None
        self._pasts: dict[str, tuple[int, Hours]] = {}
        """By journey the hour in which its past was read, and the past."""

    def watch(self, journeys: Sequence[str], now_ns: int) -> tuple[PastSeen, ...]:
        """Judge journeys, remember how they stand, and return those that are slower than they used to be."""
        if self._states is None:
            self._states = self._judgements.levels()
        self._read_pasts(journeys, now_ns)
        seen = []
        for journey in journeys:
            recent = self._reader.call_path_hours(journey, _until(now_ns, _RECENT_NS))
            hours = joined(self._pasts[journey][1] if journey in self._pasts else {}, recent)
            hour = latest_judged(recent, hour_of(now_ns))
            if hour is None:
                continue
            before = self._states.setdefault(journey, {})
            alarm, judgements = watch_journey(hours, hour, before)
            changed = {path: one.state for path, one in judgements.items() if before.get(path, State()) != one.state}
            self._judgements.save_levels(journey, changed, now_ns)
            before |= changed
            if alarm is not None and alarm.level in (Level.WARN, Level.CRITICAL):
                seen.append(_seen(journey, alarm, self._reader.call_paths([alarm.path_id])))
        return tuple(seen)

    def _read_pasts(self, journeys: Sequence[str], now_ns: int) -> None:
        """Read the 14 days of the journeys for which that was longest ago, none twice in an hour."""
        hour = now_ns // _HOUR_NS
        self._pasts = {journey: past for journey, past in self._pasts.items() if journey in journeys}
        due = [journey for journey in journeys if self._pasts.get(journey, (0, {}))[0] < hour]
        due.sort(key=lambda journey: self._pasts.get(journey, (0, {}))[0])
        for journey in due[:PASTS_AT_ONCE]:
            window = _until(now_ns, (DAYS + 1) * 24 * _HOUR_NS)
            self._pasts[journey] = (hour, self._reader.call_path_hours(journey, window))


def joined(past: Hours, recent: Hours) -> dict[int, CallPathHours]:
    """Return call paths with the hours of both; where both have an hour, the recent one counts."""
    found = dict(past)
    for path, each in recent.items():
        fresh = {hour.start for hour in each.hours}
        old = past[path].hours if path in past else ()
        found[path] = CallPathHours(each.parent, (*(hour for hour in old if hour.start not in fresh), *each.hours))
    return found


def latest_judged(recent: Hours, now: datetime) -> datetime | None:
    """Return this hour, or the one before while this one has too few traces; None where both have."""
    enough = {hour.start for each in recent.values() for hour in each.hours if hour.effective >= FEWEST_TRACES}
    return next((hour for hour in (now, now - timedelta(hours=1)) if hour in enough), None)


def _until(now_ns: int, length_ns: int) -> Window:
    """The whole hours of so much time before now, and the one that runs."""
    return Window((now_ns - length_ns) // _HOUR_NS * _HOUR_NS, now_ns)


def _seen(journey: str, alarm: Alarm, steps: Mapping[int, PathStep]) -> PastSeen:
    step = steps[alarm.path_id]
    caller = steps.get(step.parent)
    judgement = alarm.judgement
    return PastSeen(
        journey=journey,
        is_critical=alarm.level == Level.CRITICAL,
        caller=_operation(caller) if caller else None,
        callee=_operation(step),
        delta_ns=judgement.delta_ns,
        past_ns=judgement.past_ns,
        spreads=judgement.deviation,
        hours=judgement.hours,
        explained=alarm.explained,
        others=len(alarm.others),
    )


def _operation(step: PathStep) -> Operation:
    return (step.service, step.operation, step.kind)
