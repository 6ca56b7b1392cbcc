"""Secrets of attempts: stored values, and variables of the environment in open installations.

Values are read for each attempt and kept by nothing. They are masked in its output and failure.
"""

import re
from collections.abc import Collection, Mapping
from typing import Protocol

import orjson

from flowmesh.api.identity.v1.secret_service_pb2 import (
    ResolveSecretsRequest,
    ResolveSecretsResponse,
    SecretRef,
)
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, NotFound, Unavailable
from flowmesh.executors.base import Output
from flowmesh.executors.failures import NETWORK, SECRET_UNAVAILABLE, TaskFailure
from flowmesh.executors.secrets import AttemptSecrets
from flowmesh.expressions.secrets import split_key
from flowmesh.jsontext.masks import texts_of, without

PREFIX = "FLOWMESH_SECRET_"
_STORE = "store it with `flowmesh secrets set`"


class SecretCalls(Protocol):
    """The used calls of SecretService."""

    async def ResolveSecrets(self, request: ResolveSecretsRequest) -> ResolveSecretsResponse: ...


class Secrets:
    """Resolves the secrets of attempts.

    `environment` has variables for names that are not stored; a closed installation gives none,
    because all tenants would share them.
    """

    def __init__(self, calls: SecretCalls, *, environment: Mapping[str, str]) -> None:
        self._calls = calls
        self._environment = environment

    async def of(self, namespace: str, keys: Collection[str]) -> AttemptSecrets:
        """Return the values of the secrets that exist. Raises TaskFailure."""
        found: dict[str, Json] = {}
        missing = _STORE
        for key in sorted(keys):
            text = await self._value(namespace, key)
            if text is not None:
                found[key] = _parsed(text)
            elif self._environment:
                missing = f"{_STORE}, or set {variable_of(key)} for the worker service"
        return AttemptSecrets(found, missing)

    async def _value(self, namespace: str, key: str) -> str | None:
        name, version = split_key(key)
        ref = SecretRef(name=name, version=version)
        request = ResolveSecretsRequest(namespace=namespace, refs=[ref])
        try:
            return (await self._calls.ResolveSecrets(request)).values[0].decode()
        except NotFound:
            return self._environment.get(variable_of(name)) if not version else None
        except Unavailable as error:
            raise TaskFailure(NETWORK, "the secrets of the task could not be read") from error
        except FlowmeshError as error:
            raise TaskFailure(SECRET_UNAVAILABLE, error.message) from error


def variable_of(name: str) -> str:
    """Return the environment variable of a secret."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def masked_output(output: Output, secrets: AttemptSecrets) -> Output:
    """Return the output with every text of a secret masked."""
    texts = frozenset(texts_of(dict(secrets)))
    metadata = orjson.loads(output.metadata) if output.metadata else None
    value = without(output.parsed(), texts) if output.data else None
    return Output(
        orjson.dumps(value) if output.data else b"",
        orjson.dumps(without(metadata, texts)) if output.metadata else b"",
    )


def masked_failure(failure: TaskFailure, secrets: AttemptSecrets) -> TaskFailure:
    """Return the failure with every text of a secret masked."""
    texts = frozenset(texts_of(dict(secrets)))
    return TaskFailure(
        failure.class_,
        without(failure.message, texts),
        retry_after_ms=failure.retry_after_ms,
        details=without(failure.details, texts),
        node=failure.node,
    )


def _parsed(text: str) -> Json:
    """Return the value of a secret: a JSON object, or text."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
