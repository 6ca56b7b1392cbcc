"""Canonical form of a document: JSON with sorted keys, and its digest."""

import hashlib
from typing import Any

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.model import Dialect


def json_bytes(value: Any) -> bytes:
    """Return compact JSON; equal values with keys in equal order give equal bytes."""
    return orjson.dumps(value)


def digest_of_document(document: Any, dialect: Dialect) -> str:
    """Return the digest as lower-case hex SHA-256, independent of key order and of YAML or JSON.

    The dialect counts: the same text read by another reader is another version.
    """
    canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(dialect.value.encode() + b"\0" + canonical).hexdigest()


def schema_bytes(schema: Json) -> bytes:
    """Return the JSON of a schema; empty for one that takes everything."""
    return b"" if schema is None or schema is True or schema == {} else json_bytes(schema)
