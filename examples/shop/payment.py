"""Payment: charges an order at the bank, and again where the bank was not available for a moment."""

import time

import flask
import grpc
from google.protobuf.struct_pb2 import Struct  # type: ignore[import-untyped]

import cpdd

from . import directory
from .service import Switches, run, work
from .web import WebListener, install

cpdd.init(service="payment")
app = flask.Flask("payment")
ATTEMPTS = 3
PAUSE_S = 0.01
TIMEOUT_S = 1.5
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

# a bank that comes back is called again within a second, not after gRPC's usual two minutes
_BACKOFF = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000))
channel = grpc.insecure_channel(directory.address("bank"), _BACKOFF)
bank_charge = channel.unary_unary(
    "/shop.Bank/Charge", request_serializer=Struct.SerializeToString, response_deserializer=Struct.FromString
)


@app.post("/charges")
def charge() -> tuple[dict[str, object], int]:
    order = flask.request.get_json()
    work(3)
    try:
        return {"receipt": charge_with_retries(order)}, 201
    except grpc.RpcError as error:
        return {"error": f"the bank did not answer in {ATTEMPTS} attempts: {error.code().name}"}, 502


def charge_with_retries(order: dict[str, object]) -> str:
    request = Struct()
    request.update(order)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return str(bank_charge(request, timeout=TIMEOUT_S)["receipt"])
        except grpc.RpcError as error:
            if attempt == ATTEMPTS or error.code() not in _AGAIN:
                raise
            time.sleep(PAUSE_S * attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("payment", switches, WebListener("payment", app))
