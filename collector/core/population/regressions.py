"""Is a journey slower than it used to be, and which call explains it? Pure; the caller keeps the levels between calls.

Each hour of a call path is held against its own past: the same hour of the day over 14 days, weekdays and weekends
apart; on the first day the hours before. The past gives a middle (median) and a spread (of hours among each other and
of traces within an hour): a change counts when it is many spreads and a good part of the duration. A level is entered
at one bound and left at a lower one, and only what lasts is entered at all, so that it neither flaps nor sleeps.

    deviation     6 |        ####          critical from 6, until it falls below 4
                  4 |      ##    ##
                  3 |....##........##....  warn from 4, until it falls below 2.5
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

DAYS = 14
FEWEST_HOURS = 3
"""Hours of the past with traces from which the same hour of other days counts; with fewer the hours just before do."""
FEWEST_TRACES = 20
"""Effective traces in an hour from which it is judged."""
HOURS_BEFORE = 3
RELEVANT_FROM = 0.05
"""A change of less than this share of the journey's mean duration raises no alarm."""
ENTER = {"warn": 4.0, "critical": 6.0}
LEAVE = {"warn": 2.5, "critical": 4.0}
PATIENCE = 2
"""Judgements beyond a bound until a level is entered, with none near the past between; one twice beyond is enough."""
EXPLAINS_FROM = 0.6
"""A callee explains its caller's change when it has so much of it."""


class Level(StrEnum):
    """What is said of a call path."""

    FINE = "fine"
    WARN = "warn"
    CRITICAL = "critical"
    BETTER = "better"


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one call path: weighted sums over the journey's traces."""

    start: datetime
    """UTC."""
    effective: float
    """(sum w)^2 / sum w^2 of the journey's traces."""
    mean_ns: float
    """Of the time on the path in the call path and below it, per trace of the journey."""
    variance: float

    @property
    def error(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.effective if self.effective else np.inf


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of a call path between two judgements."""

    level: Level = Level.FINE
    beyond: int = 0
    """Judgements that would enter another level, since the last one near the past."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A call path in one hour, against its past."""

    state: State
    delta_ns: float
    """Now minus the middle of the past."""
    deviation: float
    """`delta_ns` in spreads; 0 where there is too little to judge."""
    past_ns: float
    hours: int
    """Of the past that it rests on."""


@dataclass(frozen=True, slots=True)
class CallPathHours:
    """The hours of one call path of a journey."""

    parent: int
    """Id of the caller's call path, 0 at the top."""
    hours: tuple[Hour, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A journey that is not what it used to be, and the deepest call that explains it."""

    level: Level
    path_id: int
    """The call path that explains it; its callers alarm because of it and are not named."""
    judgement: Judgement
    explained: float
    """Its share of the journey's change."""
    others: tuple[int, ...]
    """Call paths that alarm too and are not explained by it."""


def past_of(hours: Sequence[Hour], now: datetime) -> list[Hour]:
    """Return the hours that `now` is held against: like hours of the last 14 days, else the hours just before it."""
    is_weekend = now.weekday() >= 5
    alike = [
        hour
        for hour in hours
        if now - timedelta(days=DAYS) <= hour.start < now
        and hour.start.hour == now.hour
        and (hour.start.weekday() >= 5) == is_weekend
        and hour.effective >= FEWEST_TRACES
    ]
    if len(alike) >= FEWEST_HOURS:
        return alike
    return [
        hour
        for hour in hours
        if now - timedelta(hours=HOURS_BEFORE) <= hour.start < now and hour.effective >= FEWEST_TRACES
    ]


def judge(hour: Hour, past: Sequence[Hour], state: State, journey_ns: float) -> Judgement:
    """Hold an hour against its past.

    Args:
        journey_ns: the journey's mean duration; what is small against it raises no alarm.
    """
    if hour.effective < FEWEST_TRACES or not past:
        return Judgement(replace(state, beyond=0), 0.0, 0.0, 0.0, len(past))
    means = np.array([each.mean_ns for each in past])
    middle = float(np.median(means))
    # 1.4826 makes the median of absolute deviations the standard deviation of a normal distribution.
    between = 1.4826 * float(np.median(np.abs(means - middle))) if len(past) >= FEWEST_HOURS else 0.1 * middle
    within = float(np.median([each.error for each in past]))
    spread = float(np.sqrt(between**2 * (1 + 1 / len(past)) + within / len(past) + max(hour.error, within)))
    delta = hour.mean_ns - middle
    deviation = delta / spread if spread else 0.0
    relevant = abs(delta) >= RELEVANT_FROM * journey_ns
    return Judgement(_next(state, deviation if relevant else 0.0), delta, deviation, middle, len(past))


def _next(state: State, deviation: float) -> State:
    """Enter a level at its upper bound, leave it at its lower one."""
    held = _held(state.level, deviation)
    wanted = _wanted(deviation)
    if _rank(wanted) > _rank(held) or (wanted == Level.BETTER and held != Level.BETTER):
        beyond = state.beyond + 1
        bound = ENTER["critical" if wanted == Level.CRITICAL else "warn"]
        if beyond >= PATIENCE or abs(deviation) >= 2 * bound:
            return State(wanted, 0)
        return State(held, beyond)
    is_near = abs(deviation) < LEAVE["warn"] or held != state.level
    return State(held, 0 if is_near else state.beyond)


def _wanted(deviation: float) -> Level:
    if deviation >= ENTER["critical"]:
        return Level.CRITICAL
    if deviation >= ENTER["warn"]:
        return Level.WARN
    return Level.BETTER if deviation <= -ENTER["warn"] else Level.FINE


def _held(level: Level, deviation: float) -> Level:
    """What is left of a level: critical goes by way of warn."""
    if level == Level.CRITICAL and deviation >= LEAVE["critical"]:
        return Level.CRITICAL
    if level in (Level.CRITICAL, Level.WARN) and deviation >= LEAVE["warn"]:
        return Level.WARN
    if level == Level.BETTER and deviation <= -LEAVE["warn"]:
        return Level.BETTER
    return Level.FINE


def _rank(level: Level) -> int:
    return (Level.BETTER, Level.FINE, Level.WARN, Level.CRITICAL).index(level)


def explain_alarm(judgements: Mapping[int, Judgement], parents: Mapping[int, int]) -> Alarm | None:
    """Name the deepest call path that explains the alarm of a journey, None where none alarms.

    Args:
        judgements: by call path, of inclusive time: what is below a call path counts in it.
        parents: the caller's call path of each, 0 at the top.
    """
    alarming = {path: each for path, each in judgements.items() if each.state.level != Level.FINE}
    if not alarming:
        return None
    children: dict[int, list[int]] = {}
    for path in judgements:
        children.setdefault(parents.get(path, 0), []).append(path)
    top = max(alarming, key=lambda path: (abs(alarming[path].delta_ns), -_depth(path, parents)))
    at = top
    while True:
        delta = judgements[at].delta_ns
        below = [p for p in children.get(at, []) if judgements[p].delta_ns / delta >= EXPLAINS_FROM] if delta else []
        if not below:
            break
        at = max(below, key=lambda path: abs(judgements[path].delta_ns))
    above = set(_callers(at, parents))
    others = [
        path
        for path in sorted(alarming, key=lambda path: -abs(alarming[path].delta_ns))
        if path not in above and path != at and at not in _callers(path, parents)
    ]
    level = max((alarming[path].state.level for path in (*above, at) if path in alarming), key=_rank)
    whole = judgements[top].delta_ns
    return Alarm(level, at, judgements[at], judgements[at].delta_ns / whole if whole else 0.0, tuple(others))


def _callers(path: int, parents: Mapping[int, int]) -> list[int]:
    found = []
    while (path := parents.get(path, 0)) and path not in found:
        found.append(path)
    return found


def _depth(path: int, parents: Mapping[int, int]) -> int:
    return len(_callers(path, parents))


def watch_journey(
    paths: Mapping[int, CallPathHours], now: datetime, states: Mapping[int, State]
) -> tuple[Alarm | None, dict[int, Judgement]]:
    """Judge the hour that begins at `now` for every call path of a journey.

    Args:
        paths: by id, with the hour at `now` among their hours; times are inclusive.
        states: what the last call returned, as the judgements' states.
    Returns:
        The alarm, and the judgements; their states go into the next call.
    """
    hours = {path: {hour.start: hour for hour in each.hours} for path, each in paths.items()}
    current = {path: found[now] for path, found in hours.items() if now in found}
    journey_ns = max((hour.mean_ns for hour in current.values()), default=0.0)
    judgements = {
        path: judge(hour, past_of(paths[path].hours, now), states.get(path, State()), journey_ns)
        for path, hour in current.items()
    }
    parents = {path: paths[path].parent if paths[path].parent in paths else 0 for path in judgements}
    return explain_alarm(judgements, parents), judgements


def hour_of(unix_nano: int) -> datetime:
    """Return the hour in which a moment lies, UTC."""
    return datetime.fromtimestamp(unix_nano // 1_000_000_000 // 3_600 * 3_600, UTC)
