"""Redis for short-lived shared state that may be lost at any time; never for ownership."""

from typing import TYPE_CHECKING

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

if TYPE_CHECKING:
    from redis.asyncio import Redis

SOCKET_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 2.0
HEALTH_CHECK_S = 30
RETRIES_MAX = 3
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 0.5
# Connections stay open. Without a free one, a command waits for at most the socket timeout.
CONNECTIONS_MAX = 10


def open_cache(address: str) -> "Redis":
    """Return a client that connects at first use and raises after three retries.

    Responses are bytes. Close it with `await cache.aclose()`.
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        address,
        protocol=3,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_S,
        retry=Retry(ExponentialBackoff(cap=BACKOFF_MAX_S, base=BACKOFF_MIN_S), RETRIES_MAX),
        max_connections=CONNECTIONS_MAX,
        timeout=SOCKET_TIMEOUT_S,
    )
    return redis.asyncio.Redis.from_pool(pool)
