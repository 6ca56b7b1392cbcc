"""The workflow of a single durable handler, registered by its worker."""

from flowmesh.errors import Invalid, NotFound
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.workflows.declarations import Duration, Retry
from flowmesh.sdk.workflows.flow import Workflow

LABEL = "durable-handler"
"""The label that marks a workflow of a durable handler."""


def durable_workflow(
    name: str, *, retry: Retry | None = None, timeout: Duration | None = None
) -> Workflow:
    """Create a workflow whose only task is the handler; it has the input and output of the task."""
    flow = Workflow(name, labels={LABEL: name})
    flow.task(name, name, retry=retry, timeout=timeout)
    return flow


async def register_workflow(client: Client, flow: Workflow) -> None:
    """Register the workflow; raises Invalid if another workflow has its name."""
    try:
        known = await client.get_workflow(flow.id)
    except NotFound:
        known = None
    if known is not None and known.labels.get(LABEL) != flow.id:
        raise Invalid(
            "REQUEST_INVALID",
            f"the workflow {flow.id!r} exists and is not of a durable handler; give the handler"
            " another name, or register it with workflow=False and use it as a task there",
        )
    await client.register(flow)
