"""File and wire formats other than OTLP protobuf, as pure functions.

Everything becomes OTLP protobuf bytes first, so that one decoder (`collector.core.wire.decode_traces`) makes columns
of all. The ways back (`to_otlp_json`, `to_jaeger`) start from columns and details.
"""

from collector.core.formats.document import MalformedDocument
from collector.core.formats.jaeger import translate_jaeger
from collector.core.formats.jaeger_export import to_jaeger
from collector.core.formats.otlp_json import translate_otlp_json
from collector.core.formats.otlp_json_export import to_otlp_json
from collector.core.formats.translation import Translation
from collector.core.formats.zipkin import translate_zipkin
from collector.core.rejections import Rejection

__all__ = [
    "MalformedDocument",
    "Rejection",
    "Translation",
    "to_jaeger",
    "to_otlp_json",
    "translate_jaeger",
    "translate_otlp_json",
    "translate_zipkin",
]
