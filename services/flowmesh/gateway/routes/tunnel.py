"""gRPC through a WebSocket, for clients that reach the gateway by a proxy of HTTP only."""

import asyncio

from flowmesh.errors import Unavailable
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Operation, SocketRoute
from flowmesh.gateway.http.sockets import Socket

CHUNK_BYTES = 64 * 1024


async def grpc_tunnel(backends: Backends, socket: Socket) -> None:
    """Join a WebSocket with the gRPC port of this gateway, which checks each call as always."""
    host, _, port = backends.grpc_address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError as error:
        raise Unavailable("SERVICE_UNAVAILABLE", "the gRPC port does not answer") from error
    await socket.accept()
    try:
        async with asyncio.TaskGroup() as group:
            outward = group.create_task(_outward(reader, socket))
            while (data := await socket.received_bytes()) is not None:
                writer.write(data)
                await writer.drain()
            outward.cancel()
    except* OSError:
        await socket.close()
    finally:
        writer.close()


async def _outward(reader: asyncio.StreamReader, socket: Socket) -> None:
    while data := await reader.read(CHUNK_BYTES):
        await socket.send_bytes(data)
    raise ConnectionResetError


SOCKETS = (
    SocketRoute(
        "/api/v1/grpc",
        grpc_tunnel,
        Operation(
            tag=MANAGE,
            summary="Carry a connection of gRPC through a WebSocket",
            description="Binary messages are the bytes of one connection to the gRPC port;"
            " `kubectl flowmesh` uses it through the API server of a cluster.",
            answers=(Answer(101, "A WebSocket."),),
        ),
    ),
)
