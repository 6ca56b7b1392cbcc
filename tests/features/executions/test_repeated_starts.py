"""A repeated request starts nothing, if it says the same in whatever order of keys."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import Conflict
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.events.test_triggers import known
from tests.features.executions.test_children import child, parent
from tests.features.natives import applied, workflow
from tests.features.tenants.test_limits import own

LARGE = "x" * 300_000
SAME = [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"o": {"x": [{"p": 1, "q": 2}]}}, {"o": {"x": [{"q": 2, "p": 1}]}}),
    ({"a": LARGE, "b": 2}, {"b": 2, "a": LARGE}),
]
OTHER = [
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}),
    ({"a": [1, 2]}, {"a": [2, 1]}),
    ({"a": 1}, {"a": True}),
    ({"a": LARGE, "b": 2}, {"b": 3, "a": LARGE}),
]
Start = Callable[[Suite, str, Any, str], Awaitable[str]]


async def by_sdk(suite: Suite, name: str, value: Any, key: str) -> str:
    async with Client(suite.grpc_address) as client:
        return (await client.start(name, value, request_id=key)).id


async def by_session(suite: Suite, name: str, value: Any, key: str) -> str:
    async with Client(suite.grpc_address) as client, client.session() as session:
        call = await session.start(name, value, request_id=key)
        return await call.started()


async def by_rest(suite: Suite, name: str, value: Any, key: str) -> str:
    headers = {"content-type": "application/json", "Idempotency-Key": key}
    body = orjson.dumps({"workflowId": name, "context": value})
    answer = await suite.post("/executions/start", data=body, headers=headers)
    if answer.status == 409:
        raise Conflict(answer.json["error"]["reason"], answer.text)
    return str(answer.json["executionId"])


async def by_grpc(suite: Suite, name: str, value: Any, key: str) -> str:
    """With white space, which no encoder of ours writes."""
    data = json.dumps(value, indent=1).encode()
    stub: Any = pb_grpc.ExecutionServiceStub(suite.channel)
    payload = payload_pb2.Payload(data=data)
    if len(data) > 200_000:

        async def chunks() -> Any:
            yield pb.PutPayloadRequest(chunk=data)

        payload = (await pb_grpc.PayloadServiceStub(suite.channel).PutPayload(chunks())).payload
    request = pb.StartExecutionRequest(workflow_id=name, request_id=key, input=payload)
    return str((await stub.StartExecution(request)).execution_id)


WAYS = [by_sdk, by_session, by_rest, by_grpc]
POLICIES: list[dict[str, Any]] = [{}, {"start": {"concurrency": 1, "onConflict": "JOIN"}}]


@pytest.mark.long
@pytest.mark.parametrize("policy", POLICIES, ids=["alone", "joining"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_repeat_is_known_by_its_values(
    suite: Suite, way: Start, policy: dict[str, Any]
) -> None:
    """On every way in; another value or another order of a list is refused."""
    name = own("repeated")
    await applied(suite, workflow(name, {"id": "a", "taskRef": "noop"}, **policy))
    for first, again in SAME:
        key = own("key")
        started = await way(suite, name, first, key)
        assert await way(suite, name, again, key) == started
        assert await by_grpc(suite, name, again, key) == started
    for first, other in OTHER:
        key = own("key")
        await way(suite, name, first, key)
        with pytest.raises(Conflict) as refused:
            await way(suite, name, other, key)
        assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_a_start_that_another_answered_is_known_by_its_values(suite: Suite) -> None:
    """Its own input is not kept, and no execution has it."""
    name = own("joined")
    wait = {"id": "a", "taskRef": "delay", "input": {"duration": "1h"}}
    await applied(suite, workflow(name, wait, **POLICIES[1]))
    holder = await by_sdk(suite, name, {"n": 1}, own("key"))
    key = own("key")
    assert await by_sdk(suite, name, {"a": 1, "b": 2}, key) == holder
    assert await by_sdk(suite, name, {"b": 2, "a": 1}, key) == holder
    with pytest.raises(Conflict, match="other content"):
        await by_sdk(suite, name, {"b": 3, "a": 1}, key)
    async with Client(suite.grpc_address) as client:
        await client.handle(holder).terminate()


async def test_another_workflow_or_label_is_no_repeat(suite: Suite) -> None:
    """The values are compared where all else is the same."""
    one, two, key = own("one"), own("two"), own("key")
    for name in (one, two):
        await applied(suite, workflow(name, {"id": "a", "taskRef": "noop"}))
    await by_sdk(suite, one, {"a": 1, "b": 2}, key)
    with pytest.raises(Conflict, match="other content"):
        await by_sdk(suite, two, {"b": 2, "a": 1}, key)
    async with Client(suite.grpc_address) as client:
        with pytest.raises(Conflict, match="other content"):
            await client.start(one, {"b": 2, "a": 1}, request_id=key, labels={"team": "x"})


async def test_a_child_under_an_id_is_known_by_its_values(suite: Suite) -> None:
    """Two parents that build its input in another order have the same child."""
    below, above = own("below"), own("above")
    starts = parent(above, below, id=f"{below}-{{{{input.order}}}}", wait=False)
    await applied(suite, child(below), starts)
    told = []
    for n in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}):
        told.append(await suite.wait(await suite.begin(above, {"n": n, "order": 7})))
    first, again, other = told
    assert first["stepResults"]["below"]["result"] == again["stepResults"]["below"]["result"]
    assert "cannot be started" in other["error"]["message"]


async def test_a_webhook_called_again_is_known_by_its_name(suite: Suite) -> None:
    """Senders repeat a call under its name, whatever order they write its keys in."""
    name = own("called")
    hook = {"id": "in", "webhook": {"input": "{{payload}}"}}
    await applied(suite, workflow(name, {"id": "a", "taskRef": "noop"}, triggers=[hook]))
    (shown,) = await known(suite, name)
    headers = {"content-type": "application/json", "idempotency-key": own("call")}
    first = await suite.post(shown["url"], data=b'{"a":1,"b":2}', headers=headers)
    again = await suite.post(shown["url"], data=b'{"b":2,"a":1}', headers=headers)
    assert (first.status, again.status) == (202, 200), again.text
    assert first.json["executionId"] == again.json["executionId"]


async def test_a_rerun_is_known_by_its_values(suite: Suite) -> None:
    """Its edited input is compared as that of a start is."""
    name, key = own("rerun"), own("key")
    await applied(suite, workflow(name, {"id": "a", "taskRef": "noop"}))
    async with Client(suite.grpc_address) as client:
        handle = await client.start(name, {"a": 0, "b": 0})
        await handle.result()
        first = await handle.rerun(input={"a": 1, "b": 2}, request_id=key)
        again = await handle.rerun(input={"b": 2, "a": 1}, request_id=key)
        with pytest.raises(Conflict, match="other content"):
            await handle.rerun(input={"b": 2, "a": 2}, request_id=key)
    assert first.id == again.id
