"""Responses that describe the operations of transform pipelines."""

from typing import Any

from flowmesh.gateway.bodies.answers import Answer, Json


class OperationExample(Answer, kw_only=True):
    """An example input of an operation with its output."""

    input: Json
    parameters: Json
    output: Json


class OperationValue(Answer, kw_only=True):
    """An operation of transform pipelines; `parameters` is a JSON Schema."""

    name: str
    category: str
    summary: str
    parameters: dict[str, Any]
    example: OperationExample


class OperationList(Answer, kw_only=True):
    """All operations of pipelines."""

    operations: list[OperationValue]
