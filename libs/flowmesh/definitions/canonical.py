"""The canonical form of a document: its JSON with sorted keys, and the digest that names it."""

import hashlib
from typing import Any

import orjson

from flowmesh.definitions.model import Dialect


def json_bytes(value: Any) -> bytes:
    """Compact JSON; equal values with keys in equal order give equal bytes."""
    return orjson.dumps(value)


def digest_of_document(document: Any, dialect: Dialect) -> str:
    """Lower-case hex SHA-256; the same whatever the order of keys, the format of the text, YAML or
    JSON. The dialect counts, so that one text read by another reader is another version.
    """
    canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(dialect.value.encode() + b"\0" + canonical).hexdigest()
