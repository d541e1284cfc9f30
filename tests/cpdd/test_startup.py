"""`cpdd.init`: once, by the environment, and never at the program's cost."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPAN = "from opentelemetry import trace; trace.get_tracer('x').start_span('GET').end()\n"


class Collector(http.server.BaseHTTPRequestHandler):
    """Keeps what is exported, and answers as it is told."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.requests, server.status = [], 200
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def exported(collector):
    """Name of the service and of the span, of everything that came."""
    found = []
    for _, request in collector.requests:
        for resource_spans in request.resource_spans:
            service = {pair.key: pair.value.string_value for pair in resource_spans.resource.attributes}
            found += [
                (service["service.name"], span.name) for part in resource_spans.scope_spans for span in part.spans
            ]
    return found


def test_two_lines_and_the_spans_of_a_program_arrive_when_it_ends(run_program, collector):
    run_program(f"import cpdd\ncpdd.init(service='checkout')\n{SPAN}", OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)

    assert exported(collector) == [("checkout", "GET")]
    assert [path for path, _ in collector.requests] == ["/v1/traces"]


def test_the_environment_may_say_everything(run_program, collector):
    run_program(
        f"import cpdd\ncpdd.init()\n{SPAN}",
        OTEL_SERVICE_NAME="from the environment",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.address}/v1/traces",
    )

    assert exported(collector) == [("from the environment", "GET")]


def test_init_may_name_the_collector(run_program, collector):
    run_program(f"import cpdd\ncpdd.init(service='checkout', endpoint='{collector.address}')\n{SPAN}")

    assert exported(collector) == [("checkout", "GET")]


def test_the_sampler_of_the_environment_is_used(run_program, collector):
    run_program(
        f"import cpdd\ncpdd.init(service='checkout', endpoint='{collector.address}')\n{SPAN}",
        OTEL_TRACES_SAMPLER="always_off",
    )

    assert exported(collector) == []


def test_spans_can_be_flushed_and_the_rest_goes_at_shutdown(run_program, collector):
    printed = run_program(
        f"import cpdd\nhandle = cpdd.init(service='checkout', endpoint='{collector.address}')\n"
        f"{SPAN}print(handle.force_flush())\n{SPAN}print(handle.shutdown())\n"
    )

    assert printed.split() == ["True", "True"]
    assert len(collector.requests) == 2


def test_init_again_changes_nothing(run_program, collector):
    printed = run_program(
        "import cpdd\n"
        f"first = cpdd.init(service='checkout', endpoint='{collector.address}')\n"
        f"second = cpdd.init(service='another')\n{SPAN}print(first is second)"
    )

    assert printed == "True\n"
    assert exported(collector) == [("checkout", "GET")]


def test_a_disabled_sdk_leaves_everything_as_it_was(run_program):
    printed = run_program(
        "import cpdd\nhandle = cpdd.init(service='checkout')\n"
        "import flask\nfrom opentelemetry import trace\n"
        "print(handle.provider, flask.Flask.__module__, type(trace.get_tracer_provider()).__name__)\n"
        "with cpdd.journey('check out'), cpdd.mandatory(): print(handle.force_flush(), handle.shutdown())",
        OTEL_SDK_DISABLED="TRUE",
    )

    assert printed.splitlines() == ["None flask.app ProxyTracerProvider", "True True"]


def test_a_provider_that_is_there_already_stays_and_learns_our_attributes(run_program):
    printed = run_program(
        "import cpdd\nfrom cpdd.testing import MemoryExporter\nfrom opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "theirs, exporter = TracerProvider(), MemoryExporter()\n"
        "theirs.add_span_processor(SimpleSpanProcessor(exporter))\n"
        "trace.set_tracer_provider(theirs)\n"
        "print(cpdd.init(service='checkout', instrument=False).provider is theirs)\n"
        "with cpdd.journey('check out'): trace.get_tracer('x').start_span('GET').end()\n"
        "print(exporter.one('GET').attributes['cpdd.journey'], len(exporter.spans))"
    )

    assert printed.splitlines() == ["True", "check out 1"]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "0"},
        {"OTEL_TRACES_SAMPLER": "no_such_sampler"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "not an address"},
        {"OTEL_RESOURCE_ATTRIBUTES": ",,=,x"},
        {"OTEL_TRACES_EXPORTER": "carrier-pigeon"},
        {"OTEL_PROPAGATORS": "tracecontext,carrier-pigeon"},
    ],
)
def test_a_slip_in_a_variable_never_stops_the_program(run_program, collector, variables):
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}

    printed = run_program(
        f"import cpdd\nhandle = cpdd.init(service='checkout')\n{SPAN}print('served')", **address | variables
    )

    assert printed == "served\n"


@pytest.mark.parametrize(
    "part", ["build_resource", "exporters_for", "set_propagator", "installed", "StartProcessor", "PrivateIds"]
)
def test_no_part_of_init_that_fails_reaches_the_program(run_program, part):
    printed = run_program(
        "import cpdd, cpdd.startup\n"
        "def fail(*args, **kwargs): raise RuntimeError('broken')\n"
        f"cpdd.startup.{part} = fail\n"
        f"handle = cpdd.init(service='checkout')\n{SPAN}"
        "print(cpdd.optional(fallback=list)(fail)(), handle.force_flush(), handle.shutdown())",
        OTEL_TRACES_EXPORTER="none",
    )

    assert printed == "[] True True\n"


def test_an_exporter_that_fails_costs_spans_and_is_only_told(run_program):
    printed = run_program(
        "import cpdd\nfrom opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter\n"
        "class Broken(SpanExporter):\n"
        "    def export(self, spans): raise RuntimeError('broken')\n"
        "    def shutdown(self): raise RuntimeError('broken')\n"
        "handle = cpdd.init(service='checkout', processor=SimpleSpanProcessor(Broken()), instrument=False)\n"
        f"{SPAN}with cpdd.mandatory(): print('served', handle.shutdown())"
    )

    assert printed == "served False\n"


def test_a_program_whose_collector_is_down_ends_all_the_same(run_program, collector):
    collector.status = 503

    printed = run_program(
        "import cpdd, cpdd.exporters\ncpdd.exporters.EXIT_LIMIT_S = 0.05\n"
        f"cpdd.init(service='checkout', endpoint='{collector.address}', instrument=False)\n{SPAN}"
        "import atexit, time; started = time.monotonic()\n"
        "import cpdd.startup\n"
        "cpdd.startup.init().shutdown(); print(time.monotonic() - started < 25)"
    )

    assert printed == "True\n"


def test_flushing_to_a_collector_that_never_answers_ends_in_time(run_program, collector):
    collector.status = 503

    printed = run_program(
        "import cpdd, os\n"
        f"handle = cpdd.init(service='checkout', endpoint='{collector.address}', instrument=False)\n"
        f"{SPAN}print(handle.force_flush(timeout_s=0.1), flush=True)\nos._exit(0)"
    )

    assert printed == "False\n"


def test_importing_cpdd_is_cheap_because_nothing_is_loaded_before_it_is_used(run_program):
    printed = run_program(
        "import sys, cpdd\n"
        "print('opentelemetry' in sys.modules)\n"
        "cpdd.journey\n"
        "print('opentelemetry.sdk' in sys.modules)\n"
        "cpdd.init\n"
        "print(sorted({'flask', 'requests', 'grpc', 'numpy', 'click'} & set(sys.modules)))"
    )

    assert printed.splitlines()[:2] == ["False", "False"]
    assert set(eval(printed.splitlines()[2])) <= {"requests"}


def test_every_public_name_is_there_and_no_other(run_program):
    printed = run_program(
        "import cpdd\n"
        "print(all(getattr(cpdd, name) is not None for name in cpdd.__all__), set(cpdd.__all__) <= set(dir(cpdd)))\n"
        "try: cpdd.no_such_name\n"
        "except AttributeError as error: print(error)"
    )

    assert printed.splitlines() == ["True True", "module 'cpdd' has no attribute 'no_such_name'"]
