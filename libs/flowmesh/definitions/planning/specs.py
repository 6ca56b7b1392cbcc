"""The TaskSpec of a node's task, and the input of the node."""

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.durations import duration_ms
from flowmesh.contract.json_value import Json
from flowmesh.definitions.canonical import json_bytes, schema_bytes
from flowmesh.definitions.model import Dialect, Node, Task
from flowmesh.definitions.references import has_template, ids_in, split_input
from flowmesh.expressions.secrets import input_secrets
from flowmesh.tasktypes import TASK_TYPES, InputMode, timeout_of
from flowmesh.tasktypes.builtin.code import TRANSFORM
from flowmesh.tasktypes.builtin.conditions import CONDITION, DECISION

DIALECTS = {each: plan_pb2.Dialect.Value(f"DIALECT_{each.name}") for each in Dialect}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input of a node: the mode, and the template if the mode has one."""

    mode: plan_pb2.InputMode.ValueType
    template: bytes = b""


_NONE = Inputs(plan_pb2.INPUT_MODE_NONE)
_CONTEXT = Inputs(plan_pb2.INPUT_MODE_CONTEXT)


def inputs_of(node: Node, task: Task) -> Inputs:
    if task.dialect is Dialect.NATIVE:
        return Inputs(plan_pb2.INPUT_MODE_TEMPLATE, json_bytes(split_input(node)[0]))
    task_type = TASK_TYPES.get(task.executor)
    mode = InputMode.TEMPLATE if task_type is None else task_type.input_mode
    if mode is InputMode.CONTEXT:
        return _CONTEXT
    if task_type is not None and mode is InputMode.RENDERED:
        without = task_type.context_without
        sends = task.config.get("send_context") or (without and task.config.get(without) is None)
        return _CONTEXT if sends or has_template(task.config) else _NONE
    return Inputs(plan_pb2.INPUT_MODE_TEMPLATE, json_bytes(task.config))


def spec_of(node: Node, task: Task, ids: Container[str]) -> plan_pb2.TaskSpec:
    """Return the spec with its digest; equal tasks give equal bytes."""
    spec = plan_pb2.TaskSpec(
        task_type=task.executor,
        dialect=DIALECTS[task.dialect],
        task_name=task.name if node.task is None else "",
        config=json_bytes(_config(node, task, ids)),
        input_schema=schema_bytes(task.input_schema),
        output_schema=schema_bytes(task.output_schema),
    )
    if node.cache is not None:
        scopes = (plan_pb2.CACHE_SCOPE_WORKFLOW, plan_pb2.CACHE_SCOPE_NAMESPACE)
        spec.cache.ttl_ms = node.cache.ttl_ms
        spec.cache.scope = scopes[node.cache.everywhere]
        if node.cache.key is not None:
            spec.cache.key_template = json_bytes(node.cache.key)
    if task.dialect is Dialect.NATIVE and node.has_input:
        for secret in input_secrets(node.input):
            spec.input_secrets.add(path=orjson.dumps(secret.path), text=secret.text)
    spec.digest = digest_of(spec)
    return spec


def _config(node: Node, task: Task, ids: Container[str]) -> dict[str, Json]:
    if task.dialect is Dialect.STEPS:
        if task.executor == CONDITION.name:
            return {**task.config, "steps": ids_in(str(task.config.get("expression", "")), ids)}
        if task.executor == DECISION.name:
            sources = (str(each["expression"]) for each in task.config["conditions"])
            return {**task.config, "steps": ids_in("\n".join(sources), ids)}
        return task.config
    if task.executor == TRANSFORM.name:
        pipeline = split_input(node)[1]
        if pipeline is not None:
            return {"pipeline": pipeline, "input_key": "source"}
        if "pipeline" in task.config and isinstance(node.input, dict) and "source" in node.input:
            return {**task.config, "input_key": "source"}
    return task.config


def digest_of(message: Any) -> str:
    """Return the SHA-256 of a message whose `digest` is empty."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()


def timeout_ms(node: Node, task: Task) -> int:
    return node.timeout_ms or task.timeout_ms or timeout_of(task.executor)


def delay_of(node: Node, task: Task) -> tuple[int, bytes]:
    """Return a timer's constant duration in ms, or the template that renders to it."""
    value = task.config.get("duration")
    if value is None and isinstance(node.input, dict):
        value = node.input.get("duration")
    if isinstance(value, str):
        found = duration_ms(value)
        return (0, orjson.dumps(value)) if found is None else (found, b"")
    return int(value or 0), b""
