"""Jaeger's sampling over gRPC: `jaeger.api_v2.SamplingManager/GetSamplingStrategy`, for stock clients.

Messages stay bytes and are read by hand; a call asks the service in the loop thread and holds a thread for so long.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from collector.listen import Endpoint
from collector.receive.grpc import bind_server
from cpdd.sampling.jaeger import GRPC_METHOD, Strategy, read_parameters, strategy_bytes

log = logging.getLogger(__name__)

THREADS = 4
MAX_MESSAGE_BYTES = 64 << 10
MAX_SERVICE_CHARS = 256


class SamplingManager:
    """The server: bound on construction, one port after the other, answering from `start` to `stop`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cpdd-sampling-grpc")
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(self._threads, options=options)
        self._strategy: Callable[[str], Strategy] | None = None
        _, service, method = GRPC_METHOD.split("/")
        handler = grpc.unary_unary_rpc_method_handler(self._answer)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))

    def bind(self, endpoint: Endpoint, host: str, port: int) -> int:
        """Listen on one more port; returns which. Raises PortUnavailable."""
        return bind_server(self._server, endpoint, host, port)

    def start(self, strategy: Callable[[str], Strategy]) -> None:
        """Answer with what `strategy` says of a service; it is called from several threads."""
        self._strategy = strategy
        self._server.start()

    def stop(self) -> None:
        self._server.stop(1).wait()
        self._threads.shutdown()

    def _answer(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            service = read_parameters(message)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a SamplingStrategyParameters: {error}")
        if not 0 < len(service) <= MAX_SERVICE_CHARS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"serviceName has {len(service)} characters")
        assert self._strategy is not None
        return strategy_bytes(self._strategy(service))
