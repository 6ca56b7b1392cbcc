"""Definitions of a cluster in the suite: stored, deleted, checked, and why not."""

from typing import Any, cast

import orjson
import pytest

from flowmesh.api.definition.v1 import definition_pb2, template_service_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.errors import (
    Conflict,
    FlowmeshError,
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
    Violation,
    WrongState,
)
from flowmesh.operator.suite import Suite
from tests.stubs import Stub
from tests.unit.operator.made import key, made

OWNER = "kubernetes/c1/shop"
WORKFLOW = made("Workflow", "pay", {"tasks": [{"id": "a"}, {"id": "b"}]})
TASK = made("WorkflowTask", "charge", {"type": "charge"})
TEMPLATE = made("WorkflowTemplate", "each", {"resources": []})
APPLIED = pb.ApplyResponse(
    resources=[pb.AppliedResource(kind="Workflow", name="pay", version=3, digest="d3")],
    warnings=[definition_pb2.Problem(path="tasks[0]", message="has no retries")],
)
USED = pb.ListTaskUsagesResponse(
    workflows=[pb.WorkflowReference(name=name) for name in ("pay", "ship", "pay")]
)


def suite(**answers: Any) -> tuple[Suite, Stub]:
    stub = Stub(**answers)
    known = cast("Any", stub)
    return Suite(definitions=known, templates=known, cluster="c1"), stub


async def test_a_stored_workflow_has_version_digest_and_nodes() -> None:
    """And is stored under the name of its cluster, without what the cluster adds."""
    managers = [
        {"manager": "flowmesh-operator"},
        {"manager": "kubectl"},
        {"manager": "scaler", "subresource": "status"},
    ]
    found = {**WORKFLOW, "metadata": {**WORKFLOW["metadata"], "managedFields": managers}}
    calls, stub = suite(Apply=APPLIED)
    outcome = await calls.register(key(found), found, "labs")
    assert (outcome.ready, outcome.reason) == (True, "Registered")
    assert (outcome.version, outcome.digest, outcome.nodes) == (3, "d3", 2)
    assert (outcome.used_by, outcome.warnings) == (None, ["tasks[0]: has no retries"])
    request = stub.last("Apply")
    assert (request.namespace, request.owner, request.actor) == (
        "labs",
        OWNER,
        "kubernetes:kubectl",
    )
    assert orjson.loads(request.source)["metadata"] == {"name": "pay"}


@pytest.mark.parametrize(("answer", "count"), [(USED, 2), (NotFound("TASK_NOT_FOUND", "no"), 0)])
async def test_a_stored_task_has_its_users(answer: Any, count: int) -> None:
    """Each workflow once."""
    calls, stub = suite(Apply=APPLIED, ListTaskUsages=answer)
    outcome = await calls.register(key(TASK), TASK, "labs")
    assert (outcome.used_by, outcome.nodes) == (count, None)
    assert stub.last("Apply").actor == "kubernetes:unknown"


MISSING = Violation("tasks[0]", "no task charge", "TASK_NOT_FOUND")


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (WrongState("OWNED_ELSEWHERE", "git has it"), "OwnedElsewhere", "git has it"),
        (TooLarge("DEFINITION_TOO_LARGE", "9 MiB"), "Invalid", "9 MiB"),
        (Conflict("ALREADY_EXISTS", "twice"), "Invalid", "twice"),
        (
            Invalid("DEFINITION_INVALID", "wrong", violations=(MISSING,)),
            "MissingTask",
            "tasks[0]: no task charge [TASK_NOT_FOUND]",
        ),
        (
            Invalid(
                "DEFINITION_INVALID",
                "wrong",
                violations=(MISSING, Violation("", "cyclic", "GRAPH_CYCLE"), MISSING, MISSING),
            ),
            "Invalid",
            "tasks[0]: no task charge [TASK_NOT_FOUND]; cyclic;"
            " tasks[0]: no task charge [TASK_NOT_FOUND]; 1 more",
        ),
    ],
    ids=["owner", "size", "conflict", "missing task", "several"],
)
async def test_a_refusal_that_stays_is_an_outcome(
    error: FlowmeshError, reason: str, message: str
) -> None:
    """With three problems at most."""
    calls, _ = suite(Apply=error)
    outcome = await calls.register(key(WORKFLOW), WORKFLOW, "labs")
    assert (outcome.ready, outcome.reason, outcome.message) == (False, reason, message)


@pytest.mark.parametrize(
    "error", [Unavailable("SERVICE_UNAVAILABLE", "away"), WrongState("NAMESPACE_ENDING", "ends")]
)
async def test_an_error_that_may_pass_is_raised(error: FlowmeshError) -> None:
    """The key comes again."""
    calls, _ = suite(Apply=error)
    with pytest.raises(type(error), match=error.message):
        await calls.register(key(WORKFLOW), WORKFLOW, "labs")


@pytest.mark.parametrize(
    ("found", "method", "answer", "id_field"),
    [
        (WORKFLOW, "DeleteWorkflow", pb.DeleteWorkflowResponse(), "workflow_id"),
        (TASK, "DeleteTask", pb.DeleteTaskResponse(), "name"),
        (TEMPLATE, "DeleteTemplate", template_service_pb2.DeleteTemplateResponse(), "name"),
    ],
    ids=["workflow", "task", "template"],
)
async def test_a_deleted_object_leaves_the_suite(
    found: Any, method: str, answer: Any, id_field: str
) -> None:
    """By the call of its kind, as its owner; it stays while it is in use."""
    calls, stub = suite(**{method: answer})
    assert await calls.unregister(key(found), "labs") is None
    request = stub.last(method)
    assert (request.namespace, request.owner) == ("labs", OWNER)
    assert getattr(request, id_field) == found["metadata"]["name"]
    stub.answers[method] = WrongState("TASK_IN_USE", "pay uses it")
    kept = await calls.unregister(key(found), "labs")
    assert kept is not None
    assert (kept.ready, kept.reason, kept.message) == (False, "InUse", "pay uses it")


@pytest.mark.parametrize(
    "error", [NotFound("WORKFLOW_NOT_FOUND", "no"), WrongState("OWNED_ELSEWHERE", "git has it")]
)
async def test_an_object_that_was_never_stored_is_gone_at_once(error: FlowmeshError) -> None:
    """Another owner keeps its definition."""
    calls, _ = suite(DeleteWorkflow=error)
    assert await calls.unregister(key(WORKFLOW), "labs") is None


async def test_resources_are_checked_together() -> None:
    """As one source of several documents."""
    problem = definition_pb2.Problem(code="GRAPH_CYCLE")
    calls, stub = suite(ValidateWorkflow=pb.ValidateWorkflowResponse(problems=[problem]))
    assert list(await calls.check("labs", [{"kind": "A"}, {"kind": "B"}])) == [problem]
    request = stub.last("ValidateWorkflow")
    assert request.source == b'{"kind":"A"}\n---\n{"kind":"B"}'
    assert request.content_type == "application/yaml"
