"""The bank: charges cards over gRPC. Somebody else's system: now and then it is not available for a moment."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.struct_pb2 import Struct  # type: ignore[import-untyped]

import cpdd

from . import directory
from .service import Faults, InjectedFailure, Switches, run, work

cpdd.init(service="bank")
USUAL_FAILURES = 0.06
switches = Switches(Faults(fail=USUAL_FAILURES))


def charge(request: Struct, context: grpc.ServicerContext) -> Struct:
    try:
        switches.strike()
    except InjectedFailure as failure:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(failure))
    work(25)
    receipt = Struct()
    receipt.update({"receipt": f"{request['user']}-{round(request['amount_cents'])}"})
    return receipt


class BankListener:
    """Serves the methods of the bank."""

    def __init__(self) -> None:
        self._server: grpc.Server | None = None

    def start(self) -> None:
        methods = {
            "Charge": grpc.unary_unary_rpc_method_handler(
                charge, request_deserializer=Struct.FromString, response_serializer=Struct.SerializeToString
            )
        }
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Bank", methods),))
        self._server.add_insecure_port(directory.address("bank"))
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(grace=0.5).wait()


if __name__ == "__main__":
    run("bank", switches, BankListener())
