"""Page tokens belong to the list that gave them out, with its filter."""

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc.aio
import pytest
from google.protobuf import message_factory

from flowmesh.api.event.v1 import trigger_service_pb2 as triggers
from flowmesh.api.execution.v1 import control_service_pb2 as control
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.api.execution.v1 import limits_service_pb2 as limits
from flowmesh.api.registry.v1 import registry_service_pb2 as registry
from flowmesh.testing.suite import Suite
from tests.features.events.test_triggers import known, triggered
from tests.features.hostile import METHODS, Outcome, send
from tests.features.natives import resource
from tests.features.steps import step, workflow

SERVICES = "/flowmesh.api."
EXECUTIONS = f"{SERVICES}execution.v1.ExecutionService/ListExecutions"
DEAD_LETTERS = f"{SERVICES}execution.v1.LimitService/ListDeadLetters"
APPROVALS = f"{SERVICES}execution.v1.ControlService/ListApprovals"
INSTANCES = f"{SERVICES}registry.v1.RegistryService/ListInstances"
TRIGGERS = f"{SERVICES}event.v1.TriggerService/ListTriggers"
CAUSES = f"{SERVICES}event.v1.TriggerService/ListCauses"
A_DAY_US = 86_400_000_000
FAILED = [execution_pb2.EXECUTION_STATUS_FAILED]
CLOCKS = [{"id": name, "cron": {"expression": "0 * * * *"}} for name in ("a", "b")]
LISTS: dict[str, Callable[..., Any]] = {
    EXECUTIONS: execution.ListExecutionsRequest,
    DEAD_LETTERS: limits.ListDeadLettersRequest,
    APPROVALS: control.ListApprovalsRequest,
    INSTANCES: registry.ListInstancesRequest,
    TRIGGERS: triggers.ListTriggersRequest,
    CAUSES: partial(
        triggers.ListCausesRequest,
        workflow_id="hourly",
        trigger_id="a",
        from_us=1,
        to_us=A_DAY_US,
    ),
}
OTHERS: tuple[tuple[str, dict[str, Any]], ...] = (
    (EXECUTIONS, {"statuses": FAILED}),
    (EXECUTIONS, {"workflow_id": "w"}),
    (EXECUTIONS, {"filter": "status = failed"}),
    (EXECUTIONS, {"order_by": "started asc"}),
    (EXECUTIONS, {"started_after_us": 1}),
    (EXECUTIONS, {"namespace": "other"}),
    (DEAD_LETTERS, {"namespace": "other"}),
    (APPROVALS, {"assignee": "ada"}),
    (INSTANCES, {"type": "worker"}),
    (TRIGGERS, {"namespace": "other"}),
    (TRIGGERS, {"workflow_id": "hourly"}),
    (CAUSES, {"trigger_id": "b"}),
    (CAUSES, {"from_us": 2}),
)


async def listed(wire: grpc.aio.Channel, path: str, **about: Any) -> Outcome:
    return await send(wire, path, LISTS[path](page_size=1, **about).SerializeToString())


@pytest.fixture(scope="module")
async def tokens(victim: Suite, wire: grpc.aio.Channel) -> dict[str, str]:
    """A token of each list, to its second page."""
    failing = workflow(step("a", "delay", {"duration": "{{context.none}}"}))
    asking = resource("Workflow", "asks", tasks=[{"id": "ask", "approval": {"assignees": ["ida"]}}])
    assert (await victim.post("/api/v1/workflows", asking)).status in (200, 201)
    clocks = triggered("hourly", *CLOCKS)
    assert (await victim.post("/api/v1/workflows", clocks)).status in (200, 201)
    await known(victim, "hourly", 2)
    for _ in range(2):
        await victim.run(failing)
        started = await victim.post("/api/v1/workflows/asks/start", {})
        assert started.status in (200, 201, 202), started.text
    found = {}
    for path in LISTS:
        answer = await wire.unary_unary(
            path,
            request_serializer=lambda each: each.SerializeToString(),
            response_deserializer=_response(path).FromString,
        )(LISTS[path](page_size=1))
        assert answer.next_page_token, path
        found[path] = answer.next_page_token
    return found


def _response(path: str) -> Any:
    return message_factory.GetMessageClass(METHODS[path].output_type)


@pytest.mark.parametrize("path", LISTS)
async def test_a_token_leads_on_in_its_own_list_only(
    wire: grpc.aio.Channel, tokens: dict[str, str], path: str
) -> None:
    """What another list gave out is refused, whatever both are made of."""
    for of, token in tokens.items():
        outcome = await listed(wire, path, page_token=token)
        expected = ("OK", "") if of == path else ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
        assert (outcome.code, outcome.reason) == expected, of


@pytest.mark.parametrize(("path", "other"), OTHERS)
async def test_a_token_goes_with_its_filter(
    wire: grpc.aio.Channel, tokens: dict[str, str], path: str, other: dict[str, Any]
) -> None:
    """With another filter, order or namespace the list is another one; its pages have any size."""
    outcome = await listed(wire, path, page_token=tokens[path], **other)
    assert (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
