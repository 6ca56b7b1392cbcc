"""Requests over a real HTTP connection."""

from typing import Any

import pytest

from tests.integration.gateway.conftest import Rest
from tests.integration.gateway.standin import HUGE


async def test_a_definition_comes_back_as_it_was_posted(rest: Rest) -> None:
    """Registration returns 201, the same content 200; the definition is returned byte for byte."""
    text = '{"id": "order-processing",  "big": 1180591620717411303424, "x": 1.50}'
    headers = {"Content-Type": "application/json"}
    first = await rest.call("POST", "/workflows", data=text, headers=headers)
    again = await rest.call("POST", "/workflows", data=text, headers=headers)
    async with rest.http.get(rest.url + "/workflows/order-processing") as response:
        assert await response.text() == text
    assert first[0] == 201
    assert first[1]["created"] is True
    assert first[1]["id"] == "order-processing"
    assert again[0] == 200
    assert again[1] == first[1] | {"created": False}
    status, listed = await rest.call("GET", "/workflows")
    assert status == 200
    assert listed["nextPageToken"] == ""
    assert [each["id"] for each in listed["workflows"]] == ["order-processing"]


async def test_the_root_redirects_to_the_page(rest: Rest) -> None:
    """A browser at the root is redirected to the API page."""
    async with rest.http.get(rest.url + "/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/swagger")


async def test_start_get_list_and_visualize(rest: Rest) -> None:
    """The step-JSON routes use their fixed spellings."""
    await rest.register("order-processing", "slow")
    execution_id = await rest.start("order-processing")
    await rest.start("slow")
    status, execution = await rest.call("GET", f"/executions/{execution_id}")
    assert status == 200
    assert execution["status"] == "completed"
    assert execution["completedSteps"] == ["charge"]
    assert execution["stepResults"]["charge"]["result"] == {"paid": HUGE}
    assert execution["context"] == {"amount": 3, "charge": {"paid": HUGE}}
    _, picture = await rest.call("GET", f"/executions/{execution_id}/visualize")
    assert picture["steps"][0]["dependencies"] == []
    _, listed = await rest.call("GET", "/executions?workflowId=slow&status=running")
    assert [each["workflowId"] for each in listed["executions"]] == ["slow"]
    _, none = await rest.call("GET", "/executions?status=failed,paused")
    assert none["executions"] == []


async def test_execute_returns_outputs(rest: Rest) -> None:
    """A synchronous run returns 200 with outputs and exact integers, under both paths."""
    await rest.register("order-checkout")
    for path in ("/workflows/order-checkout/execute", "/api/v1/workflows/order-checkout/execute"):
        status, answer = await rest.call("POST", path, json={"input": {"amount": HUGE}})
        assert status == 200
        assert answer["status"] == "completed"
        assert answer["outputs"] == {"charge": {"paid": HUGE}}
        assert answer["tasks"]["charge"] == {"status": "success", "attempts": 2, "durationMs": 3}
        assert rest.executions.starts[-1].input.data == b'{"amount":%d}' % HUGE


async def test_a_failed_run_answers_422_with_the_same_shape(rest: Rest) -> None:
    """A failed run names the task, with the class and the message."""
    await rest.register("failing")
    status, answer = await rest.call("POST", "/workflows/failing/execute", json={"input": {}})
    assert status == 422
    assert answer["status"] == "failed"
    assert answer["outputs"] == {}
    assert answer["error"] == {
        "class": "ClientError",
        "message": "card refused",
        "taskId": "charge",
    }


async def test_a_run_that_takes_too_long_answers_504_with_its_id(rest: Rest) -> None:
    """After the waiting time the status is 504, or 202 if preferred."""
    await rest.register("slow")
    body = {"input": {}, "timeoutMs": 20}
    status, answer = await rest.call("POST", "/workflows/slow/execute", json=body)
    assert (status, answer["error"]["reason"]) == (504, "SYNC_TIMEOUT")
    assert answer["executionId"] == "exec-1"
    prefer = {"Prefer": "respond-async, wait=10"}
    status, answer = await rest.call("POST", "/workflows/slow/execute", json=body, headers=prefer)
    assert (status, answer) == (202, {"executionId": "exec-2"})


async def test_a_disconnect_cancels_the_call(rest: Rest) -> None:
    """The call of a synchronous run is canceled when its client disconnects."""
    await rest.register("slow")
    reader, writer = await open_connection(rest)
    writer.write(
        b"POST /workflows/slow/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    )
    await writer.drain()
    await rest.executions.waiting.wait()
    writer.close()
    await rest.executions.left.wait()
    assert reader is not None


async def open_connection(rest: Rest) -> Any:
    import asyncio

    host, port = rest.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_invalid_input_answers_400_and_names_the_field(rest: Rest) -> None:
    """Invalid input is rejected with its violations."""
    status, answer = await rest.call("POST", "/workflows/strict/execute", json={"input": {}})
    assert status == 400
    assert answer["error"]["reason"] == "INPUT_INVALID"
    assert answer["error"]["details"] == [
        {"field": "input.amount", "description": "is missing", "code": "INPUT_INVALID"}
    ]


async def test_start_by_key_answers_the_first_execution(rest: Rest) -> None:
    """The Idempotency-Key header is the request id; a different one in the body is rejected."""
    await rest.register("order")
    body = {"workflowId": "order", "context": {}}
    key = {"Idempotency-Key": '"k-1"'}
    first = await rest.call("POST", "/executions/start", json=body, headers=key)
    again = await rest.call("POST", "/executions/start", json=body | {"requestId": "k-1"})
    assert first == again
    status, answer = await rest.call(
        "POST", "/executions/start", json=body | {"requestId": "k-2"}, headers=key
    )
    assert (status, answer["error"]["details"][0]["field"]) == (400, "requestId")


@pytest.mark.parametrize("path", ["/executions/{}/cancel", "/api/v1/executions/{}:cancel"])
async def test_cancel_answers_202_then_409_with_the_state(rest: Rest, path: str) -> None:
    """The second cancellation returns the state of the execution."""
    await rest.register("slow")
    execution_id = await rest.start("slow")
    status, answer = await rest.call("POST", path.format(execution_id), json={"reason": "no"})
    assert (status, answer) == (202, {"executionId": execution_id, "status": "canceled"})
    status, answer = await rest.call("POST", path.format(execution_id))
    assert (status, answer["error"]["reason"]) == (409, "EXECUTION_ENDED")
    assert answer["status"] == "canceled"


async def test_signal_and_terminate(rest: Rest) -> None:
    """A signal is in the history with its value; a termination ends the execution."""
    await rest.register("slow")
    execution_id = await rest.start("slow")
    path = f"/api/v1/executions/{execution_id}"
    signal = {"name": "approved", "payload": [1, "two"]}
    status, answer = await rest.call("POST", f"{path}:signal", json=signal)
    assert (status, answer) == (202, {"executionId": execution_id, "sequence": 2})
    status, answer = await rest.call("POST", f"{path}:terminate")
    assert (status, answer["status"]) == (202, "canceled")
    _, answer = await rest.call("GET", f"{path}/history?after=1")
    assert [event["type"] for event in answer["events"]] == ["SignalReceived", "WorkflowCanceled"]
    assert answer["ended"] is True
    assert answer["events"][0]["data"]["payload"] == [1, "two"]


async def test_canonical_execution_shows_its_tasks(rest: Rest) -> None:
    """The canonical state holds input, tasks and times; the list contains it."""
    await rest.register("order")
    execution_id = await rest.start("order")
    _, answer = await rest.call("GET", f"/api/v1/executions/{execution_id}")
    assert answer["workflow"] == "order"
    assert answer["input"] == {"amount": 3}
    assert answer["tasks"]["charge"]["output"] == {"paid": HUGE}
    assert answer["startedAt"] == "2023-11-14T22:13:20.000000Z"
    _, listed = await rest.call("GET", "/api/v1/executions?workflow=order")
    assert [each["executionId"] for each in listed["executions"]] == [execution_id]


async def test_resources(rest: Rest) -> None:
    """Apply, read, check, analyze and delete with the canonical paths."""
    path = "/api/v1/workflows"
    yaml = {"Content-Type": "application/x-yaml; charset=utf-8"}
    status, answer = await rest.call("POST", path, data='{"id": "flow"}', headers=yaml)
    assert (status, answer["name"], answer["version"]) == (201, "flow", 1)
    assert rest.definitions.requests[-1].content_type == "application/yaml"
    _, answer = await rest.call("GET", f"{path}/flow")
    assert answer["definition"] == {"id": "flow"}
    assert len(answer["digest"]) == 64
    _, answer = await rest.call("GET", f"{path}/flow/versions")
    assert [each["version"] for each in answer["versions"]] == [1]
    _, answer = await rest.call("GET", f"{path}/flow/versions/1")
    assert answer["version"] == 1
    _, answer = await rest.call("GET", f"{path}/flow/analysis")
    assert answer["forest"]["adjacencyList"]["a"]["successors"] == ["b"]
    assert answer["execution"]["parallelExecutionGroups"] == [["a"], ["b"]] == answer["groups"]
    status, answer = await rest.call("POST", f"{path}:validate", json={})
    assert (status, answer["valid"], answer["problems"][0]["line"]) == (200, False, 3)
    assert await rest.call("DELETE", f"{path}/flow") == (204, None)
    assert (await rest.call("GET", f"{path}/flow"))[0] == 404
    _, answer = await rest.call("GET", "/api/v1/tasks/fetch-user/usages")
    assert answer == {"workflows": [{"name": "user-orders", "version": 2}]}
    status, answer = await rest.call("DELETE", "/api/v1/tasks/fetch-user")
    assert (status, answer["error"]["reason"]) == (409, "TASK_IN_USE")


async def test_services_are_listed_with_their_state(rest: Rest) -> None:
    """Filters of the list reach the registry."""
    path = "/api/v1/services?type=core&status=healthy&capability=x&capability=y,z"
    _, answer = await rest.call("GET", path)
    assert answer["services"][0]["status"] == "HEALTHY"
    assert rest.registry.requests[-1].capabilities == ["x", "y", "z"]
    assert (await rest.call("GET", "/api/v1/services/worker-1"))[1]["name"] == "worker"


async def test_large_values_travel_by_reference(rest: Rest) -> None:
    """An input above 256 KiB is stored first, and inlined in the response."""
    await rest.register("order")
    context = {"text": "x" * 300_000}
    body = {"workflowId": "order", "context": context}
    _, answer = await rest.call("POST", "/executions/start", json=body)
    assert rest.executions.starts[-1].input.reference.size_bytes > 300_000
    _, execution = await rest.call("GET", f"/executions/{answer['executionId']}")
    assert execution["context"]["text"] == context["text"]


async def test_a_stored_payload_can_be_the_input(rest: Rest) -> None:
    """The result of an upload is usable as an input."""
    await rest.register("order")
    status, stored = await rest.call("PUT", "/api/v1/payloads", json={"amount": 4})
    assert status == 201
    body = {"workflowId": "order", "context": stored}
    _, answer = await rest.call("POST", "/executions/start", json=body)
    _, execution = await rest.call("GET", f"/executions/{answer['executionId']}")
    assert execution["context"]["amount"] == 4
    digest = stored["$payload"]["digest"]
    assert (await rest.call("GET", f"/api/v1/payloads/{digest}"))[1] == {"amount": 4}


async def test_namespaces_are_named_by_a_header(rest: Rest) -> None:
    """Definitions of a namespace are invisible in others."""
    one = {"Flowmesh-Namespace": "one"}
    await rest.call("POST", "/workflows", json={"id": "flow"}, headers=one)
    assert (await rest.call("GET", "/workflows/flow", headers=one))[0] == 200
    assert (await rest.call("GET", "/workflows/flow"))[0] == 404


async def test_head_and_options_are_answered(rest: Rest) -> None:
    """HEAD is GET without a body; OPTIONS lists the methods."""
    async with rest.http.head(rest.url + "/workflows") as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 0
        assert await response.read() == b""
    async with rest.http.options(rest.url + "/workflows") as response:
        assert response.status == 204
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_requests_are_counted_by_route(rest: Rest) -> None:
    """Labels are templates, never client data."""
    await rest.call("GET", "/workflows/secret-id")
    await rest.call("GET", "/secret-path")
    text = rest.metrics.exposition()[0].decode()
    assert 'method="GET",route="/workflows/{workflowId}",status="404"' in text
    assert 'route="unknown"' in text
    assert "secret" not in text
