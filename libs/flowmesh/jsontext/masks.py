"""Masks of texts that a value must not show: secrets, and sensitive members of other values."""

import base64
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, quote_plus

import orjson

from flowmesh.contract.json_value import Json

MASK = "***"
# Shorter texts are not masked, because they occur in too many other values.
MASKED_CHARACTERS_MIN = 4


def texts_of(value: Json) -> Iterator[str]:
    """Yield every text in a value that is long enough to mask, also as others encode it."""
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


def without(value: Json, hidden: Collection[str]) -> Json:
    """Return the value with every hidden text masked."""
    if not hidden:
        return value
    # Longest first, because one text can contain another.
    parts = sorted(hidden, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, parts)))

    def masked(item: Json) -> Json:
        if isinstance(item, str):
            return pattern.sub(MASK, item)
        if isinstance(item, dict):
            return {masked(key): masked(each) for key, each in item.items()}
        return [masked(each) for each in item] if isinstance(item, list) else item

    return masked(value)


def without_in_json(data: bytes, hidden: Collection[str]) -> bytes:
    """Return a JSON text, or another one, with every hidden text masked."""
    try:
        return orjson.dumps(without(orjson.loads(data), hidden)) if data else data
    except orjson.JSONDecodeError:
        text = data.decode("utf-8", "replace")
        masked: str = without(text, hidden)
        return data if masked == text else masked.encode()
