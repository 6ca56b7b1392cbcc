"""Options of the nodes of a workflow built in code."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypedDict

from flowmesh.contract.json_value import Json
from flowmesh.sdk.workflows.declarations import Duration, Retry, duration_text
from flowmesh.sdk.workflows.refs import plain


class Named(Protocol):
    """A node of a workflow."""

    @property
    def id(self) -> str: ...


class After(NamedTuple):
    """A dependency on an outcome of a node: failure, success or a label."""

    id: str
    outcome: str


class MapOptions(TypedDict, total=False):
    """Options of a map or a task."""

    # Nodes, node ids, or required outcomes such as `pay.on("failure")`.
    depends_on: Sequence["After | Named | str"]
    # STRICT, ALL, ANY, or a number of dependencies, in the form of resources.
    join: Json
    name: str
    # A CEL expression; false skips the node and its dependents.
    condition: str
    # False if its failure does not fail the workflow.
    critical: bool
    # Further fields of the resource: onFailure, fallback, undo, limits, requires, cache …
    also: Mapping[str, Json]


class TaskOptions(MapOptions, total=False):
    """Options of a task."""

    # Any JSON value; contained references add dependencies.
    input: Json
    retry: Retry | None
    # The time limit of one attempt.
    timeout: Duration | None
    # The limit of the wait of an attempt for a worker.
    schedule_to_start: Duration | None
    # LOW, NORMAL, HIGH or CRITICAL: the order in which ready tasks are dispatched.
    priority: str
    queue: str
    # The permissions that the caller of the start must have.
    permissions: Sequence[str]
    # True if it may run again, also with an input that is discarded: it is sent before the commit
    # of what made it ready.
    repeatable: bool


OPTIONS = frozenset(TaskOptions.__annotations__)


def map_fields(options: MapOptions) -> dict[str, Json]:
    """Return the options of any node in the form of resources, without defaults."""
    fields: dict[str, Json] = {}
    if name := options.get("name"):
        fields["name"] = name
    if condition := options.get("condition"):
        fields["condition"] = condition
    if not options.get("critical", True):
        fields["critical"] = False
    if join := options.get("join"):
        fields["join"] = plain(join)
    return {**fields, **plain(options.get("also", {}))}


def task_fields(options: TaskOptions) -> dict[str, Json]:
    """Return the options of a task in the form of resources, without defaults."""
    fields: dict[str, Json] = {}
    if options.get("input") is not None:
        fields["input"] = plain(options["input"])
    if retry := options.get("retry"):
        fields["retry"] = retry.as_json()
    if timeout := options.get("timeout"):
        fields["timeout"] = duration_text(timeout)
    if to_start := options.get("schedule_to_start"):
        fields["scheduleToStart"] = duration_text(to_start)
    for key in ("priority", "queue"):
        if value := options.get(key):
            fields[key] = value
    if permissions := options.get("permissions"):
        fields["permissions"] = list(permissions)
    if options.get("repeatable", False):
        fields["repeatable"] = True
    return fields | map_fields(options)
