"""Admission reviews: which service judges a resource, and what the cluster adds to the verdict."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from flowmesh.api.apphost.v1 import app_pb2, app_service_pb2
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.fleet.v1 import fleet_service_pb2
from flowmesh.errors import NotFound, Unavailable
from flowmesh.operator.agents import Agents
from flowmesh.operator.kinds import MISSING_TASKS, Key
from flowmesh.operator.objects import Objects
from flowmesh.operator.provisioning.checks import Checks
from flowmesh.operator.provisioning.documents import Documents
from flowmesh.operator.provisioning.provisioner import Provisioner
from flowmesh.operator.reviews import Reviewer
from flowmesh.operator.suite import Suite
from tests.api_server import SYSTEM, ApiServer, Refused, api_server
from tests.stubs import Stub
from tests.unit.operator.made import made

PAY = made("Workflow", "pay", {"tasks": [{"id": "a", "taskRef": "charge"}]})
CHARGE = made("WorkflowTask", "charge", {"type": "charge"})
POLICY = made("ScalingPolicy", "more", {"agentSpec": "packer"})
PACKER = made("AgentSpec", "packer", {"command": ["python"]})
APP = made("App", "shop", {"source": {"document": "name: shop"}, "port": 8080, "replicas": 1})
FINDING = app_pb2.AppFinding(code="APP_INVALID", message="wrong")
NO_SPEC = NotFound("AGENT_SPEC_NOT_FOUND", "no packer")


def problems(*codes: str) -> pb.ValidateWorkflowResponse:
    severity = definition_pb2.SEVERITY_ERROR
    return pb.ValidateWorkflowResponse(
        problems=[definition_pb2.Problem(code=code, severity=severity) for code in codes]
    )


@dataclass
class Reviewed:
    """A reviewer, and the services that it calls."""

    server: ApiServer
    reviewer: Reviewer
    objects: Objects
    suite: Stub

    async def review(self, found: Any, operation: str = "CREATE", before: Any = None) -> Any:
        request = {"uid": "u1", "operation": operation, "namespace": "shop", "object": found}
        return await self.reviewer.review({**request, "oldObject": before})

    async def delete(self, kind: str, name: str) -> Any:
        request = {"uid": "u1", "operation": "DELETE", "namespace": "shop", "name": name}
        return await self.reviewer.review({**request, "kind": {"kind": kind}})


@pytest.fixture
async def reviewed() -> AsyncIterator[Reviewed]:
    stub, objects = Stub(), Objects()
    known = cast("Any", stub)
    async with api_server() as (server, client):
        provisioner = Provisioner(
            client=client,
            objects=objects,
            checks=Checks(executions=known, objects=objects),
            namespace=SYSTEM,
            image="flowmesh:1",
        )
        reviewer = Reviewer(
            client=client,
            objects=objects,
            suite=Suite(definitions=known, templates=known, cluster="c1"),
            agents=Agents(known, cluster="c1"),
            provisioner=provisioner,
            documents=Documents(known),
        )
        yield Reviewed(server, reviewer, objects, stub)


def reasons(verdict: Any) -> list[str]:
    return [each["reason"] for each in verdict["status"]["details"]["causes"]]


@pytest.mark.parametrize("codes", [(), ("GRAPH_CYCLE",)])
async def test_the_definition_service_judges_a_workflow(
    reviewed: Reviewed, codes: tuple[str, ...]
) -> None:
    """In the namespace of the suite."""
    reviewed.suite.answers["ValidateWorkflow"] = problems(*codes)
    verdict = await reviewed.review(PAY)
    assert (verdict["uid"], verdict["allowed"]) == ("u1", not codes)
    assert not codes or reasons(verdict) == ["GRAPH_CYCLE"]
    assert reviewed.suite.last("ValidateWorkflow").namespace == "shop"


@pytest.mark.parametrize("place", ["watched", "server", "deleted", "nowhere"])
async def test_a_task_of_the_cluster_is_not_missing(reviewed: Reviewed, place: str) -> None:
    """One that was applied a moment before may not be in the suite, nor in the watch."""
    reviewed.suite.answers["ValidateWorkflow"] = [problems("TASK_NOT_FOUND"), problems()]
    found = CHARGE
    if place == "deleted":
        found = {**CHARGE, "metadata": {**CHARGE["metadata"], "deletionTimestamp": "now"}}
    if place in ("watched", "deleted"):
        reviewed.objects.put(Key("WorkflowTask", "shop", "charge"), found)
    if place == "server":
        reviewed.server.put("workflowtasks", found)
    verdict = await reviewed.review(PAY)
    assert verdict["allowed"] is (place in ("watched", "server"))
    if verdict["allowed"]:
        source = reviewed.suite.last("ValidateWorkflow").source
        assert source.index(b'"WorkflowTask"') < source.index(b'"Workflow"')
    else:
        assert reasons(verdict) == ["TASK_NOT_FOUND"]


async def test_a_task_that_cannot_be_read_is_no_verdict(reviewed: Reviewed) -> None:
    """The API server answers by its failure policy."""
    reviewed.suite.answers["ValidateWorkflow"] = problems("TASK_NOT_FOUND")
    reviewed.server.failures["GET workflowtasks"] = Refused(500, "etcd is away")
    with pytest.raises(Exception, match="etcd is away"):
        await reviewed.review(PAY)


@pytest.mark.parametrize("found", [PAY, POLICY], ids=["workflow", "policy"])
async def test_a_namespace_may_wait_for_what_is_missing(reviewed: Reviewed, found: Any) -> None:
    """By its label; the finding is a warning then."""
    reviewed.suite.answers["ValidateWorkflow"] = problems("TASK_NOT_FOUND")
    reviewed.suite.answers["ApplyScalingPolicy"] = NO_SPEC
    assert not (await reviewed.review(found))["allowed"]
    labels = {MISSING_TASKS: "wait"}
    reviewed.objects.put_namespace("shop", {"labels": labels}, ending=False)
    verdict = await reviewed.review(found)
    assert verdict["allowed"]
    assert len(verdict["warnings"]) == 1


@pytest.mark.parametrize("place", ["watched", "server", "nowhere"])
async def test_a_spec_of_the_cluster_is_not_missing(reviewed: Reviewed, place: str) -> None:
    """A policy may be applied in one file with its spec."""
    reviewed.suite.answers["ApplyScalingPolicy"] = NO_SPEC
    if place == "watched":
        reviewed.objects.put(Key("AgentSpec", "shop", "packer"), PACKER)
    if place == "server":
        reviewed.server.put("agentspecs", PACKER)
    assert (await reviewed.review(POLICY))["allowed"] is (place != "nowhere")


async def test_the_fleet_judges_a_spec_of_agents(reviewed: Reviewed) -> None:
    """Without storing it."""
    reviewed.suite.answers["ApplyAgentSpec"] = fleet_service_pb2.ApplyAgentSpecResponse()
    assert (await reviewed.review(PACKER))["allowed"]
    assert reviewed.suite.last("ApplyAgentSpec").dry_run


async def test_an_app_is_judged_by_the_api_server_and_then_by_the_host(reviewed: Reviewed) -> None:
    """A document is checked last, since that starts a process."""
    reviewed.suite.answers["ValidateApp"] = app_service_pb2.ValidateAppResponse(findings=[FINDING])
    assert reasons(await reviewed.review(APP)) == ["APP_INVALID"]
    assert reviewed.server.objects == {}
    assert (await reviewed.review(APP, "UPDATE", before=APP))["allowed"]
    reviewed.server.failures["PATCH deployments"] = Refused(422, "bad image")
    reviewed.suite.calls.clear()
    assert reasons(await reviewed.review(APP)) == ["REQUEST_INVALID"]
    assert not reviewed.suite.calls


async def test_an_infrastructure_is_judged_by_the_api_server_alone(reviewed: Reviewed) -> None:
    """It has no document."""
    spec = {"kind": "redis", "size": "1Gi", "deletionPolicy": "delete"}
    assert (await reviewed.review(made("Infrastructure", "cache", spec)))["allowed"]
    assert not reviewed.suite.calls


@pytest.mark.parametrize(
    ("count", "said"), [(0, ""), (1, "by w00 ["), (12, "w08, w09 and 2 more [TASK_IN_USE]")]
)
async def test_a_task_in_use_is_not_deleted(reviewed: Reviewed, count: int, said: str) -> None:
    """The refusal names ten of its users."""
    users = [pb.WorkflowReference(name=f"w{number:02}") for number in range(count)]
    reviewed.suite.answers["ListTaskUsages"] = pb.ListTaskUsagesResponse(workflows=users)
    verdict = await reviewed.delete("WorkflowTask", "charge")
    assert verdict["allowed"] is (count == 0)
    if count:
        assert (verdict["status"]["code"], verdict["status"]["reason"]) == (409, "Conflict")
        assert said in verdict["status"]["message"]


async def test_other_deletions_need_no_suite(reviewed: Reviewed) -> None:
    """Nor does that of a whole namespace."""
    reviewed.suite.answers["ListTaskUsages"] = Unavailable("SERVICE_UNAVAILABLE", "away")
    assert (await reviewed.delete("Workflow", "pay"))["allowed"]
    reviewed.objects.put_namespace("shop", {}, ending=True)
    assert (await reviewed.delete("WorkflowTask", "charge"))["allowed"]
    reviewed.objects.remove_namespace("shop")
    with pytest.raises(Unavailable):
        await reviewed.delete("WorkflowTask", "charge")
