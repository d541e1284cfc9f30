"""Numbers that kernels and the values around them share: flags of spans, reasons of sections, kinds of root."""

# Flags: one bit each, on nodes; a trace carries the union.
CONFLICTING_DUPLICATE = 1
CYCLE_CUT = 2
ORPHAN = 4
OTHER_ROOT = 8
NEGATIVE_DURATION = 16
END_INFERRED = 32
SKEW_SHIFTED = 64
SKEW_TOO_LARGE = 128
CLIENT_GAVE_UP = 256
CALLEE_MISSING = 512
TRACE_CUT = 1024

# Reasons, positions in `collector.core.flags.REASONS`.
LEAF = 0
SELF_FIRST = 1
SELF_BETWEEN = 2
SELF_LAST = 3
NETWORK = 4
CLIPPED = 5
SELF_IN_FLIGHT = 6
QUEUE = 7
IDLE = 8

# Why a node stands at the top of its tree; also the order in which rule 3 chooses the target.
HAS_PARENT = 0
ROOT = 1
ORPHAN_ROOT = 2
CYCLE_ROOT = 3

# How a parent relates to its child (rule 6).
DETACHED = 0
BLOCKING = 1
LEFT_OUT = 2  # does not block, only because it outlived its parent

# Kinds of span, as in OTLP.
SERVER = 2
CLIENT = 3
PRODUCER = 4
CONSUMER = 5

NOT_AWAITED = 6  # position in `collector.core.spans.OUTCOMES`
MAX_SPANS = 1_000_000  # rule 10
