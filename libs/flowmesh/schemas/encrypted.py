"""Members that a schema marks as sealed end to end: the suite sees only their sealed form."""

from flowmesh.contract.json_value import SEALED, Json
from flowmesh.schemas.documents import places

ENCRYPTED = "x-encrypted"
_WORD = ENCRYPTED.encode()
_PARTS = ("kid", "data")
SEALED_FORM: Json = {
    "type": "object",
    "properties": {
        SEALED: {
            "type": "object",
            "properties": {name: {"type": "string"} for name in _PARTS},
            "required": list(_PARTS),
            "additionalProperties": False,
        }
    },
    "required": [SEALED],
    "additionalProperties": False,
}
"""The schema of a sealed value."""


def may_be_encrypted(source: bytes) -> bool:
    """Return whether the text of a schema may mark members; a cheap first check."""
    return _WORD in source


def with_sealed_forms(schema: Json) -> Json:
    """Return the schema of values on the wire: marked parts take sealed values and nothing else."""
    if not isinstance(schema, dict):
        return schema
    marked = {id(each.schema) for each in places(schema) if each.schema.get(ENCRYPTED) is True}
    return _replaced(schema, marked) if marked else schema


def _replaced(value: Json, marked: set[int]) -> Json:
    if id(value) in marked:
        return SEALED_FORM
    if isinstance(value, dict):
        return {name: _replaced(each, marked) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, marked) for each in value]
    return value
