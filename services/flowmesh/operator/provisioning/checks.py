"""Checks of a colour that is ready, before it gets traffic."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx2
import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.operator.kinds import Object
from flowmesh.operator.limits import CHECK_TIMEOUT_S
from flowmesh.operator.objects import Objects

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub


class Checks:
    """Runs the checks of an App against the Service of a colour."""

    def __init__(self, *, executions: "ExecutionServiceAsyncStub", objects: Objects) -> None:
        self._executions = executions
        self._objects = objects

    async def problem(
        self,
        app: Object,
        colour: str,
        release: str,
        checks: Sequence[Mapping[str, Any]],
        service: Object | None,
    ) -> str:
        """Return why the first check fails; empty if all pass."""
        if not checks:
            return ""
        host = service["spec"]["clusterIP"] if service else ""
        address = f"http://{f'[{host}]' if ':' in host else host}:{app['spec']['port']}"
        for check in checks:
            if http := check.get("http"):
                problem = await _requested(f"{address}{http['path']}")
            else:
                problem = await self._executed(app, check["workflow"], colour, release, address)
            if problem:
                return problem
        return ""

    async def _executed(
        self, app: Object, workflow: str, colour: str, release: str, address: str
    ) -> str:
        """Start a workflow once for each release, and wait for it."""
        name, namespace = app["metadata"]["name"], app["metadata"]["namespace"]
        given = {"app": name, "colour": colour, "release": release, "address": address}
        try:
            answer = await self._executions.StartExecution(
                pb.StartExecutionRequest(
                    namespace=self._objects.suite_namespace(namespace),
                    workflow_id=workflow,
                    input=payload_pb2.Payload(data=orjson.dumps(given)),
                    request_id=f"{app['metadata']['uid']}-{release}-{workflow}"[:128],
                    wait_ms=int(CHECK_TIMEOUT_S * 1000),
                    actor="kubernetes:flowmesh-operator",
                    without_nodes=True,
                )
            )
        except FlowmeshError as error:
            return f"check {workflow}: {error.message}"
        status = answer.execution.status
        if status == execution_pb2.EXECUTION_STATUS_COMPLETED:
            return ""
        if not answer.HasField("execution"):
            return f"check {workflow}: execution {answer.execution_id} is running"
        return f"check {workflow}: execution {answer.execution_id} has not completed"


async def _requested(url: str) -> str:
    try:
        async with httpx2.AsyncClient(timeout=CHECK_TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(url)
    except httpx2.HTTPError as error:
        return f"check {url}: {type(error).__name__}"
    return "" if answer.is_success else f"check {url}: status {answer.status_code}"
