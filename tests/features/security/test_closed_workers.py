"""Workers in a closed installation: what an API key of the role worker permits."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.identity.v1 import key_service_pb2
from flowmesh.api.identity.v1.auth_service_pb2 import LoginRequest
from flowmesh.api.worker.v1 import worker_service_pb2 as pb
from flowmesh.api.worker.v1.task_pb2 import Heartbeat, TaskResult
from flowmesh.api.worker.v1.worker_service_pb2_grpc import WorkerServiceStub
from flowmesh.errors import FlowmeshError, Unauthenticated
from flowmesh.sdk import (
    Client,
    Handle,
    Login,
    Service,
    ServiceDiscovery,
    ServiceEndpoint,
    Tokens,
    Worker,
    Workflow,
)
from tests.features.closed import PASSWORD, Caller, Closed, closed_suite
from tests.features.commands import command

PROGRAM = """
import asyncio
from flowmesh.sdk import Worker

worker = Worker(slots=2)

@worker.task("double")
async def double(input, context):
    return 2 * input

@worker.task("large")
async def large(input, context):
    return "x" * len(input)

print("started", flush=True)
worker.run()
"""
WITHIN_S = 30.0


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder: Path = tmp_path_factory.mktemp("closed-workers")
    async with closed_suite(folder) as made:
        yield made


class Tenant:
    """A project with an editor, and keys for workers."""

    def __init__(self, closed: Closed, project: Any, editor: Caller) -> None:
        self._closed, self.project = closed, project
        self.client = self.connect(editor)

    def connect(self, caller: Caller) -> Client:
        address = self._closed.suite.grpc_address
        return Client(address, self.project.namespace, api_key=caller.credential)

    async def key(self, **scope: Any) -> Caller:
        return await self._closed.key(self.project.id, "worker", **scope)

    async def start(self, task_type: str, input: Any = 1) -> Handle:
        """Start a workflow of one task."""
        flow = Workflow(task_type)
        flow.task("only", task_type, input=flow.input)
        await self.client.register(flow)
        return await self.client.start(task_type, input)


@asynccontextmanager
async def tenant(closed: Closed, slug: str) -> AsyncIterator[Tenant]:
    project = await closed.project(slug)
    made = Tenant(closed, project, await closed.key(project.id, "editor"))
    async with made.client:
        yield made


class Stream:
    """A stream of a worker, message by message."""

    def __init__(self, caller: Caller, namespace: str, *task_types: str, **hello: Any) -> None:
        self._channel = grpc.aio.insecure_channel(caller.suite.grpc_address)
        stub: Any = WorkerServiceStub(self._channel)
        self._call = stub.Work(metadata=(("authorization", f"Bearer {caller.credential}"),))
        fields = {"worker_id": "w", "slots": 5, **hello}
        self._hello = pb.WorkHello(namespace=namespace, task_types=task_types, **fields)

    async def open(self) -> None:
        await self.send(hello=self._hello)
        await self.read()

    async def send(self, **request: Any) -> None:
        await self._call.write(pb.WorkRequest(**request))

    async def read(self) -> pb.WorkResponse:
        async with asyncio.timeout(WITHIN_S):
            response: pb.WorkResponse = await self._call.read()
        return response

    async def task(self) -> Any:
        """Return the next task."""
        while not (response := await self.read()).tasks:
            pass
        return response.tasks[0]

    async def stale(self) -> Sequence[str]:
        """Return the tokens of the next results that are refused."""
        while not (response := await self.read()).exceptions:
            pass
        return [each.token for each in response.exceptions]

    async def refusal(self) -> str:
        """Return the error that ends the stream."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self._until_end()
        await self.close()
        return f"{refused.value.code().name} {refused.value.details()}"

    async def _until_end(self) -> None:
        await self.open()
        await self._call.code()
        await self.read()

    async def close(self) -> None:
        self._call.cancel()
        await self._channel.close()


def _output(token: str, text: bytes = b'"forged"') -> dict[str, Any]:
    return {
        "results_frame": 1,
        "results": [TaskResult(token=token, output=Payload(data=text))],
    }


@pytest.mark.feature("S4-63", "S3-129")
async def test_a_worker_program_with_a_key_runs_tasks(closed: Closed, tmp_path: Path) -> None:
    """The key comes from the environment; large values and its registration work with it too."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    async with tenant(closed, "programs") as own:
        key = await own.key(task_types=["double", "large"])
        environment = {
            **os.environ,
            "FLOWMESH_ADDRESS": closed.suite.grpc_address,
            "FLOWMESH_NAMESPACE": own.project.namespace,
            "FLOWMESH_API_KEY": key.credential,
        }
        program = await asyncio.create_subprocess_exec(sys.executable, script, env=environment)
        try:
            assert await (await own.start("double", 21)).result(WITHIN_S) == 42
            text = "y" * 400_000
            assert await (await own.start("large", text)).result(WITHIN_S) == "x" * len(text)
        finally:
            program.terminate()
            await program.wait()
        async with own.connect(key) as client:
            service = Service("doubler", "AGENT", ServiceEndpoint(8_080))
            async with client.registered(service) as instance:
                assert [each.id async for each in client.services(name="doubler")] == [instance.id]


@pytest.mark.feature("S4-63", "S3-129")
async def test_a_worker_without_a_valid_credential_is_refused(closed: Closed) -> None:
    """None, an unknown one, and one of a role that may not work; the error says what to set."""
    async with tenant(closed, "strangers") as own:
        for credential, reason, text in (
            ("", "CREDENTIALS_REQUIRED", "FLOWMESH_API_KEY"),
            ("fm_unknown", "CREDENTIALS_INVALID", "`api_key`"),
            (
                (await closed.key(own.project.id, "editor")).credential,
                "ROLE_REQUIRED",
                "worker",
            ),
        ):
            client = Client(closed.suite.grpc_address, own.project.namespace, api_key=credential)
            async with client:
                with pytest.raises(FlowmeshError) as refused:
                    await Worker(client, {"t": _never}).start()
            assert refused.value.reason == reason
            assert text in str(refused.value)
            assert not credential or credential not in str(refused.value)


async def _never(input: Any, context: Any) -> None:
    raise AssertionError


@pytest.mark.feature("S4-63")
@pytest.mark.parametrize(
    ("hello", "named"),
    [
        ({"task_types": ["pay", "erase"]}, "erase"),
        ({"queues": ["other"]}, "other"),
        ({"queues": []}, "default"),
    ],
)
async def test_a_hello_outside_the_key_is_refused(
    closed: Closed, hello: dict[str, Any], named: str
) -> None:
    """Task types and queues that the key does not name."""
    async with tenant(closed, f"scopes-{named}") as own:
        key = await own.key(task_types=["pay"], queues=["money"])
        fields: dict[str, Any] = {"task_types": ["pay"], "queues": ["money"], **hello}
        types = fields.pop("task_types")
        permitted = Stream(key, own.project.namespace, "pay", queues=["money"])
        await permitted.open()
        await permitted.close()
        refused = await Stream(key, own.project.namespace, *types, **fields).refusal()
        assert refused.startswith("PERMISSION_DENIED the API key does not permit")
        assert named in refused


@pytest.mark.feature("S4-63")
async def test_a_foreign_namespace_is_refused_in_each_hello(closed: Closed) -> None:
    """As one that does not exist; a second hello on a stream ends it."""
    async with tenant(closed, "own-namespace") as own, tenant(closed, "foreign-namespace") as other:
        key = await own.key()
        foreign = await Stream(key, other.project.namespace, "t").refusal()
        missing = await Stream(key, "never-was", "t").refusal()
        assert foreign.replace(other.project.namespace, "never-was") == missing
        assert foreign.startswith("NOT_FOUND")

        for namespace, code in (
            (other.project.namespace, "NOT_FOUND"),
            (own.project.namespace, "INVALID_ARGUMENT"),
        ):
            stream = Stream(key, own.project.namespace, "t")
            await stream.open()
            hello = pb.WorkHello(worker_id="w", namespace=namespace, task_types=["t"], slots=1)
            await stream.send(hello=hello)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await stream.read()
            assert ended.value.code().name == code


@pytest.mark.feature("S4-63")
async def test_a_task_of_another_tenant_is_out_of_reach(closed: Closed) -> None:
    """Its worker's id, its token in a hello, a heartbeat or a result: the task is not touched."""
    async with tenant(closed, "victims") as own, tenant(closed, "attackers") as other:
        worker = Stream(await own.key(), own.project.namespace, "slow", worker_id="victim")
        await worker.open()
        running = await own.start("slow")
        task = await worker.task()

        attacker = await other.key()
        namespace = other.project.namespace
        taken = await Stream(attacker, namespace, "slow", worker_id="victim").refusal()
        assert taken.startswith("PERMISSION_DENIED")

        thief = Stream(attacker, namespace, "slow", worker_id="thief", held=[task.token])
        await thief.open()
        await thief.send(heartbeats=[Heartbeat(token=task.token)])
        await thief.send(**_output(task.token))
        assert await thief.stale() == [task.token]
        await thief.close()

        await worker.send(**_output(task.token, b'"real"'))
        assert await running.result(WITHIN_S) == "real"
        await worker.close()


@pytest.mark.feature("S4-63")
async def test_a_task_of_another_key_is_out_of_reach(closed: Closed) -> None:
    """Also within one project: keys have task types of their own."""
    async with tenant(closed, "colleagues") as own:
        namespace = own.project.namespace
        worker = Stream(await own.key(task_types=["pay"]), namespace, "pay", worker_id="payer")
        await worker.open()
        running = await own.start("pay")
        task = await worker.task()
        other = Stream(await own.key(task_types=["note"]), namespace, "note", worker_id="logger")
        await other.open()
        await other.send(**_output(task.token))
        assert await other.stale() == [task.token]
        await worker.send(**_output(task.token, b"1"))
        assert await running.result(WITHIN_S) == 1
        await worker.close()
        await other.close()


@pytest.mark.feature("S4-63")
async def test_a_result_of_a_task_that_no_worker_holds_is_checked(closed: Closed) -> None:
    """The worker service does not know the token; the orchestrator knows the task."""
    async with tenant(closed, "queued") as own, tenant(closed, "guessers") as other:
        running = await own.start("unserved")
        token = f"{running.id}|only|1"
        thief = Stream(await other.key(), other.project.namespace, "unserved", worker_id="guesser")
        await thief.open()
        await thief.send(**_output(token))
        assert await thief.stale() == [token]
        claimer = Stream(
            await other.key(), other.project.namespace, "unserved", worker_id="c", held=[token]
        )
        await claimer.open()
        worker = Stream(await own.key(), own.project.namespace, "unserved", worker_id="honest")
        await worker.open()
        assert (await worker.task()).token == token
        await worker.send(**_output(token, b"3"))
        assert await running.result(WITHIN_S) == 3
        for stream in (thief, claimer, worker):
            await stream.close()


async def test_a_key_needs_no_namespace(closed: Closed) -> None:
    """Client, worker, discovery, REST and the command use the namespace of its project."""
    address = closed.suite.grpc_address
    project = await closed.project("only")
    editor, worker = [await closed.key(project.id, role) for role in ("editor", "worker")]
    flow = Workflow("homely")
    flow.output = flow.task("double", "double", input=flow.input).output

    async def double(number: int) -> int:
        return 2 * number

    async with (
        Client(address, api_key=editor.credential) as client,
        Worker(address, {"double": double}, api_key=worker.credential),
    ):
        await client.register(flow)
        handle = await client.start("homely", 4)
        assert await handle.result(WITHIN_S) == 8
        events = [event.type async for event in client.history(handle.id)]
        assert events[-1] == "WorkflowCompleted"
        assert (await client.get_execution(handle.id)).namespace == "only"
        with ServiceDiscovery(address, api_key=editor.credential) as discovery:
            assert await asyncio.to_thread(discovery.discover_services) == []
    status, listed = await editor.rest("GET", "/api/v1/executions")
    assert (status, [each["executionId"] for each in listed["executions"]]) == (200, [handle.id])
    environment = {"FLOWMESH_API_KEY": editor.credential}
    shown = await command(closed.suite, "list", "executions", "--json", environment=environment)
    assert shown.code == 0, shown.err
    assert handle.id in shown.out


@pytest.mark.feature("S4-63", "S3-129")
async def test_a_revoked_key_ends_its_worker_within_a_second(closed: Closed) -> None:
    """While a task runs; the worker ends with the reason, and another one gets the task."""
    async with tenant(closed, "revoked") as own:
        begun = asyncio.Event()

        async def wait(input: Any, context: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        key = await own.key()
        async with own.connect(key) as client:
            worker = Worker(client, {"wait": wait}, drain_s=0)
            serving = asyncio.create_task(worker.run_async())
            running = await own.start("wait")
            async with asyncio.timeout(WITHIN_S):
                await begun.wait()
            request = key_service_pb2.DeleteApiKeyRequest(key_id=await _worker_key(own, closed))
            since = time.monotonic()
            await closed.owner.keys.DeleteApiKey(request)
            with pytest.raises(Unauthenticated) as ended:
                await asyncio.wait_for(serving, WITHIN_S)
            assert time.monotonic() - since < 1.5
            assert ended.value.reason == "CREDENTIALS_REVOKED"
        async with own.connect(await own.key()) as client, Worker(client, {"wait": _one}):
            assert await running.result(WITHIN_S) == 1


async def _one(input: Any, context: Any) -> int:
    return 1


async def _worker_key(own: Tenant, closed: Closed) -> str:
    request = key_service_pb2.ListApiKeysRequest(project_id=own.project.id)
    keys = (await closed.owner.keys.ListApiKeys(request)).keys
    return next(str(each.id) for each in keys if each.role == "worker")


@pytest.mark.feature("S1-112", "S3-129")
async def test_streams_are_opened_again_with_the_newest_token(closed: Closed) -> None:
    """A session and a worker whose access token was refused refresh it and work."""
    request = LoginRequest(email="owner@example.com", password=PASSWORD)
    tokens = (await closed.caller("").auth.Login(request)).tokens
    login = Login(Tokens("refused", tokens.refresh_token, time.time() + 1_000))
    async with (
        tenant(closed, "refreshed") as own,
        Client(closed.suite.grpc_address, own.project.namespace, token=login) as client,
        Worker(client, {"one": _one}),
    ):
        assert login.tokens.refresh_token != tokens.refresh_token
        await (await own.start("one")).result(WITHIN_S)
        login.tokens = Tokens("refused", login.tokens.refresh_token, 0.0)
        async with (
            Client(closed.suite.grpc_address, own.project.namespace, token=login) as other,
            other.session() as session,
        ):
            assert await session.run("one") == 1
