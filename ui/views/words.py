"""The core's short names in words: why a section's owner had the time, what a flag means. Names stay in the JSON."""

REASONS = {
    "leaf": "its own work; it waited for no call",
    "self-first": "its own work before the first call it waited for",
    "self-between": "its own work between two calls",
    "self-last": "its own work after the last call it waited for",
    "network": "between caller and callee: network, queue or connection",
    "clipped": "the callee ran on after its caller had stopped waiting; only the part inside counts",
    "self-in-flight": "its own time while a call was still running; whose time it was is uncertain",
    "queue": "in a queue, between send and receive",
    "idle": "nobody in this trace was working",
}

FLAGS = {
    "conflicting-duplicate": "The span came twice with different contents; the longer copy counts.",
    "cycle-cut": "Its parents form a cycle, which was cut here.",
    "orphan": "Its parent is not in the trace.",
    "other-root": "A second root of the same trace.",
    "negative-duration": "It ends before it starts; its duration counts as 0.",
    "end-inferred": "Its end is missing and was taken from the spans below it.",
    "skew-shifted": "Its clock disagreed with its caller's; it was moved to fit.",
    "skew-too-large": "Its clock disagrees with its caller's by more than the limit; it was not moved.",
    "client-gave-up": "Its caller stopped waiting before it ended.",
    "callee-missing": "The callee sends spans, but its span for this call is not in the trace.",
    "trace-cut": "The trace has more spans than are analyzed; the rest was left out.",
    "unweighted": "Its service samples, but its share is not said: a cap, or a tail sampler on its way. It counts 1.",
    "partly-sampled": "Services decide for themselves, and some may have left out their part: it counts in no figure.",
    "no-length": "It has no length: there is no time to divide, and no path.",
    "interval-bounded": "The interval of its time on the path is an outer bound.",
}

WHOSE = {
    "ours": "the service's own code",
    "library": "a library",
    "dependency": "whom it calls, or the way there",
    "unknown": "not known: neither code nor scope is named",
}

WHOSE_PARTS = {
    "ours": "the services' own code",
    "library": "libraries",
    "dependency": "calls (the network, and what sends no spans)",
    "unknown": "not known",
}
"""The same in a sentence about a whole trace."""

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")

FRAGMENTS = {
    "root": "another root",
    "orphan": "an orphan: its parent is not in the trace",
    "cycle": "the start of a cycle that was cut",
    "not-blocking": "a call that nobody waited for",
}


def reason_words(reason: str) -> str:
    return REASONS.get(reason, reason)


def whose_words(whose: str) -> str:
    return WHOSE[whose]


def flag_words(flag: str) -> str:
    return FLAGS.get(flag, flag)
