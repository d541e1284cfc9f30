"""Names of the flags and reasons that the kernels write as numbers."""

from functools import lru_cache

from collector.core.kernels import bits

PARTLY_SAMPLED = 2048
"""Of traces, set by the analysis: a service that decides for itself may have left out its part."""
UNWEIGHTED = 4096
"""Of traces, set by the analysis: their service samples and says by what, but somebody took it off on the way."""
NO_LENGTH = 8192
"""Of an explanation: its target ends when it starts, so that there is no path (rule 12: never empty without a word)."""

FLAGS: dict[int, str] = {
    bits.CONFLICTING_DUPLICATE: "conflicting-duplicate",
    bits.CYCLE_CUT: "cycle-cut",
    bits.ORPHAN: "orphan",
    bits.OTHER_ROOT: "other-root",
    bits.NEGATIVE_DURATION: "negative-duration",
    bits.END_INFERRED: "end-inferred",
    bits.SKEW_SHIFTED: "skew-shifted",
    bits.SKEW_TOO_LARGE: "skew-too-large",
    bits.CLIENT_GAVE_UP: "client-gave-up",
    bits.CALLEE_MISSING: "callee-missing",
    bits.TRACE_CUT: "trace-cut",
    PARTLY_SAMPLED: "partly-sampled",
    UNWEIGHTED: "unweighted",
    NO_LENGTH: "no-length",
}
"""What happened to a span (CRITICAL_PATH rules 1 to 6, 10 and 12), bit by bit."""

REASONS = (
    "leaf",
    "self-first",
    "self-between",
    "self-last",
    "network",
    "clipped",
    "self-in-flight",
    "queue",
    "idle",
)
"""Why a section's owner had it (rule 11); `idle` only where the target is the whole trace."""

ROOT_KINDS = ("", "root", "orphan", "cycle")


@lru_cache(maxsize=4_096)
def flag_names(value: int) -> tuple[str, ...]:
    """Return the names of the bits set in `value`.

    >>> flag_names(bits.ORPHAN | bits.SKEW_SHIFTED)
    ('orphan', 'skew-shifted')
    """
    return tuple(name for bit, name in FLAGS.items() if value & bit)
