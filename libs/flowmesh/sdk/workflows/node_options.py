"""What may be said of the nodes of a workflow that is defined in code."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypedDict

from flowmesh.sdk.payloads import Json
from flowmesh.sdk.workflows.declarations import Duration, Retry, duration_text
from flowmesh.sdk.workflows.refs import plain


class Named(Protocol):
    """A node of a workflow that is being built."""

    @property
    def id(self) -> str: ...


class After(NamedTuple):
    """A dependency that is met when the node has ended like this: failure, success, a label."""

    id: str
    outcome: str


class MapOptions(TypedDict, total=False):
    """What may be said of a map in a workflow, and of a task."""

    # Nodes, their ids, or what is to have come of them: `pay.on("failure")`.
    depends_on: Sequence["After | Named | str"]
    # STRICT, ALL, ANY, or how many of its dependencies and which, as in a resource.
    join: Json
    name: str
    # A CEL expression; false skips the node and what depends on it.
    condition: str
    # False: its failure does not fail the workflow.
    critical: bool
    # What else a resource says of it: onFailure, fallback, undo, limits, requires, cache …
    also: Mapping[str, Json]


class TaskOptions(MapOptions, total=False):
    """What may be said of a task in a workflow, whatever runs it."""

    # Any JSON value; references at any depth are dependencies too.
    input: Json
    retry: Retry | None
    # Limit of one attempt.
    timeout: Duration | None
    # Limit of the wait of an attempt for a worker that begins it.
    schedule_to_start: Duration | None
    # LOW, NORMAL, HIGH or CRITICAL: which ready task leaves first.
    priority: str
    queue: str
    # What whoever starts the execution must be permitted for it to run.
    permissions: Sequence[str]


OPTIONS = frozenset(TaskOptions.__annotations__)


def map_fields(options: MapOptions) -> dict[str, Json]:
    """The options of any node as a resource writes them; what is not said is left out."""
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
    """The options of a task as a resource writes them."""
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
    return fields | map_fields(options)
