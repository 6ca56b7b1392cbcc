"""A client of gRPC reflection."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from grpc_reflection.v1alpha import reflection_pb2


async def reflected_services(channel: grpc.aio.Channel, version: str = "v1") -> list[str]:
    """Return the full names of the reflected services; `version` is v1 or v1alpha."""
    call: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    async def ask() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="*")

    answers = [answer async for answer in call(ask())]
    return [service.name for service in answers[0].list_services_response.service]
