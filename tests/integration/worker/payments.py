"""A gRPC service that only its descriptors know: payments, and every way to fail."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
)
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

SERVICE = "shop.v1.Payments"
CHARGE = f"{SERVICE}/Charge"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _field(name: str, number: int, kind: Any, type_name: str | None = None) -> Any:
    return _FIELD(
        name=name, number=number, type=kind, type_name=type_name, label=_FIELD.LABEL_OPTIONAL
    )


def files() -> descriptor_pb2.FileDescriptorSet:
    """The service and the file of its messages, as a compiler writes them."""
    messages = descriptor_pb2.FileDescriptorProto(
        name="shop/v1/messages.proto",
        package="shop.v1",
        syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"],
    )
    request = messages.message_type.add(name="ChargeRequest")
    request.field.append(_field("order_id", 1, _FIELD.TYPE_STRING))
    request.field.append(_field("cents", 2, _FIELD.TYPE_INT64))
    request.field.append(_field("inner", 3, _FIELD.TYPE_MESSAGE, ".shop.v1.ChargeRequest"))
    response = messages.message_type.add(name="ChargeResponse")
    response.field.append(_field("payment_id", 1, _FIELD.TYPE_STRING))
    response.field.append(_field("cents", 2, _FIELD.TYPE_INT64))
    response.field.append(_field("at", 3, _FIELD.TYPE_MESSAGE, ".google.protobuf.Timestamp"))
    response.field.append(_field("note", 4, _FIELD.TYPE_STRING))
    service_file = descriptor_pb2.FileDescriptorProto(
        name="shop/v1/payments.proto",
        package="shop.v1",
        syntax="proto3",
        dependency=["shop/v1/messages.proto"],
    )
    service = service_file.service.add(name="Payments")
    types = {"input_type": ".shop.v1.ChargeRequest", "output_type": ".shop.v1.ChargeResponse"}
    for name in ("Charge", "Fail", "Hang"):
        service.method.add(name=name, **types)
    service.method.add(name="Watch", server_streaming=True, **types)
    return descriptor_pb2.FileDescriptorSet(file=[messages, service_file])


class Payments:
    """What was asked of it: requests and metadata by call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, str]]] = []
        self.address = ""
        self.failures: list[grpc.StatusCode] = []
        self.retry_after_s = 0
        # Of calls that hang: how many there were, and what ends them.
        self.hanging = asyncio.Semaphore(0)
        self.let_go = asyncio.Event()
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        for file in files().file:
            pool.AddSerializedFile(file.SerializeToString())
        self.pool = pool
        find = pool.FindMessageTypeByName
        self._request = message_factory.GetMessageClass(find("shop.v1.ChargeRequest"))
        self._response = message_factory.GetMessageClass(find("shop.v1.ChargeResponse"))

    async def _charge(self, request: Any, context: Any) -> Any:
        self.calls.append((request, dict(context.invocation_metadata())))
        await context.send_initial_metadata((("served-by", "stub"),))
        response: Any = self._response(payment_id=f"pay-{request.order_id}", cents=request.cents)
        response.at.FromJsonString("2024-05-06T07:08:09Z")
        return response

    async def _fail(self, request: Any, context: Any) -> Any:
        self.calls.append((request, dict(context.invocation_metadata())))
        status = status_pb2.Status(code=self.failures.pop(0).value[0], message="no luck")
        info = error_details_pb2.RetryInfo(
            retry_delay=duration_pb2.Duration(seconds=self.retry_after_s)
        )
        status.details.add().Pack(info)
        await context.abort_with_status(rpc_status.to_status(status))

    async def _hang(self, _request: Any, _context: Any) -> Any:
        self.hanging.release()
        await self.let_go.wait()
        return self._response(payment_id="late")

    def handlers(self) -> grpc.GenericRpcHandler:
        methods = {"Charge": self._charge, "Fail": self._fail, "Hang": self._hang}
        made = {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=self._request.FromString,
                response_serializer=self._response.SerializeToString,
            )
            for name, method in methods.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, made)


@asynccontextmanager
async def serving(
    *, reflects: bool = True, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[Payments]:
    payments = Payments()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((payments.handlers(),))
    if reflects:
        names: Sequence[str] = (SERVICE, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server, payments.pool)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    payments.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield payments
    finally:
        await server.stop(None)
