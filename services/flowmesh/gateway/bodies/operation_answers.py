"""Answers that describe the operations of transform pipelines."""

from typing import Any

from flowmesh.gateway.bodies.answers import Answer, Json


class OperationExample(Answer, kw_only=True):
    """What an operation makes of an input."""

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
    """All operations a pipeline may use."""

    operations: list[OperationValue]
