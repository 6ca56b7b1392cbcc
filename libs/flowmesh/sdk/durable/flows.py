"""The workflow of a single durable handler, which its worker registers."""

from flowmesh.errors import Invalid, NotFound
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.workflows.declarations import Duration, Retry
from flowmesh.sdk.workflows.flow import Workflow

LABEL = "durable-handler"
"""Label of such a workflow; one without it belongs to somebody else."""


def durable_workflow(
    name: str, *, retry: Retry | None = None, timeout: Duration | None = None
) -> Workflow:
    """A workflow whose only task is the handler; its input and output are the handler's."""
    flow = Workflow(name, labels={LABEL: name})
    flow.task(name, name, retry=retry, timeout=timeout)
    return flow


async def register_workflow(client: Client, flow: Workflow) -> None:
    """Registers it; raises Invalid where another workflow has its name."""
    try:
        known = await client.get_workflow(flow.id)
    except NotFound:
        known = None
    if known is not None and known.labels.get(LABEL) != flow.id:
        raise Invalid(
            "REQUEST_INVALID",
            f"the workflow {flow.id!r} is not that of the durable handler; give the handler another"
            " name, or register it with workflow=False and name it in a task of that workflow",
        )
    await client.register(flow)
