"""What spans tell while a boost asks for it, in programs of their own with real drivers: and in no other trace."""

PROGRAM = """
import os, sqlite3, sys
import cpdd
from cpdd.sampling import DynamicSampler, parse_document
from cpdd.testing import MemoryExporter
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

exporter = MemoryExporter()
os.environ["CPDD_SOURCE_MODULES"] = "__main__"
os.environ["OTEL_TRACES_SAMPLER"] = "cpdd"
os.environ["OTEL_TRACES_SAMPLER_ARG"] = "endpoint=file:///nowhere,cache=off,initialSamplingRate=KEPT,detail=GRANTED"
handle = cpdd.init(service="shop", processor=SimpleSpanProcessor(exporter))
sampler, tracer = handle.provider.sampler, handle.provider.get_tracer("program")

def boost(*detail, service="shop", percentage=100, lasts_s=600):
    policy = {"id": "b", "trace": {"match": [{"resource_attribute": ["service.name"], "exact": service}],
              "keep": {"percentage": percentage}},
              "cpdd": {"kind": "boost", "expires_unix_ms": 1000 * lasts_s, "detail": list(detail)}}
    sampler.apply(parse_document({"version": 1, "sent_unix_ms": 0, "policies": [policy]}))

def request(work, name="GET /"):
    exporter.clear()
    with tracer.start_as_current_span(name, kind=trace.SpanKind.SERVER):
        work()
    return exporter.spans

BODY
"""

FUNCTIONS = """
from cpdd import function_spans
from cpdd.testing import FakeClock
clock = FakeClock()
function_spans.perf_counter_ns = clock.now_ns

def quick():
    return 1

def slow():
    clock.advance(s=0.002)

def price():
    quick()
    with tracer.start_as_current_span("SELECT"):
        pass

def cart():
    price()
    slow()
    [quick() for _ in range(10)]

def tree(spans):
    ids = {span.context.span_id: span.name for span in spans}
    return sorted((span.name.rpartition(".")[2], ids[span.parent.span_id].rpartition(".")[2] if span.parent else "-")
                  for span in spans)

print(len(request(cart)))
boost("function_spans")
print(tree(request(cart)))
print(sys.getprofile())
"""


def program(body: str, kept: str = "1", granted: str = "all") -> str:
    return PROGRAM.replace("KEPT", kept).replace("GRANTED", granted).replace("BODY", body)


def test_functions_that_take_time_or_start_spans_are_spans_around_what_they_call(run_program):
    printed = run_program(program(FUNCTIONS)).splitlines()

    assert printed[0] == "2"
    assert printed[1] == "[('GET /', '-'), ('SELECT', 'price'), ('cart', 'GET /'), ('price', 'cart'), ('slow', 'cart')]"
    assert printed[2] == "None"


def test_a_trace_has_spans_of_so_many_functions_and_no_more(run_program):
    body = (
        "from cpdd import function_spans\n"
        "function_spans.LEAST_NS = 0\n"
        "def each(): pass\n"
        "def work():\n"
        "    for _ in range(1500): each()\n"
        "boost('function_spans')\n"
        "print(len(request(work)))\n"
    )

    assert run_program(program(body)) == "1001\n"


def test_a_span_that_ends_in_another_thread_leaves_nothing_behind(run_program):
    body = (
        "import threading\n"
        "def later(): pass\n"
        "boost('function_spans')\n"
        "span = tracer.start_span('GET /')\n"
        "thread = threading.Thread(target=span.end)\n"
        "thread.start(); thread.join()\n"
        "later()\n"
        "print(sys.getprofile(), len(exporter.spans))\n"
    )

    assert run_program(program(body)) == "None 1\n"


def test_another_profiler_keeps_its_place(run_program):
    body = (
        "def theirs(*args): pass\n"
        "def slow(): tracer.start_span('inner').end()\n"
        "boost('function_spans')\n"
        "sys.setprofile(theirs)\n"
        "spans = request(slow)\n"
        "print(sys.getprofile() is theirs, len(spans))\n"
    )

    assert run_program(program(body)) == "True 2\n"


def test_a_context_that_a_function_leaves_behind_stays(run_program):
    body = (
        "from opentelemetry import baggage, context\n"
        "def enter():\n"
        "    context.attach(baggage.set_baggage('tenant', 'acme'))\n"
        "def work():\n"
        "    enter()\n"
        "    print(baggage.get_baggage('tenant'))\n"
        "boost('function_spans')\n"
        "request(work)\n"
    )

    assert run_program(program(body)) == "acme\n"


def test_values_of_queries_are_said_where_a_boost_asks_and_the_program_grants_it(run_program):
    body = (
        "database = sqlite3.connect(':memory:')\n"
        "def ask(): database.cursor().execute('SELECT ? + ?', (3, 4))\n"
        "def values():\n"
        "    (span,) = [span for span in request(ask) if span.name == 'SELECT']\n"
        "    return [span.attributes.get(f'db.query.parameter.{n}') for n in (0, 1)]\n"
        "print(values())\n"
        "boost('query_text')\n"
        "print(values())\n"
    )

    assert run_program(program(body)).splitlines() == ["[None, None]", "['3', '4']"]
    refused = run_program(program(body, granted="attributes+function_spans")).splitlines()
    assert refused == ["[None, None]", "[None, None]"]


def test_attributes_are_worked_out_only_where_a_boost_asks(run_program):
    body = (
        "def work():\n"
        "    with tracer.start_as_current_span('charge'):\n"
        "        cpdd.detail('cart.items', lambda: print('worked out') or 3)\n"
        "def said():\n"
        "    (span,) = [span for span in request(work) if span.name == 'charge']\n"
        "    stack = span.attributes.get('code.stacktrace', '')\n"
        "    return span.attributes.get('cart.items'), span.attributes.get('thread.name'), 'in work' in stack\n"
        "print(said())\n"
        "boost('attributes')\n"
        "print(said())\n"
    )

    printed = run_program(program(body)).splitlines()

    assert printed == ["(None, None, False)", "worked out", "(3, 'MainThread', True)"]


CALLEE = """
from opentelemetry import propagate
def serve(tracestate):
    headers = {"traceparent": f"00-{'4' * 32}-{'5' * 16}-01", "tracestate": tracestate}
    exporter.clear()
    with tracer.start_as_current_span("GET /", context=propagate.extract(headers), kind=trace.SpanKind.SERVER) as span:
        sent = {}
        propagate.inject(sent)
    return "thread.name" in exporter.spans[0].attributes, sent.get("tracestate")
"""


def test_a_callee_tells_more_of_a_trace_that_asks_while_it_knows_a_boost_that_does(run_program):
    body = CALLEE + (
        "print(serve('ot=th:0,cpdd=d:a'))\n"
        "boost('attributes', service='gateway')\n"
        "print(serve('ot=th:0,cpdd=d:a'))\n"
        "print(serve('ot=th:0'))\n"
        "boost('function_spans', service='gateway')\n"
        "print(serve('ot=th:0,cpdd=d:a'))\n"
    )

    stranger, asked, plain, other = run_program(program(body)).splitlines()

    assert stranger == "(False, 'ot=th:0,cpdd=d:a')"
    assert asked == "(True, 'ot=th:0,cpdd=d:a')"
    assert plain == "(False, 'ot=th:0')"
    assert other == stranger
