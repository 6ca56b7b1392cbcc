"""Durations and retry policies of native resources."""

from flowmesh.contract.durations import duration_ms
from flowmesh.definitions import limits
from flowmesh.definitions.formats.common import retry_of
from flowmesh.definitions.model import NATIVE_RETRY, Retry
from flowmesh.definitions.reading.reader import Reader


def read_timeout(reader: Reader, key: str = "timeout") -> int:
    return read_duration(
        reader, key, 0, limits.TIMEOUT_MS_MIN, limits.TIMEOUT_MS_MAX, "TIMEOUT_INVALID"
    )


def read_duration(reader: Reader, key: str, default: int, least: int, most: int, code: str) -> int:
    value = reader.raw(key)
    if value is None:
        return default
    found = duration_ms(value) if isinstance(value, str) else None
    if found is None:
        reader.wrong(key, 'a duration such as "500ms", "30s", "5m" or "1h"', code)
        return default
    if not least <= found <= most:
        message = f"{key} is {found} ms; it must be from {least} to {most} ms"
        reader.problems.add(code, message, (*reader.path, key))
        return default
    return found


def read_retry(reader: Reader) -> Retry | None:
    if reader.raw("retry") is None:
        return None
    policy = reader.object("retry")
    most, code = limits.RETRY_DELAY_MS_MAX, "RETRY_INVALID"
    retry = retry_of(
        policy,
        NATIVE_RETRY,
        multiplier="multiplier",
        initial_delay_ms=read_duration(
            policy, "initialDelay", NATIVE_RETRY.initial_delay_ms, 0, most, code
        ),
        max_delay_ms=read_duration(policy, "maxDelay", NATIVE_RETRY.max_delay_ms, 0, most, code),
        max_elapsed_ms=read_duration(policy, "maxElapsed", 0, 1, limits.TIMEOUT_MS_MAX, code),
    )
    policy.refuse_unknown()
    return retry
