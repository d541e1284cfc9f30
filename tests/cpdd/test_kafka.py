"""Messages through a real Kafka: journey and requirement reach the consumer, in one trace.

    TEST_KAFKA=127.0.0.1:9092 pytest tests/cpdd/test_kafka.py

Debian has no broker, so that CI does not run this; docs/records/clients.md has how one was had, and what came of it.
"""

import os
import uuid

import pytest

PROGRAM = """
import cpdd, kafka
from cpdd.testing import MemoryExporter
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

exporter = MemoryExporter()
cpdd.init(service="shop", processor=SimpleSpanProcessor(exporter))

producer = kafka.KafkaProducer(bootstrap_servers="BROKER")
with trace.get_tracer("x").start_as_current_span("order"), cpdd.journey("check out"), cpdd.mandatory("tell"):
    producer.send("TOPIC", b"1").get(30)
producer.close()
options = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 30000}
consumer = kafka.KafkaConsumer("TOPIC", bootstrap_servers="BROKER", **options)
message = next(consumer)
headers = {key: value.decode() for key, value in message.headers}  # from here on as the reference has it
token = context.attach(propagate.extract(headers))
with trace.get_tracer("mailer").start_as_current_span("handle order", kind=trace.SpanKind.CONSUMER):
    pass
context.detach(token)
consumer.close()

sent, received = exporter.one("TOPIC send"), exporter.one("TOPIC receive")
call = exporter.one("tell")
print(sent.kind.name, sent.attributes["cpdd.call.requirement"], sent.parent.span_id == call.context.span_id)
print(received.kind.name, received.parent.span_id == sent.context.span_id, received.attributes["cpdd.journey"])
print(received.context.trace_state.to_header(), received.attributes["messaging.destination"])
print(exporter.one("handle order").parent.span_id == sent.context.span_id)
"""


def test_a_message_is_a_span_on_both_sides_in_the_journey_of_its_sender(run_program):
    broker = os.environ.get("TEST_KAFKA")
    if not broker:
        pytest.skip("no Kafka broker is named: TEST_KAFKA=HOST:PORT")
    pytest.importorskip("kafka")
    topic = f"orders-{uuid.uuid4().hex[:8]}"

    printed = run_program(PROGRAM.replace("BROKER", broker).replace("TOPIC", topic))

    assert printed.splitlines() == ["PRODUCER mandatory True", "CONSUMER True check out", f"cpdd=r:m {topic}", "True"]
