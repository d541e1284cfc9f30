"""Jaeger's remote sampling: its answers as JSON and protobuf, and what they mean as policies. Pure.

Both sides are here, since client and server of cpdd speak it. The messages are few and written by hand.
Source: jaeger-idl, proto/api_v2/sampling.proto.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cpdd.sampling.document import Document, Matcher, Policy, hash_of

GRPC_METHOD = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy"
RULE = "jaeger"
_EVERYTHING = (Matcher("resource_attribute", "exists", key="service.name"),)


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a Jaeger client samples by."""

    probability: float
    operations: Mapping[str, float] = field(default_factory=dict)
    traces_per_second: int | None = None
    """In place of a probability, from servers that limit rates."""


def strategy_json(strategy: Strategy) -> dict[str, object]:
    """Return the answer of `GET /sampling`. `strategyType` is a string and `probabilisticSampling` always there."""
    answer: dict[str, object] = {
        "strategyType": "PROBABILISTIC",
        "probabilisticSampling": {"samplingRate": strategy.probability},
    }
    if strategy.operations:
        answer["operationSampling"] = {
            "defaultSamplingProbability": strategy.probability,
            "defaultLowerBoundTracesPerSecond": 0,
            "perOperationStrategies": [
                {"operation": name, "probabilisticSampling": {"samplingRate": probability}}
                for name, probability in sorted(strategy.operations.items())
            ],
        }
    return answer


def read_strategy(text: bytes) -> Strategy:
    """Return what an answer of `GET /sampling` says. Raises ValueError for what is none."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("the answer is no JSON object")
    by_operation = value.get("operationSampling")
    if isinstance(by_operation, dict):
        items = by_operation.get("perOperationStrategies") or []
        return Strategy(
            _probability(by_operation.get("defaultSamplingProbability", 0)),
            {str(item["operation"]): _rate_of(item["probabilisticSampling"]) for item in items},
        )
    limited = value.get("rateLimitingSampling")
    if isinstance(limited, dict) and value.get("strategyType") in ("RATE_LIMITING", 1):
        return Strategy(1.0, traces_per_second=int(limited.get("maxTracesPerSecond", 0)))
    if isinstance(value.get("probabilisticSampling"), dict):
        return Strategy(_rate_of(value["probabilisticSampling"]))
    raise ValueError("the answer holds no strategy that is known")


def _rate_of(value: Mapping[str, object]) -> float:
    return _probability(value.get("samplingRate", 0))


def _probability(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is no probability")
    return float(value)


def as_document(strategy: Strategy, version: int) -> Document:
    """Return the policies that a strategy amounts to; a limit of rate is the sampler's cap, and not in here."""
    operations = {name: 100 * probability for name, probability in strategy.operations.items()}
    policies = (Policy(RULE, _EVERYTHING, percentage=100 * strategy.probability, operations=operations),)
    return Document(version, policies, hash_of(policies))


def parameters_bytes(service: str) -> bytes:
    """Return the message SamplingStrategyParameters."""
    return _chunk(1, service.encode())


def read_parameters(message: bytes) -> str:
    """Return the service that SamplingStrategyParameters asks for. Raises ValueError for broken bytes."""
    service = b""
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            service = value
    return service.decode()


def strategy_bytes(strategy: Strategy) -> bytes:
    """Return the message SamplingStrategyResponse. The enum is 0, PROBABILISTIC, and as such not written."""
    message = _chunk(2, _double(1, strategy.probability))
    if strategy.operations:
        operations = [
            _chunk(3, _chunk(1, name.encode()) + _chunk(2, _double(1, probability)))
            for name, probability in sorted(strategy.operations.items())
        ]
        message += _chunk(4, _double(1, strategy.probability) + b"".join(operations))
    return message


def read_strategy_bytes(message: bytes) -> Strategy:
    """Return what a SamplingStrategyResponse says. Raises ValueError for what is none."""
    kind, probability, limit = 0, None, None
    for number, value in _fields(message):
        match number, value:
            case 1, int():
                kind = value
            case 2, bytes():
                probability = _double_of(value)
            case 3, bytes():
                limit = next((said for field_number, said in _fields(value) if field_number == 1), 0)
            case 4, bytes():
                return _read_operations(value)
    if kind == 1 and isinstance(limit, int):
        return Strategy(1.0, traces_per_second=limit)
    if probability is None:
        raise ValueError("the answer holds no strategy that is known")
    return Strategy(_probability(probability))


def _read_operations(message: bytes) -> Strategy:
    default, operations = 0.0, {}
    for number, value in _fields(message):
        if number == 1 and isinstance(value, float):
            default = value
        elif number == 3 and isinstance(value, bytes):
            parts = dict(_fields(value))
            name, rate = parts.get(1, b""), parts.get(2, b"")
            if isinstance(name, bytes) and isinstance(rate, bytes):
                operations[name.decode()] = _probability(_double_of(rate))
    return Strategy(_probability(default), operations)


def _double_of(message: bytes) -> float:
    return next((value for number, value in _fields(message) if number == 1 and isinstance(value, float)), 0.0)


def _chunk(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _double(number: int, value: float) -> bytes:
    return bytes([number << 3 | 1]) + struct.pack("<d", value) if value else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("the message ends within a number")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The fields of a message: number and value. Raises ValueError for broken bytes."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        if wire_type == 2:
            length, at = _read_varint(message, at)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type} is not known")
        content = message[at : at + length]
        if len(content) != length:
            raise ValueError("the message ends within a field")
        at += length
        yield number, struct.unpack("<d", content)[0] if wire_type == 1 else content
