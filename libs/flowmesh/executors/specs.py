"""Compiled task specs, cached by digest: the step and its schema checks."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.executors.base import AnyStep, Executor
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.limits import COMPILED_SPECS_MAX
from flowmesh.executors.memo import MemoRule
from flowmesh.executors.schemas import SchemaCheck
from flowmesh.executors.secrets import InputSecrets
from flowmesh.expressions.secrets import keys_in, with_templates
from flowmesh.tasktypes import TASK_TYPES
from flowmesh.tasktypes.builtin.standards import SERVERLESS_TASK
from flowmesh.tasktypes.upstreams import system_of


@dataclass(frozen=True, slots=True)
class ReadySpec:
    """A compiled spec. A check is None if any value is valid."""

    step: AnyStep
    input_check: SchemaCheck | None
    output_check: SchemaCheck | None
    # Set if the attempt may reuse an earlier result.
    memo: MemoRule | None = None
    # Keys of the secrets that an attempt needs.
    secrets: frozenset[str] = frozenset()
    # Set if the input of the node has secrets.
    input_secrets: InputSecrets | None = None
    # The called system in the topology; empty for none, and for services that are called by name.
    system: str = ""


class ReadySpecs:
    """Compiles each spec once and keeps the most recently used ones."""

    def __init__(self, executors: Mapping[str, Executor], now_us: NowUs) -> None:
        self._executors = executors
        self._now_us = now_us
        self._ready: OrderedDict[str, ReadySpec] = OrderedDict()

    @property
    def task_types(self) -> tuple[str, ...]:
        return tuple(self._executors)

    def ready(self, digest: str, specs: Mapping[str, TaskSpec]) -> ReadySpec:
        """Return the compiled spec. Raises TaskFailure if it cannot be compiled."""
        found = self._ready.get(digest)
        if found is not None:
            self._ready.move_to_end(digest)
            return found
        spec = specs.get(digest)
        if spec is None:
            raise invalid("the task's specification was not sent with it")
        try:
            made = self._compile(spec)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise invalid(f"the configuration of {spec.task_type} is not usable") from error
        self._ready[digest] = made
        if len(self._ready) > COMPILED_SPECS_MAX:
            self._ready.popitem(last=False)
        return made

    def _compile(self, spec: TaskSpec) -> ReadySpec:
        executor = self._executors.get(spec.task_type)
        if executor is None:
            raise invalid(f"task type {spec.task_type} is not built in")
        config, secrets = _with_secrets(spec, _config(spec))
        inputs = InputSecrets(spec) if spec.input_secrets else None
        return ReadySpec(
            step=executor(spec, config),
            input_check=SchemaCheck(spec.input_schema, "input") if spec.input_schema else None,
            output_check=SchemaCheck(spec.output_schema, "output") if spec.output_schema else None,
            memo=MemoRule(spec, self._now_us) if spec.HasField("cache") else None,
            secrets=secrets | inputs.keys if inputs is not None else secrets,
            input_secrets=inputs,
            system="" if config.get("service") else system_of(spec.task_type, config),
        )


def _with_secrets(spec: TaskSpec, config: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the configuration with templates for its secrets, and the keys of the secrets."""
    if spec.task_type == SERVERLESS_TASK.name:
        return config, frozenset(config.get("secrets") or ())
    task_type = TASK_TYPES.get(spec.task_type)
    if task_type is None or not task_type.takes_secrets:
        return config, frozenset()
    config = with_templates(config)
    return config, keys_in(config)


def _config(spec: TaskSpec) -> dict[str, Any]:
    try:
        config = orjson.loads(spec.config) if spec.config else {}
    except orjson.JSONDecodeError:
        raise invalid("the task's configuration is not JSON") from None
    if not isinstance(config, dict):
        raise invalid("the task's configuration is not an object")
    return config
