"""Secrets of tasks: their source, and the masking of their values in stored data.

A secret is a variable of the environment of the worker service: `FLOWMESH_SECRET_` and its name in
capitals, with `_` for other characters. JSON objects are parsed, everything else is text.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from flowmesh.executors.failures import TaskFailure
from flowmesh.standards.problem_details import type_uri

Json = Any
# Returns the value of a named secret, or None.
SecretOf = Callable[[str], Json]

MASK = "***"
PREFIX = "FLOWMESH_SECRET_"
# Shorter texts are not masked, because they occur in too many other values.
MASKED_CHARACTERS_MIN = 4
_FORBIDDEN = 403


def variable_of(name: str) -> str:
    """Return the environment variable of a secret."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def secret_of_environment(name: str) -> Json:
    """Return a secret from the environment of this process."""
    text = os.environ.get(variable_of(name))
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def required(secret_of: SecretOf, name: str) -> Json:
    """Return the value of a secret. A missing one raises the error that the standard defines."""
    value = secret_of(name)
    if value is None:
        message = f"there is no secret {name!r}: set {variable_of(name)} for the worker service"
        type_ = type_uri("authorization")
        problem = {
            "type": type_,
            "status": _FORBIDDEN,
            "title": "Authorization error",
            "detail": message,
        }
        raise TaskFailure(type_, message, details={"problem": problem})
    return value


def texts_of(value: Json) -> Iterator[str]:
    """Yield every text in a secret that is long enough to mask, also in its URL encoding."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str) and len(value) >= MASKED_CHARACTERS_MIN:
        yield from {value, quote(value, safe=""), quote_plus(value)}


def without(value: Json, secrets: set[str]) -> Json:
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
