"""The connection that the tasks share."""

import socket

from redis.asyncio import Redis

from flowmesh.plugins import configuration

TIMEOUT_S = 5


async def connect(credential: str) -> Redis:
    """Return an open connection; `credential` is the password, or empty."""
    settings = configuration()
    made = Redis(
        host=settings["host"],
        port=settings["port"],
        username=settings["user"] if credential else None,
        password=credential or None,
        ssl=settings["security"] == "tls",
        decode_responses=True,
        single_connection_client=True,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
    )
    await made.ping()
    return made


async def close(connection: Redis) -> None:
    await connection.aclose()


def self_test() -> None:
    """Raise if the server cannot be reached; the password comes with tasks only."""
    settings = configuration()
    socket.create_connection((settings["host"], settings["port"]), TIMEOUT_S).close()
