"""Source to plan in one call without a server: for tests, tools and in-process runs."""

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions.checks.everything import check
from flowmesh.definitions.model import Task, Workflow
from flowmesh.definitions.planning.planner import plan_workflow
from flowmesh.definitions.problems import refuse
from flowmesh.definitions.sources import Reading, Resolve, read_source
from flowmesh.errors import Invalid


def no_library(_name: str) -> Task | None:
    """The resolver of an empty library."""
    return None


def checked(source: bytes, content_type: str = "", resolve: Resolve = no_library) -> Reading:
    """Read a source and check it. Raises Invalid or TooLarge with every problem."""
    reading = read_source(source, content_type)
    refuse([*reading.problems, *check(reading, resolve)])
    return reading


def compile_source(
    source: bytes,
    content_type: str = "",
    resolve_task: Resolve = no_library,
    *,
    namespace: str = "default",
    version: int = 1,
) -> plan_pb2.Plan:
    """Return the plan of the only workflow of a source; tasks come from the source or the resolver.

    Raises Invalid or TooLarge with every problem of the source.
    """
    reading = checked(source, content_type, resolve_task)
    workflows = [read for read in reading.resources if isinstance(read.resource, Workflow)]
    if len(workflows) != 1 or not isinstance(workflows[0].resource, Workflow):
        message = f"the source must hold exactly one workflow, not {len(workflows)}"
        raise Invalid("WORKFLOW_INVALID", message)
    return plan_workflow(
        workflows[0].resource,
        reading.with_own_tasks(resolve_task),
        namespace=namespace,
        version=version,
        version_digest=workflows[0].digest,
    )
