"""Both shapes of an execution contain the same data."""

from typing import Any

import msgspec

from flowmesh.api.common.v1 import failure_pb2, link_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2 as pb
from flowmesh.gateway.bodies import answers, step_answers
from flowmesh.gateway.bodies.views import execution_answer, read_members
from flowmesh.views import execution_view
from tests.features.rest.shapes import ONLY_CANONICAL, ONLY_OF_TASKS, as_steps

SECOND_US = 1_000_000


def payload(text: str) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=text.encode(), encoding="application/json")


def failure(node: str) -> failure_pb2.Failure:
    error_class: dict[str, Any] = {"class": "Broken"}
    return failure_pb2.Failure(**error_class, message="It broke.", node=node, details=b'{"a":1}')


def nodes() -> list[pb.Node]:
    """Nodes with each status, and with all fields."""
    whole: dict[str, Any] = {
        "attempts": 2,
        "scheduled_at_us": 5 * SECOND_US,
        "started_at_us": 6 * SECOND_US,
        "ended_at_us": 8 * SECOND_US,
        "dependencies": ["a"],
        "worker_id": "worker-1",
        "due_at_us": 9 * SECOND_US,
        "task_type": "webhook.receive",
        "held": True,
        "undoes": "a",
        "metadata": b"{}",
        "approval": pb.Approval(needed=1, details=payload("{}")),
        "child_execution_id": "exec-child",
        "child_workflow_id": "child",
        "child_version": 3,
    }
    return [
        pb.Node(
            id=f"node-{status}",
            name="Node",
            status=status,
            output=payload('{"done":true}') if status == pb.NODE_STATUS_COMPLETED else None,
            failure=failure("node") if status == pb.NODE_STATUS_FAILED else None,
            final="it says so" if status == pb.NODE_STATUS_FAILED else "",
            **whole,
        )
        for status in pb.NodeStatus.values()
        if status
    ]


def whole_execution() -> pb.Execution:
    """An execution with all fields set, including exclusive ones."""
    return pb.Execution(
        execution_id="exec-1",
        workflow_id="order",
        workflow_name="Order",
        workflow_version=7,
        status=pb.EXECUTION_STATUS_FAILED,
        started_at_us=SECOND_US,
        ended_at_us=9 * SECOND_US,
        input=payload('{"amount":3}'),
        output=payload("[1]"),
        failure=failure("node-4"),
        nodes=nodes(),
        last_sequence=12,
        request_id="r-1",
        format="native",
        signals=[pb.Signal(name="go", payload=payload("1"), received_at_us=SECOND_US)],
        compensation=pb.COMPENSATION_STATE_COMPENSATED,
        origin=pb.Origin(execution_id="exec-0", from_nodes=["a"]),
        stops_everywhere=True,
        archived=True,
        erasure=pb.Erasure(at_us=SECOND_US, actor="ida", reason="asked"),
        link=link_pb2.Link(
            parent_id="exec-p",
            parent_node="below",
            detached=True,
            continued_from="exec-b",
            first_run="exec-f",
        ),
        continued_as="exec-n",
        variables={"count": payload("1")},
        hold=pb.Hold(reason=pb.HOLD_REASON_DELAY, until_us=SECOND_US, key="k"),
    )


def decoded(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def members(shape: type[msgspec.Struct]) -> set[str]:
    return {each.encode_name for each in msgspec.structs.fields(shape)}


def test_both_shapes_have_the_same_values() -> None:
    """Fields that only one shape has are listed."""
    execution = whole_execution()
    shown = decoded(execution_view(execution, read=read_members))
    canonical = decoded(execution_answer(execution, {"node-2": "/hook"}))
    said, unsaid = as_steps(canonical)
    assert shown == said
    assert unsaid <= ONLY_CANONICAL | ONLY_OF_TASKS
    msgspec.json.decode(msgspec.json.encode(shown), type=step_answers.StepExecution)


def test_every_member_is_compared() -> None:
    """The execution has all members of both shapes, so that new ones are compared too."""
    execution = whole_execution()
    shown = decoded(execution_view(execution, read=read_members))
    canonical = decoded(execution_answer(execution, {"node-2": "/hook"}))
    steps, tasks = shown["stepResults"].values(), canonical["tasks"].values()
    assert members(step_answers.StepExecution) == set(shown)
    assert members(answers.ExecutionAnswer) == set(canonical)
    assert members(step_answers.StepResult) == {name for step in steps for name in step}
    assert members(answers.TaskState) == {name for task in tasks for name in task}
