"""Secrets of tasks: where their values come from, and how they are kept out of what is stored.

A secret is a variable of the environment of the worker service: `FLOWMESH_SECRET_` and its name in
capitals, with `_` for what is neither letter nor digit. JSON objects are read, all else is a text.
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
# The value of the secret of this name; None where there is none.
SecretOf = Callable[[str], Json]

MASK = "***"
PREFIX = "FLOWMESH_SECRET_"
# Shorter texts are not masked: they are in too much that is no secret.
MASKED_CHARACTERS_MIN = 4
_FORBIDDEN = 403


def variable_of(name: str) -> str:
    """The variable that holds the secret of this name."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def secret_of_environment(name: str) -> Json:
    """A `SecretOf` over the environment of this process."""
    text = os.environ.get(variable_of(name))
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def required(secret_of: SecretOf, name: str) -> Json:
    """The value of a secret; one that is missing is the error that the standard asks for."""
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
    """Every text in a secret that is long enough to be masked, and how it is written in a URL."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str) and len(value) >= MASKED_CHARACTERS_MIN:
        yield from {value, quote(value, safe=""), quote_plus(value)}


def without(value: Json, secrets: set[str]) -> Json:
    """The value with every text of a secret replaced."""
    if not secrets:
        return value
    # Long ones first: one may be a part of another.
    parts = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, parts)))

    def masked(item: Json) -> Json:
        if isinstance(item, str):
            return pattern.sub(MASK, item)
        if isinstance(item, dict):
            return {masked(key): masked(each) for key, each in item.items()}
        return [masked(each) for each in item] if isinstance(item, list) else item

    return masked(value)
