"""HAProxy's configuration: trace context onwards, and a line of JSON per request. Values to text; run by `lb-config`.

Written for 2.6. HAProxy sees how often a header comes, so that two traceparent headers are none.
"""

from fractions import Fraction

from cpdd.cli._lb_threshold import at_least, threshold

_IDS = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"

_NUMBERS = {
    "started_ms": "%[var(txn.cpdd_ms)]",
    "head_ms": "%TR",
    "queue_ms": "%Tw",
    "connect_ms": "%Tc",
    "first_byte_ms": "%Tr",
    "took_ms": "%Ta",
    "status": "%ST",
    "bytes": "%B",
}
"""-1 where it never came to that."""
_TEXTS = {
    "retries": "%rc",
    "balancer": "haproxy",
    "id": "%[var(txn.cpdd_id)]",
    "incoming": "%[var(txn.cpdd_incoming)]",
    "started": "%[var(txn.cpdd_started)]",
    "method": "%HM",
    "host": "%[var(txn.cpdd_host),json(utf8s)]",
    "target": "%[var(txn.cpdd_target),json(utf8s)]",
    "protocol": "%HV",
    "client": "%ci",
    "frontend": "%f",
    "backend": "%b",
    "server": "%s",
    "address": "%si",
    "port": "%sp",
    "end_state": "%tsc",
    "timing": "%[var(txn.cpdd_timing),json(utf8s)]",
}
"""What `cpdd import-logs --format haproxy-json` reads."""


def haproxy_config(decide: Fraction | None) -> str:
    """Return the lines for a frontend, `decide` as in nginx's configuration."""
    return "\n".join([*_HEAD, *_INCOMING, *(_adopt() if decide is None else _decide(decide)), *_OUTGOING, _log(), ""])


_HEAD = (
    "# Trace context through HAProxy, by `cpdd lb-config haproxy`: lines for a frontend (mode http) that logs,",
    "# for instance by `log 127.0.0.1:514 format raw local0`, or `log stdout format raw local0` in the foreground.",
)

_INCOMING = (
    "    http-request set-var(txn.cpdd_ms) date(0,ms)",
    "    http-request set-var(txn.cpdd_id) 'uuid(),regsub(-,,g)'",
    "    http-request set-var(txn.cpdd_host) req.hdr(host)",
    "    http-request set-var(txn.cpdd_target) pathq",
    "    # the ids and flags of a valid traceparent; of a version to come, as much as is known; of two, nothing",
    "    acl cpdd_one req.fhdr_cnt(traceparent) eq 1",
    f"    acl cpdd_valid req.fhdr(traceparent) -m reg '^00-{_IDS}$'",
    f"    acl cpdd_valid req.fhdr(traceparent) -m reg '^(?!00|ff)[0-9a-f]{{2}}-{_IDS}(-.*)?$'",
    "    http-request set-var(txn.cpdd_incoming) 'req.fhdr(traceparent),bytes(3,52)' if cpdd_one cpdd_valid",
    "    acl cpdd_came var(txn.cpdd_incoming) -m found",
    "    # two spans of ours in each request: SERVER is the first half of the request's id, CLIENT the second",
    "    http-request set-header traceparent 00-%[var(txn.cpdd_incoming),field(1,-)]-%[var(txn.cpdd_id),bytes(16,16)]"
    "-%[var(txn.cpdd_incoming),field(3,-)] if cpdd_came",
    "    http-request del-header tracestate if !cpdd_came",
)


def _adopt() -> tuple[str, ...]:
    return (
        "    # adopt: starts no trace; the application does, and names it in Server-Timing",
        "    http-request del-header traceparent if !cpdd_came",
    )


def _decide(ratio: Fraction) -> tuple[str, ...]:
    limit = threshold(ratio)
    kept = f" {{ var(txn.cpdd_id) -m reg '^.{{18}}({at_least(limit)})' }}" if ratio != 1 else ""
    lines = [
        f"    # decide: starts a trace where none came in, and keeps {float(ratio):.4%} of those, ot=th:{limit}.",
        "    # One that is not kept is not kept by any service behind that asks its parent.",
        "    http-request set-var(txn.cpdd_started) str(02) if !cpdd_came",
    ]
    if ratio:
        lines += [
            f"    http-request set-var(txn.cpdd_started) 'str(03;th:{limit})' if !cpdd_came{kept}",
            f"    http-request set-header tracestate ot=th:{limit} if !cpdd_came{kept}",
        ]
    lines.append(
        "    http-request set-header traceparent 00-%[var(txn.cpdd_id)]-%[var(txn.cpdd_id),bytes(16,16)]"
        "-%[var(txn.cpdd_started),bytes(0,2)] if !cpdd_came"
    )
    return tuple(lines)


_OUTGOING = (
    "    http-response set-var(txn.cpdd_answered) int(1) if { srv_id gt 0 }",
    "    http-response set-var(txn.cpdd_timing) res.fhdr(server-timing,1)",
    "    # a response from HAProxy's cache would name the trace of the request that it was made for",
    "    http-after-response del-header server-timing if !{ var(txn.cpdd_answered) -m found }",
)


def _log() -> str:
    texts = ",".join(f'"{name}":"{value}"' for name, value in _TEXTS.items())
    numbers = ",".join(f'"{name}":{value}' for name, value in _NUMBERS.items())
    return f"    log-format '{{{texts},{numbers}}}'"
