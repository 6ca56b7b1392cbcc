"""The step that starts an execution of the suite."""

import os

from flowmesh.apps.data.effects import EFFECT_KEY
from flowmesh.apps.document.expansion import ADDRESS
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.errors import FlowmeshError

WAIT_S = 30.0


def workflow(context: StepContext) -> StepCall:
    """Compile step.workflow; the suite is that of FLOWMESH_ADDRESS.

    The id of the request and the step make the start idempotent.
    """
    config = context.spec.config
    name, waits = str(config["workflow"]), bool(config["wait"])
    given = context.value("input")
    step = context.spec.name

    async def call(run: Run) -> Output:
        from flowmesh.sdk.client.client import Client
        from flowmesh.sdk.values.failures import ExecutionFailed

        address = os.environ.get(ADDRESS, "")
        if not address:
            text = f"step.workflow needs a suite; set {ADDRESS} to its address"
            raise HttpProblem(503, "SUITE_MISSING", text)
        value = given(run) if given is not None else run.current
        id = str(run.meta.get("messageId") or run.meta.get("runId") or "")
        request = f"app-{context.pipeline}-{step}-{id}" if id else ""
        request = EFFECT_KEY.get() or request
        try:
            async with Client(address) as client:
                wait = WAIT_S if waits else 0
                handle = await client.start(name, value, request_id=_fitting(request), wait=wait)
                output: Output = {"execution_id": handle.id}
                if waits:
                    output["result"] = await handle.result(WAIT_S)
        except ExecutionFailed as error:
            raise HttpProblem(502, "EXECUTION_FAILED", str(error)) from None
        except FlowmeshError as error:
            raise HttpProblem(error.http_status, error.reason, error.message) from None
        return output

    return call


def _fitting(text: str) -> str:
    """Return a request id: letters, digits, and . _ : -."""
    return "".join(c if c.isalnum() or c in "._:-" else "-" for c in text)[:128]
