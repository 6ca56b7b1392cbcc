"""Values of enums as words: `LIMIT_KIND_TASK_TYPE` is `task_type`."""

from typing import Any, Literal, get_args, get_origin

from google.protobuf.descriptor import EnumDescriptor

from flowmesh.records.source import Shape


def words_of(enum: EnumDescriptor, shape: Shape | None = None) -> dict[int, str]:
    """Return the words by number, in the spelling of the `Literal` that shows them."""
    kind: Any = shape.kind if shape else str
    spelled = get_args(kind) if get_origin(kind) is Literal else ()
    known = {word.lower().replace("-", "_"): word for word in spelled}
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    as_named = bool(spelled) and all(word.isupper() for word in spelled)
    names = {each.number: each.name.removeprefix(prefix) for each in enum.values}
    words = {number: name if as_named else name.lower() for number, name in names.items()}
    found = {number: known.get(word, word) for number, word in words.items()}
    return found if shape is None or shape.source.empty is None else found | {0: shape.source.empty}


def numbers_of(enum: EnumDescriptor, shape: Shape | None = None) -> dict[str, int]:
    """Return the numbers by word; that of the empty word is 0."""
    return {"": 0} | {word: number for number, word in words_of(enum, shape).items()}
