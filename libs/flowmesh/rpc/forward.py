"""Services of other processes, served here by handing each call on: one address for all.

Messages pass as the bytes they are. Errors, deadlines, cancels and the trace context pass too,
because both sides are the handlers and channels that every service has; the caller's own
metadata and its address are handed on here.
"""

from __future__ import annotations  # grpc's types take parameters in stubs only

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc

from flowmesh.access.principal import is_forwarded
from flowmesh.access.service_tokens import METADATA_KEY
from flowmesh.rpc.addresses import address_of
from flowmesh.rpc.channel import Channel
from flowmesh.rpc.scope import MetadataItems
from flowmesh.telemetry.context import TRACEPARENT

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

Behaviour = Callable[[Any, Any], Any]

# The metadata key of the address that a forwarded call came from.
PEER = "flowmesh-peer"
# Belongs to one connection or is set anew for the call that goes out.
NOT_HANDED_ON = (":", "grpc-", "user-agent", TRACEPARENT, PEER, "authorization", METADATA_KEY)


def forwarding_handlers(
    service: ServiceDescriptor, channel: Channel
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Handlers for all methods of the service, by name; their calls go out on the channel."""
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
        # The caller's own deadline holds; waiting for a result may take longer than any default.
        return await call(request, timeout=None, metadata=_handed_on(context))

    return forward


def _streamed(call: Callable[..., Any]) -> Behaviour:
    async def forward(request: Any, context: Any) -> AsyncIterator[Any]:
        responses = call(request, metadata=_handed_on(context))
        try:
            async for response in responses:
                yield response
        finally:
            responses.cancel()

    return forward


def _handed_on(context: Any) -> MetadataItems:
    items: MetadataItems = context.invocation_metadata() or ()
    kept = [(key, value) for key, value in items if not key.startswith(NOT_HANDED_ON)]
    return (*kept, (PEER, context.peer()))


def caller_of(context: Any) -> str:
    """Return the gRPC peer that sent the call, also when another process has forwarded it.

    A peer that is stated by a caller from outside a closed installation does not count.
    """
    return _stated_peer(context) or str(context.peer())


def caller_address(context: Any, stated: str) -> str:
    """Return the IP address of the caller.

    `stated` is the address in a request, which counts if a service made the request itself.
    """
    peer = _stated_peer(context)
    if peer or not is_forwarded():
        return address_of(peer or str(context.peer()))
    return stated


def _stated_peer(context: Any) -> str:
    if not is_forwarded():
        return ""
    return next((str(v) for k, v in context.invocation_metadata() or () if k == PEER), "")
