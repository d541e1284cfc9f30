"""nginx's configuration: trace context onwards, and a line of JSON per request. Values to text; run by `lb-config`.

Written for 1.22, where a variable holds the first of several headers of one name only.
"""

from fractions import Fraction

from cpdd.cli._lb_threshold import at_least, threshold

_IDS = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"

_FIELDS = {
    "balancer": "nginx",
    "id": "$request_id",
    "end": "$msec",
    "took": "$request_time",
    "incoming": "$cpdd_incoming",
    "started": "$cpdd_started",
    "method": "$request_method",
    "scheme": "$scheme",
    "host": "$host",
    "target": "$request_uri",
    "protocol": "$server_protocol",
    "client": "$remote_addr",
    "status": "$status",
    "bytes": "$body_bytes_sent",
    "upstreams": "$upstream_addr",
    "statuses": "$upstream_status",
    "connects": "$upstream_connect_time",
    "headers": "$upstream_header_time",
    "responses": "$upstream_response_time",
    "cache": "$upstream_cache_status",
    "timing": "$upstream_http_server_timing",
}
"""What `cpdd import-logs --format nginx-json` reads."""


def nginx_config(decide: Fraction | None, log: str) -> str:
    """Return the file to include in `http { … }`.

    Args:
        decide: the share of requests without a trace that start one, by an `nginx` that decides; None to adopt.
        log: the access log's file.
    """
    mode = _adopt() if decide is None else _decide(decide)
    return "\n".join([_HEAD, *_INCOMING, *mode, *_OUTGOING, *_log(log), ""])


_HEAD = """\
# Trace context through nginx, by `cpdd lb-config nginx`. Include it in http { … }, for instance as
# /etc/nginx/conf.d/cpdd.conf. A server or location with a proxy_set_header of its own inherits none of these:
# repeat there the line `proxy_set_header traceparent $cpdd_traceparent;`. Likewise for add_header."""

_INCOMING = (
    "",
    "# the ids and flags of a valid traceparent; of a version to come, as much as is known",
    "map $http_traceparent $cpdd_incoming {",
    '    default "";',
    f'    "~^[ \\t]*00-(?<cpdd_now>{_IDS})[ \\t]*$" $cpdd_now;',
    f'    "~^[ \\t]*(?!00|ff)[0-9a-f]{{2}}-(?<cpdd_later>{_IDS})(?:-.*)?[ \\t]*$" $cpdd_later;',
    "}",
    "",
    "# two spans of ours in each request: SERVER is the first half of the request's id, CLIENT the second",
    'map $request_id $cpdd_client_span { default ""; "~(?<cpdd_half>.{16})$" $cpdd_half; }',
    'map $cpdd_incoming $cpdd_trace { default ""; "~^(?<cpdd_first>.{32})" $cpdd_first; }',
    'map $cpdd_incoming $cpdd_flags { default ""; "~(?<cpdd_last>..)$" $cpdd_last; }',
    "",
)


def _adopt() -> tuple[str, ...]:
    return (
        "# adopt: starts no trace; the application does, and names it in Server-Timing",
        'map $cpdd_incoming $cpdd_started { default ""; }',
        "map $cpdd_incoming $cpdd_traceparent {",
        '    default "00-$cpdd_trace-$cpdd_client_span-$cpdd_flags";',
        '    "" "";',
        "}",
    )


def _decide(ratio: Fraction) -> tuple[str, ...]:
    limit = threshold(ratio)
    said = f"03;th:{limit}"
    return (
        f"# decide: starts a trace where none came in, and keeps {float(ratio):.4%} of those, ot=th:{limit}.",
        "# One that is not kept is not kept by any service behind that asks its parent.",
        "map $request_id $cpdd_own {",
        f'    default "{said if ratio == 1 else "02"}";',
        *(() if ratio == 1 else (f'    "~^.{{18}}(?:{at_least(limit)})" "{said}";',) if ratio else ()),
        "}",
        'map $cpdd_own $cpdd_own_flags { default ""; "~^(?<cpdd_two>..)" $cpdd_two; }',
        "# A tracestate without a traceparent says nothing, but would go on behind one of ours: then none is started.",
        'map "$cpdd_incoming|$http_tracestate" $cpdd_started { default ""; "|" $cpdd_own; }',
        "map $cpdd_started $cpdd_own_traceparent {",
        '    default "00-$request_id-$cpdd_client_span-$cpdd_own_flags";',
        '    "" "";',
        "}",
        "map $cpdd_incoming $cpdd_traceparent {",
        '    default "00-$cpdd_trace-$cpdd_client_span-$cpdd_flags";',
        '    "" $cpdd_own_traceparent;',
        "}",
    )


_OUTGOING = (
    "proxy_set_header traceparent $cpdd_traceparent;",
    "",
    "# a cached response would name the trace of the request that it was made for",
    "map $upstream_cache_status $cpdd_timing {",
    "    default $upstream_http_server_timing;",
    '    "~^(?:HIT|STALE|UPDATING|REVALIDATED)$" "";',
    "}",
    "proxy_hide_header Server-Timing;",
    "add_header Server-Timing $cpdd_timing always;",
)


def _log(path: str) -> tuple[str, ...]:
    pairs = ",".join(f'"{name}":"{value}"' for name, value in _FIELDS.items())
    return (
        "",
        "# a line per request: cpdd import-logs --format nginx-json --follow " + path,
        f"log_format cpdd_json escape=json '{{{pairs}}}';",
        f"access_log {path} cpdd_json;",
    )
