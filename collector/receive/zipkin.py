"""Zipkin v2 JSON: `POST /api/v2/spans` is answered with 202 after the spans are durable.

The protocol knows no partial success: where some spans were rejected, the others are stored and the 202 carries the
reasons as text; where none was taken, the answer is 400.
Source: https://zipkin.io/zipkin-api/zipkin2-api.yaml.
"""

from http import HTTPStatus

from collector.receive.answers import (
    JSON_TYPE,
    Form,
    Refusal,
    Rejected,
    Reply,
    UnsupportedContentType,
    shorten,
)

TEXT_TYPE = "text/plain; charset=utf-8"


class ZipkinDialect:
    """What HttpReceiver needs to know of Zipkin."""

    path = "/api/v2/spans"

    def form(self, content_type: str) -> Form:
        if content_type == JSON_TYPE:
            return Form.ZIPKIN_JSON
        raise UnsupportedContentType(content_type, (JSON_TYPE,))

    def accepted(self, form: Form, spans: int, rejected: Rejected) -> Reply:
        none_taken = rejected.spans and not spans
        status = HTTPStatus.BAD_REQUEST if none_taken else HTTPStatus.ACCEPTED
        return Reply(status, TEXT_TYPE, _text(rejected.message))

    def refused(self, form: Form | None, refusal: Refusal) -> Reply:
        return Reply(refusal.status, TEXT_TYPE, _text(str(refusal)), refusal.headers)


def _text(message: str) -> bytes:
    return f"{shorten(message)}\n".encode() if message else b""
