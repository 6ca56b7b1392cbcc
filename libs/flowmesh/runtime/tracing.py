"""Spans of gRPC calls under the name of the serving service."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio

from flowmesh.telemetry import Spans

Continuation = Callable[
    [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
]


class ServedBy(grpc.aio.ServerInterceptor):
    """Passes a call to the interceptor of its service; a process may have several services."""

    def __init__(
        self,
        interceptors: Mapping[str, grpc.aio.ServerInterceptor],
        served_by: Mapping[str, str],
    ) -> None:
        self._interceptors = interceptors
        self._served_by = served_by

    @classmethod
    def interceptors(
        cls, spans: Mapping[str, Spans], served_by: Mapping[str, str]
    ) -> list[grpc.aio.ServerInterceptor]:
        """Return the interceptor, or an empty list if no spans are recorded."""
        made = {
            service: interceptor
            for service, each in spans.items()
            for interceptor in each.server_interceptors()
        }
        return [cls(made, served_by)] if made else []

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        method = handler_call_details.method
        service = self._served_by.get(method.lstrip("/").rpartition("/")[0], "")
        interceptor = self._interceptors.get(service)
        if interceptor is None:
            return await continuation(handler_call_details)
        return await interceptor.intercept_service(continuation, handler_call_details)
