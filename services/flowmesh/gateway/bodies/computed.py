"""Fields of answers about executions that are not one field of a message."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, UnsetType

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.records import Source
from flowmesh.views import compensation_word, execution_status, node_status, raw_value, search_view


def _name(execution: execution_pb2.Execution) -> str:
    return execution.workflow_name or execution.workflow_id


def _node_name(node: execution_pb2.Node) -> str:
    return node.name or node.id


def _duration(execution: execution_pb2.Execution) -> int | UnsetType:
    return _between_ms(execution.started_at_us, execution.ended_at_us)


def _node_duration(node: execution_pb2.Node) -> int | UnsetType:
    return _between_ms(node.started_at_us or node.scheduled_at_us, node.ended_at_us)


def _between_ms(begun_us: int, ended_us: int) -> int | UnsetType:
    return max(0, ended_us - begun_us) // 1_000 if begun_us and ended_us else UNSET


def _node_output(node: execution_pb2.Node) -> Any:
    completed = node.status == execution_pb2.NODE_STATUS_COMPLETED
    return raw_value(node.output) if completed else UNSET


def _compensation(execution: execution_pb2.Execution) -> str | UnsetType:
    return compensation_word(execution) or UNSET


def _search(values: Iterable[search_pb2.SearchValue]) -> dict[str, Any]:
    return {value.name: search_view(value) for value in values}


COMPENSATION = Source(".", _compensation)
DURATION = Source(".", _duration)
EXECUTION_STATUS = Source(read=execution_status)
NAME = Source(".", _name)
NODE_DURATION = Source(".", _node_duration)
NODE_NAME = Source(".", _node_name)
NODE_OUTPUT = Source(".", _node_output)
NODE_STATUS = Source(read=node_status)
SEARCH = Source(read=_search)
