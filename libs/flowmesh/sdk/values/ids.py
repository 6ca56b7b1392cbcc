"""Ids that the SDK generates by default."""

import secrets
import time
import uuid

_RANDOM_BITS = 80
_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
_FIXED = 0xF << 76 | 0b11 << 62


def new_request_id() -> str:
    """Return a UUID that begins with the time (version 7 of RFC 9562).

    The index of request ids then grows at its end. Random ids change a page anywhere in it for
    each start, which costs twice the write-ahead log beside a million executions.
    """
    time_ms = time.time_ns() // 1_000_000
    random = secrets.randbits(_RANDOM_BITS) & ~_FIXED
    return str(uuid.UUID(int=time_ms << _RANDOM_BITS | random | _VERSION | _VARIANT))


def new_worker_id() -> str:
    return f"worker-{uuid.uuid4()}"
