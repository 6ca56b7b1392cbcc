"""The record of a built-in task type. Imports nothing but the standard library.

Every table that names built-in task types derives from these records: reading and checking
definitions, editor schemas, plans, limits, reruns, dry runs, the topology, the executors of the
worker, and the reference pages.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from flowmesh.contract.json_value import Json

Schema = dict[str, Any]
TIMEOUT_MS = 300_000
"""The default limit of an attempt."""


class Effect(Enum):
    """The effect of an attempt on other systems."""

    COMPUTES = "computes its output and does nothing else"
    CONTROLS = "directs the execution itself"
    LOGS = "writes a log line"
    READS = "reads another system"
    CHANGES = "changes another system"
    BY_METHOD = "reads or changes another system, as its HTTP method implies"
    UNKNOWN = "calls another system with an unknown effect"


class InputMode(Enum):
    """The source of a task's input in step JSON."""

    TEMPLATE = "the parameters, rendered by the orchestrator"
    CONTEXT = "the context of the execution"
    RENDERED = "the context, and the worker renders the parameters with it"


class CheckKind(Enum):
    """The check of a task's parameters at registration, beyond its schema."""

    NONE = "no check"
    CONFIG = "templates in step JSON"
    TEMPLATES = "templates in each parameter"
    HTTP = "URL, headers, body and authentication"
    TRANSFORM = "JavaScript or a pipeline"
    JAVASCRIPT = "JavaScript syntax"
    PYTHON = "Python syntax"
    CONDITION = "one condition"
    DECISION = "a list of conditions"
    DELAY = "a duration"
    DATABASE = "an SQL statement, its parameters and identifiers"
    UNARY = "a gRPC target, its metadata and request"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The system that a task calls; `parameter` holds its address."""

    kind: Literal["url", "target", "database", "subscribers"]
    parameter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskType:
    """A built-in task type.

    Paths are `package.module:name` and are imported when they are first used. A type either names
    the factory of its executor or, where one coroutine function does the work, gives it as `run`.
    """

    name: str
    summary: str
    """One sentence for the reference pages."""
    effect: Effect
    executor: str = ""
    """Path of a factory; its parameters name fields of `executors.collaborators.Collaborators`."""
    run: Callable[[dict[str, Json], Any], Awaitable[Json]] | None = None
    """Takes the rendered parameters and the attempt, returns the output."""
    parameters: Schema | str = ""
    """JSON Schema, or the path of a function of `more`: whether unknown members are allowed."""
    action_parameters: str = ""
    """Path of the schema in step JSON where it differs."""
    output: Schema | None = None
    """JSON Schema of the output, where it does not depend on the parameters."""
    native: str = ""
    """The `type` in a WorkflowTask; empty for a type that no WorkflowTask has."""
    block: str = ""
    """The member of a WorkflowTask that holds the parameters."""
    block_required: bool = True
    reader: str = ""
    """Path of the function that reads the block; by default the schema is applied."""
    action: Literal["read", "unchecked", "refused"] = "refused"
    """The treatment of the type as an `action` of step JSON."""
    action_reader: str = ""
    """Path of the function that reads the params of step JSON where it differs."""
    check: CheckKind = CheckKind.TEMPLATES
    input_mode: InputMode = InputMode.TEMPLATE
    context_without: str = ""
    """A parameter; without it the whole context is sent."""
    timeout_ms: int = TIMEOUT_MS
    upstream: Upstream | None = None
    journaled: bool = False
    """True if the steps of an attempt are committed one by one."""
    composite: bool = False
    """True if one attempt consists of several steps of an open standard."""
    by_name: bool = False
    """True if workflows can refer to the type by its name, without a resource."""
    reserved: bool = True
    """True if a remote worker cannot register the type."""

    @property
    def is_run_by_worker(self) -> bool:
        return bool(self.executor) or self.run is not None

    @property
    def is_repeatable(self) -> bool:
        """Return whether an attempt that is discarded leaves nothing behind."""
        return self.is_run_by_worker and self.effect in (Effect.COMPUTES, Effect.CONTROLS)

    @property
    def stays_inside(self) -> bool:
        """Return whether an attempt calls no other system."""
        return self.effect in _INSIDE

    @property
    def takes_secrets(self) -> bool:
        """Return whether templates of the parameters may read secrets.

        Only for calls of other systems: values computed from a secret would be stored.
        """
        return self.upstream is not None and self.upstream.kind != "subscribers"

    @property
    def changes_always(self) -> bool:
        """Return whether an attempt serves its effect and not its output."""
        return self.effect in (Effect.CHANGES, Effect.LOGS)

    def changes(self, parameters: Mapping[str, Json]) -> bool:
        """Return whether an attempt is known to change another system."""
        if self.effect is Effect.BY_METHOD:
            return parameters.get("method") in CHANGING_METHODS
        return self.effect is Effect.CHANGES

    def only_reads(self, parameters: Mapping[str, Json]) -> bool:
        """Return whether an attempt serves nothing but its output."""
        if self.effect is Effect.BY_METHOD:
            return parameters.get("method") in READING_METHODS
        return self.effect in (Effect.COMPUTES, Effect.READS)

    def repeats_effect(self, parameters: Mapping[str, Json]) -> bool:
        """Return whether a second run may affect another system again."""
        if self.effect is Effect.BY_METHOD:
            return str(parameters.get("method", "GET")).upper() not in READING_METHODS
        return self.effect in (Effect.CHANGES, Effect.UNKNOWN)


_INSIDE = frozenset({Effect.COMPUTES, Effect.CONTROLS, Effect.LOGS})
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
