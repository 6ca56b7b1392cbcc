"""Secrets of attempts: their values, and the masking of these in stored data."""

import base64
import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from flowmesh.executors.failures import SECRET_UNAVAILABLE, TaskFailure

Json = Any

MASK = "***"
# Shorter texts are not masked, because they occur in too many other values.
MASKED_CHARACTERS_MIN = 4


class AttemptSecrets(dict[str, Json]):
    """The secrets that an attempt may use, by `name` or `name#version`.

    Looking up another one raises a TaskFailure with the text of `missing` behind its name.
    """

    def __init__(self, found: dict[str, Json], missing: str) -> None:
        super().__init__(found)
        self._missing = missing

    def __missing__(self, key: str) -> Json:
        raise TaskFailure(SECRET_UNAVAILABLE, f"there is no secret {key!r}: {self._missing}")


NO_SECRETS = AttemptSecrets({}, "the task declares none")


def texts_of(value: Json) -> Iterator[str]:
    """Yield every text in a secret that is long enough to mask, also as others encode it."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str) and len(value) >= MASKED_CHARACTERS_MIN:
        yield from {value, quote(value, safe=""), quote_plus(value)}
        yield orjson.dumps(value).decode()[1:-1]
        yield base64.b64encode(value.encode()).decode().rstrip("=")


def without(value: Json, secrets: Collection[str]) -> Json:
    """Return the value with every text of a secret masked."""
    if not secrets:
        return value
    # Longest first, because one text can contain another.
    parts = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, parts)))

    def masked(item: Json) -> Json:
        if isinstance(item, str):
            return pattern.sub(MASK, item)
        if isinstance(item, dict):
            return {masked(key): masked(each) for key, each in item.items()}
        return [masked(each) for each in item] if isinstance(item, list) else item

    return masked(value)
