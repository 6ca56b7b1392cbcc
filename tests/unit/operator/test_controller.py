"""Objects of a cluster on their way into the suite: finalizer, status, Events, deletion."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from lightkube import ApiError, AsyncClient

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.fleet.v1 import agent_pb2, fleet_service_pb2
from flowmesh.errors import Invalid, NotFound, Unavailable, Violation, WrongState
from flowmesh.operator import controller as module
from flowmesh.operator.agents import Agents
from flowmesh.operator.controller import Controller
from flowmesh.operator.kinds import DELETION_POLICY, FINALIZER, KINDS, Key
from flowmesh.operator.limits import AGENTS_AGAIN_S, USERS_COUNTED_AFTER_S
from flowmesh.operator.metrics import OperatorMetrics
from flowmesh.operator.objects import Objects
from flowmesh.operator.provisioning.checks import Checks
from flowmesh.operator.provisioning.provisioner import Provisioner
from flowmesh.operator.suite import Suite
from flowmesh.operator.work_queue import WorkQueue
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import done
from tests.api_server import SYSTEM, ApiServer, Refused, api_server
from tests.stubs import Stub
from tests.unit.operator.made import key, made, ready

APPLIED = pb.ApplyResponse(resources=[pb.AppliedResource(name="pay", version=1, digest="d1")])
PAY = made("Workflow", "pay", {"tasks": [{"id": "a", "taskRef": "charge"}]})
CHARGE = made("WorkflowTask", "charge", {"type": "charge"})
AWAY = Unavailable("SERVICE_UNAVAILABLE", "no definition service")
PLURALS = {"Workflow": "workflows", "WorkflowTask": "workflowtasks", "AgentSpec": "agentspecs"}
USERS = pb.ListTaskUsagesResponse(workflows=[pb.WorkflowReference(name="pay")])


class Place:
    """A controller, its cluster, and the services that it calls."""

    def __init__(self, server: ApiServer, client: AsyncClient) -> None:
        self.server, self.objects = server, Objects()
        self.suite = Stub(Apply=APPLIED, ListTaskUsages=USERS)
        self.queue: WorkQueue[Key] = WorkQueue(now_s=self.now, jitter=lambda: 0.0)
        self.leading, self.listed = asyncio.Event(), asyncio.Event()
        self.metrics = Metrics()
        self.passed_s = 0.0
        known = cast("Any", self.suite)
        self.controller = Controller(
            client=client,
            objects=self.objects,
            suite=Suite(definitions=known, templates=known, cluster="c1"),
            agents=Agents(known, cluster="c1"),
            provisioner=Provisioner(
                client=client,
                objects=self.objects,
                checks=Checks(executions=known, objects=self.objects),
                namespace=SYSTEM,
                image="flowmesh:1",
            ),
            queue=self.queue,
            leading=self.leading,
            listed=[self.listed],
            metrics=OperatorMetrics(self.metrics),
            draw=lambda: 0.5,
        )

    def now(self) -> float:
        return self.passed_s

    def put(self, found: dict[str, Any]) -> Key:
        """Store an object in the cluster, and in what the watches know."""
        self.server.put(PLURALS.get(found["kind"], KINDS[found["kind"]]._api_info.plural), found)
        return self.see(key(found))

    def see(self, named: Key) -> Key:
        """Take the newest object, as a watch does."""
        found = self.found(named)
        if found is None:
            self.objects.remove(named)
        else:
            self.objects.put(named, found)
        return named

    def found(self, named: Key) -> Any:
        plural = KINDS[named.kind]._api_info.plural
        return self.server.get(plural, named.name, named.namespace)

    async def step(self, named: Key) -> str:
        outcome = await self.controller.reconcile(named)
        self.see(named)
        return outcome

    def condition(self, named: Key) -> dict[str, Any]:
        (condition,) = self.found(named)["status"]["conditions"]
        return dict(condition)

    @property
    def events(self) -> list[str]:
        """The Events of objects, as `kubectl get events` shows them."""
        found = [each for (kind, _, _), each in self.server.objects.items() if kind == "events"]
        return [f"{each['type']} {each['reason']}: {each['message']}" for each in found]

    def reconciled(self, kind: str, outcome: str) -> float:
        labels = {"kind": kind, "outcome": outcome}
        found = self.metrics.registry.get_sample_value("flowmesh_operator_reconciles_total", labels)
        return found or 0.0


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(module, "CALLS_PER_SECOND", 10_000)
    async with api_server() as opened:
        yield Place(*opened)


async def test_an_object_is_finalized_registered_and_released(place: Place) -> None:
    """The finalizer is there before the suite knows anything."""
    pay = place.put({**PAY, "metadata": {**PAY["metadata"], "finalizers": ["other"]}})
    assert await place.step(pay) == "finalized"
    assert not place.suite.calls
    assert place.found(pay)["metadata"]["finalizers"] == ["other", FINALIZER]
    assert await place.step(pay) == "registered"
    status = place.found(pay)["status"]
    assert (status["version"], status["digest"], status["nodes"]) == (1, "d1", 1)
    assert place.condition(pay)["status"] == "True"
    assert place.events == ["Normal Registered: Registered"]
    assert await place.step(pay) == "unchanged"
    place.suite.answers["DeleteWorkflow"] = pb.DeleteWorkflowResponse()
    place.put({**place.found(pay), "metadata": {**place.found(pay)["metadata"], **DELETED}})
    assert await place.step(pay) == "released"
    assert place.found(pay)["metadata"]["finalizers"] == ["other"]
    assert place.suite.methods == ["Apply", "DeleteWorkflow"]


DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


async def test_a_refusal_is_a_condition_and_a_warning(place: Place) -> None:
    """It waits for a change of the object."""
    missing = Violation("tasks[0]", "no task charge", "TASK_NOT_FOUND")
    refused = Invalid("DEFINITION_INVALID", "wrong", violations=(missing,))
    place.suite.answers["Apply"] = refused
    pay = place.put(PAY)
    assert await place.step(pay) == "MissingTask"
    assert place.condition(pay)["reason"] == "MissingTask"
    text = "tasks[0]: no task charge [TASK_NOT_FOUND]"
    assert place.events == [f"Warning MissingTask: {text}"]
    assert await place.step(pay) == "unchanged"
    # Its task arrives: both are compared again.
    place.suite.answers["Apply"] = APPLIED
    charge = place.put(CHARGE)
    assert await place.step(charge) == "registered"
    assert place.found(charge)["status"]["usedBy"] == 1
    assert await place.queue.take() == pay
    assert await place.step(pay) == "registered"
    # The users of the task are counted again, soon.
    assert len(place.queue) == 1
    place.passed_s += USERS_COUNTED_AFTER_S
    assert await place.queue.take() == charge
    assert await place.step(charge) == "registered"


async def test_without_the_suite_the_status_says_so_and_the_key_comes_again(place: Place) -> None:
    """One Event for the change, not for each try."""
    place.suite.answers["Apply"] = AWAY
    pay = place.put(PAY)
    for _ in range(2):
        assert await place.step(pay) == "unavailable"
    assert place.condition(pay)["message"] == "no definition service"
    assert len(place.events) == 1
    place.suite.answers["Apply"] = APPLIED
    assert await place.step(pay) == "registered"


@pytest.mark.parametrize("ending", [False, True])
async def test_a_task_in_use_stays_unless_its_namespace_ends(place: Place, ending: bool) -> None:
    """A namespace is deleted with everything in it; the suite keeps the definition then."""
    place.suite.answers["DeleteTask"] = WrongState("TASK_IN_USE", "pay uses it")
    place.objects.put_namespace("shop", {}, ending=ending)
    charge = place.put({**CHARGE, "metadata": {**CHARGE["metadata"], **DELETED}})
    if ending:
        assert await place.step(charge) == "released"
        assert place.found(charge) is None
        assert place.events == ["Warning Retained: pay uses it"]
    else:
        assert await place.step(charge) == "unavailable"
        assert place.condition(charge)["reason"] == "InUse"


async def test_a_retained_object_leaves_its_definition(place: Place) -> None:
    """No service is needed for that, nor that the object is still there."""
    kept = {**DELETED, "annotations": {DELETION_POLICY: "retain"}}
    pay = place.put({**PAY, "metadata": {**PAY["metadata"], **kept}})
    place.server.failures["PATCH workflows"] = Refused(404, "it is gone")
    assert await place.step(pay) == "released"
    place.server.failures.clear()
    assert await place.step(pay) == "released"
    assert await place.step(pay) == "unchanged"
    assert not place.suite.calls


async def test_an_object_that_is_gone_has_no_status(place: Place) -> None:
    """Its status is not needed any more; other errors are raised."""
    pay = place.put(PAY)
    place.server.failures["PATCH workflows/shop/pay/status"] = Refused(404, "it is gone")
    assert await place.step(pay) == "registered"
    assert place.events == []
    place.server.failures["PATCH workflows/shop/pay/status"] = Refused(500, "etcd is away")
    with pytest.raises(ApiError, match="etcd is away"):
        await place.step(pay)
    unfinalized = place.put(made("Workflow", "new", finalizers=[]))
    place.server.failures["PATCH workflows"] = Refused(404, "it is gone")
    with pytest.raises(ApiError, match="it is gone"):
        await place.step(unfinalized)


async def test_a_refused_event_is_no_failure(place: Place) -> None:
    """An ending namespace takes none."""
    place.server.failures["POST events"] = Refused(403, "the namespace ends")
    assert await place.step(place.put(PAY)) == "registered"


async def test_the_state_of_agents_is_read_again_and_again(place: Place) -> None:
    """As it changes by itself."""
    packer = made("AgentSpec", "packer", {"command": ["python"]})
    state = agent_pb2.AgentSpecState(
        spec=agent_pb2.AgentSpec(spec="packer"), owner="kubernetes/c1/shop", wanted=1
    )
    place.suite.answers["ApplyAgentSpec"] = fleet_service_pb2.ApplyAgentSpecResponse(spec=state)
    named = place.put(packer)
    assert await place.step(named) == "Progressing"
    assert place.events == ["Normal Progressing: 0 of 1 agents are ready"]
    state.ready = 1
    place.suite.answers["GetAgentSpec"] = fleet_service_pb2.GetAgentSpecResponse(spec=state)
    place.passed_s += AGENTS_AGAIN_S
    assert await place.queue.take() == named
    assert await place.step(named) == "registered"
    assert place.found(named)["status"]["readyReplicas"] == 1


async def test_an_app_is_run_and_looked_at_again(place: Place) -> None:
    """Until it is deleted: what it owns goes with it."""
    app = place.put(made("App", "shop", {"image": "nginx", "port": 80, "replicas": 1}))
    assert await place.step(app) == "Progressing"
    assert place.server.names("deployments") == ["shop-blue"]
    assert len(place.queue) == 1
    found = place.server.get("deployments", "shop-blue")
    assert found is not None
    status = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
    place.server.put("deployments", {**found, "status": status})
    assert await place.step(app) == "running"
    place.put({**place.found(app), "metadata": {**place.found(app)["metadata"], **DELETED}})
    assert await place.step(app) == "unchanged"


async def test_workers_begin_with_the_lead_and_survive_every_error(place: Place) -> None:
    """A key that failed comes again; the metrics count the outcomes."""
    for name in ("pay", "ship"):
        place.put(ready({**PAY, "metadata": {**PAY["metadata"], "name": name}}, "Registered"))
    place.suite.answers["Apply"] = [TypeError("a fault"), APPLIED, AWAY, APPLIED]
    task = asyncio.create_task(place.controller.run())
    try:
        place.listed.set()
        await asyncio.sleep(0)
        assert not place.suite.calls
        place.leading.set()
        await done("failed", lambda: place.reconciled("Workflow", "failed") == 1, within_s=5)
        await done(
            "registered", lambda: place.reconciled("Workflow", "registered") == 1, within_s=5
        )
        place.server.failures["PATCH workflows/shop"] = Refused(409, "changed meanwhile")
        place.passed_s += 1
        place.queue.add(Key("Workflow", "shop", "pay"))
        await done("retried", lambda: place.reconciled("Workflow", "retried") >= 1, within_s=5)
        place.server.failures.clear()
        for _ in range(2):
            place.passed_s += 1
            place.queue.add(Key("Workflow", "shop", "pay"))
            place.queue.add(Key("Workflow", "shop", "ship"))
            await done("idle", lambda: not len(place.queue), within_s=5)
        await done("all", lambda: place.reconciled("Workflow", "registered") >= 2, within_s=5)
    finally:
        task.cancel()


async def test_calls_to_the_suite_are_spread(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After those of a second, each waits for its turn."""
    monkeypatch.setattr(module, "CALLS_PER_SECOND", 10)
    place.suite.answers["Apply"] = AWAY
    pay = place.put(PAY)
    began_s = time.monotonic()
    for _ in range(13):
        assert await place.step(pay) == "unavailable"
    assert time.monotonic() - began_s > 0.15


async def test_a_gone_task_is_not_waited_for(place: Place) -> None:
    """A workflow without tasks of the cluster recounts nothing."""
    place.suite.answers["ListTaskUsages"] = NotFound("TASK_NOT_FOUND", "no")
    assert await place.step(place.put(PAY)) == "registered"
    assert len(place.queue) == 0
