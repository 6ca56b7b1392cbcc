"""Structs and dataclasses, bound to protobuf messages by the names of their fields."""

from flowmesh.records.source import APART, Check, Source, shape_of
from flowmesh.records.structs import moment, reader, value_from, values_from
from flowmesh.records.words import numbers_of, words_of
from flowmesh.records.writing import (
    Tree,
    build,
    descriptor_of,
    message_of,
    put,
    target,
    value_writer,
    writer,
)

__all__ = [
    "APART",
    "Check",
    "Source",
    "Tree",
    "build",
    "descriptor_of",
    "message_of",
    "moment",
    "numbers_of",
    "put",
    "reader",
    "shape_of",
    "target",
    "value_from",
    "value_writer",
    "values_from",
    "words_of",
    "writer",
]
