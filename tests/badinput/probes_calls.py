"""Probes of what single calls may carry, and of limits that are set while tasks run."""

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.definition.v1 import version_service_pb2 as versions
from flowmesh.api.event.v1 import trigger_service_pb2 as events
from flowmesh.api.execution.v1 import control_service_pb2 as control
from flowmesh.api.execution.v1 import limits_service_pb2 as limits
from flowmesh.api.execution.v1 import retention_service_pb2 as retention
from flowmesh.contract.json_value import Json
from tests.badinput.bench import Bench
from tests.badinput.probes import NOBODY, PROBES, native, probe

__all__ = ["PROBES"]
APART = "limits"
API = "/flowmesh.api"
NOTHING = ("EXECUTION_NOT_FOUND", "HOOK_NOT_FOUND", "WORKFLOW_NOT_FOUND")


async def got(bench: Bench, path: str) -> str:
    answer = await bench.suite.get(path)
    return "" if answer.status == 200 else refused(str(answer.json["error"]["reason"]))


def refused(reason: str) -> str:
    """Nothing where it was refused for what it is about, not for how much it is."""
    return "" if reason in NOTHING else reason


@probe("page of a list")
async def _(bench: Bench, n: int) -> str:
    return await got(bench, f"/api/v1/executions?pageSize={n}")


@probe("page of a history")
async def _(bench: Bench, n: int) -> str:
    return await got(bench, f"/api/v1/executions/{NOBODY}/history?pageSize={n}")


@probe("wait for an end")
async def _(bench: Bench, n: int) -> str:
    answer = await bench.suite.post(f"/workflows/{NOBODY}/execute", {"input": {}, "timeoutMs": n})
    return refused(str(answer.json["error"]["reason"]))


@probe("paths of an analysis")
async def _(bench: Bench, n: int) -> str:
    return await got(bench, f"/api/v1/workflows/{NOBODY}/analysis?pathCountMax={n}")


@probe("duration of a node in an analysis")
async def _(bench: Bench, n: int) -> str:
    path = f"{API}.definition.v1.DefinitionService/AnalyzeWorkflow"
    request = definitions.AnalyzeWorkflowRequest(workflow_id=NOBODY, durations_ms={"a": n})
    return refused(await bench.call(path, request))


@probe("body of a webhook")
async def _(bench: Bench, n: int) -> str:
    answer = await bench.suite.post(f"/api/v1/hooks/{APART}/{NOBODY}", data=bytes(n))
    return refused(str(answer.json["error"]["reason"]))


@probe("name of the person who decides")
async def _(bench: Bench, n: int) -> str:
    request = control.DecideApprovalRequest(execution_id=NOBODY, node="a", by="x" * n)
    return refused(await bench.call(f"{API}.execution.v1.ControlService/DecideApproval", request))


@probe("permissions of a start")
async def _(bench: Bench, n: int) -> str:
    return await bench.started(permissions=[f"p{i}" for i in range(n)])


@probe("breakpoints")
async def _(bench: Bench, n: int) -> str:
    return await bench.started(breakpoints=["a"] * n)


@probe("actor, reason and owner of a change of definitions")
async def _(bench: Bench, n: int) -> str:
    request = versions.SetLabelRequest(workflow_id=NOBODY, label="l", version="1", reason="x" * n)
    return refused(await bench.call(f"{API}.definition.v1.VersionService/SetLabel", request))


async def published(bench: Bench, **given: Json) -> str:
    event = events.Event(**{"type": "limits", **given})
    request = events.PublishEventRequest(namespace=APART, event=event)
    return await bench.call(f"{API}.event.v1.TriggerService/PublishEvent", request)


@probe("id of a published event")
async def _(bench: Bench, n: int) -> str:
    return await published(bench, id="x" * n)


@probe("source, type or subject of a published event")
async def _(bench: Bench, n: int) -> str:
    return await published(bench, type="x" * n)


@probe("data of a published event")
async def _(bench: Bench, n: int) -> str:
    return await published(bench, data=payload_pb2.Payload(data=b'"%b"' % (b"x" * (n - 2))))


@probe("people that an approval asks")
async def _(bench: Bench, n: int) -> str:
    approval = {"assignees": [f"p{i}" for i in range(n)], "needs": "ANY"}
    return await bench.ran(native({"id": "a", "approval": approval}), wait_ms=2_000)


@probe("retention of a namespace")
async def _(bench: Bench, n: int) -> str:
    request = retention.SetRetentionRequest(namespace=APART, retention_ms=n)
    return await bench.call(f"{API}.execution.v1.RetentionService/SetRetention", request)


async def limited(bench: Bench, kind: int, subject: str, reason: str = "", **given: Json) -> str:
    limit = limits.Limit(
        namespace=APART, kind=limits.LimitKind.ValueType(kind), subject=subject, **given
    )
    request = limits.SetLimitRequest(limit=limit, reason=reason)
    return await bench.call(f"{API}.execution.v1.LimitService/SetLimit", request)


@probe("size of a queue")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_QUEUE, "q", max_size=n)


@probe("concurrency of a limit at run time")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_QUEUE, "q", concurrency=n)


@probe("rate of a limit at run time")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_QUEUE, "q", rate_per_second=n)


@probe("weight of a namespace")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_NAMESPACE, "", weight=n)


@probe("budget of retries at run time")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_UPSTREAM, "api.example", retries=n)


@probe("subject of a limit")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_TASK_TYPE, "x" * n, concurrency=1)


@probe("reason of a limit")
async def _(bench: Bench, n: int) -> str:
    return await limited(bench, limits.LIMIT_KIND_QUEUE, "q", reason="x" * n, concurrency=1)
