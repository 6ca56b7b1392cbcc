"""Forwarding of calls to services of other processes, for one address of all services.

Messages are forwarded as bytes. Errors, deadlines, cancellation and the trace context pass through
the handlers and channels; this module forwards the metadata and the address of the caller.
"""

from __future__ import annotations  # grpc's types take parameters in stubs only

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc

from flowmesh.access.principal import is_forwarded
from flowmesh.access.service_tokens import METADATA_KEY, PEER
from flowmesh.rpc.addresses import address_of
from flowmesh.rpc.scope import MetadataItems
from flowmesh.telemetry.context import TRACEPARENT

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

    from flowmesh.rpc.channel import Channel

Behaviour = Callable[[Any, Any], Any]

# Metadata of a single connection, or set again for the forwarded call.
NOT_FORWARDED = (":", "grpc-", "user-agent", TRACEPARENT, PEER, "authorization", METADATA_KEY)


def forwarding_handlers(
    service: ServiceDescriptor, channel: Channel
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Return handlers for all methods of the service that forward the calls to the channel."""
    return {method.name: _handler(method, channel) for method in service.methods}


def _handler(method: MethodDescriptor, channel: Channel) -> grpc.RpcMethodHandler[Any, Any]:
    ways = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    path = f"/{method.containing_service.full_name}/{method.name}"
    call = getattr(channel, ways)(path)
    make = getattr(grpc, f"{ways}_rpc_method_handler")
    behaviour = _streamed(call) if method.server_streaming else _answered(call)
    handler: grpc.RpcMethodHandler[Any, Any] = make(
        behaviour, request_deserializer=bytes, response_serializer=bytes
    )
    return handler


def _answered(call: Callable[..., Any]) -> Behaviour:
    async def forward(request: Any, context: Any) -> Any:
        # Only the deadline of the caller applies: waiting for a result may exceed any default.
        return await call(request, timeout=None, metadata=_forwarded_metadata(context))

    return forward


def _streamed(call: Callable[..., Any]) -> Behaviour:
    async def forward(request: Any, context: Any) -> AsyncIterator[Any]:
        responses = call(request, metadata=_forwarded_metadata(context))
        try:
            async for response in responses:
                yield response
        finally:
            responses.cancel()

    return forward


def _forwarded_metadata(context: Any) -> MetadataItems:
    items: MetadataItems = context.invocation_metadata() or ()
    kept = [(key, value) for key, value in items if not key.startswith(NOT_FORWARDED)]
    return (*kept, (PEER, context.peer()))


def caller_of(context: Any) -> str:
    """Return the gRPC peer that sent the call, also for a forwarded call.

    In a closed installation, a peer that an external caller states is ignored.
    """
    return _stated_peer(context) or str(context.peer())


def caller_address(context: Any, stated: str) -> str:
    """Return the IP address of the caller.

    `stated` is the address in the request; it is used if a service created the request.
    """
    peer = _stated_peer(context)
    if peer or not is_forwarded():
        return address_of(peer or str(context.peer()))
    return stated


def _stated_peer(context: Any) -> str:
    if not is_forwarded():
        return ""
    return next((str(v) for k, v in context.invocation_metadata() or () if k == PEER), "")
