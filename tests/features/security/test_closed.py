"""A closed installation: who may call what, over gRPC and REST."""

from pathlib import Path

import grpc.aio
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.api.identity.v1 import auth_service_pb2
from tests.features.closed import PASSWORD, Closed, closed_suite

WORKFLOW = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "greet"},
    "spec": {
        "tasks": [
            {
                "id": "hello",
                "taskRef": "transform",
                "input": {"source": [3, 1], "pipeline": [{"operation": "sort"}]},
            }
        ]
    },
}


@pytest.mark.feature("S3-129", "S2-56")
async def test_a_call_without_a_credential_is_refused(closed: Closed) -> None:
    """401 on REST, UNAUTHENTICATED on gRPC; health and documentation need none."""
    anyone = closed.caller("")
    status, body = await anyone.rest("GET", "/api/v1/executions")
    assert (status, body["error"]["reason"]) == (401, "CREDENTIALS_REQUIRED")
    stub = execution_service_pb2_grpc.ExecutionServiceStub(anyone.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListExecutions(executions.ListExecutionsRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert (await anyone.rest("GET", "/health"))[0] == 200
    assert (await anyone.rest("GET", "/openapi.json"))[0] == 200
    assert (await anyone.rest("GET", "/metrics"))[0] == 401


@pytest.mark.long
async def test_the_key_of_the_metrics_opens_the_metrics_alone(tmp_path: Path) -> None:
    """Prometheus reads them with the key in the file; a changed file counts at once."""
    file, key, changed = tmp_path / "metrics.key", "3f" * 16, "a4" * 16
    file.write_text(f"{key}\n")
    async with closed_suite(tmp_path, FLOWMESH_METRICS_KEY_FILE=str(file)) as closed:
        scraper = closed.caller(key)
        assert "flowmesh_" in await scraper.text("/metrics")
        assert (await scraper.rest("GET", "/api/v1/executions"))[0] == 401
        file.write_text(changed)
        assert (await scraper.rest("GET", "/metrics"))[0] == 401
        assert "flowmesh_" in await closed.caller(changed).text("/metrics")
        project = await closed.project("observed")
        viewer = await closed.key(project.id, "viewer")
        assert (await viewer.rest("GET", "/metrics"))[0] == 403


@pytest.mark.feature("S1-111", "S3-129")
async def test_roles_permit_what_the_matrix_says(closed: Closed) -> None:
    """A viewer reads; an editor registers and starts; an admin sets limits; each no more."""
    project = await closed.project("roles")
    headers = {"flowmesh_namespace": "roles"}
    viewer, editor = [await closed.key(project.id, role) for role in ("viewer", "editor")]

    assert (await viewer.rest("GET", "/api/v1/executions", **headers))[0] == 200
    status, body = await viewer.rest("POST", "/api/v1/workflows", WORKFLOW, **headers)
    assert (status, body["error"]["reason"]) == (403, "ROLE_REQUIRED")
    assert (await editor.rest("POST", "/api/v1/workflows", WORKFLOW, **headers))[0] in (200, 201)
    status, body = await editor.rest("POST", "/api/v1/workflows/greet/start", {}, **headers)
    assert status in (200, 201, 202)
    assert (await viewer.rest("POST", "/api/v1/workflows/greet/start", {}, **headers))[0] == 403

    stub = execution_service_pb2_grpc.ExecutionServiceStub(viewer.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.StartExecution(
            executions.StartExecutionRequest(namespace="roles", workflow_id="greet")
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.feature("S4-62", "S1-110")
async def test_a_foreign_namespace_does_not_exist(closed: Closed) -> None:
    """The answer about another tenant is that about a namespace that never was."""
    own, other = await closed.project("tenant-a"), await closed.project("tenant-b")
    key = await closed.key(own.id, "admin")
    owner = closed.owner
    created = await owner.rest(
        "POST", "/api/v1/workflows", WORKFLOW, flowmesh_namespace=other.namespace
    )
    assert created[0] in (200, 201), created
    answers = [
        await key.rest("GET", "/api/v1/workflows/greet", flowmesh_namespace=namespace)
        for namespace in ("tenant-b", "never-was")
    ]
    assert [status for status, _ in answers] == [404, 404]
    assert (
        answers[0][1]["error"]["message"].replace("tenant-b", "never-was")
        == answers[1][1]["error"]["message"]
    )


@pytest.mark.feature("S1-112")
async def test_sessions_are_refreshed_and_end_at_logout(closed: Closed) -> None:
    """Login, me, refresh, logout over gRPC; the tokens of an ended session are refused."""
    anyone = closed.caller("")
    login = auth_service_pb2.LoginRequest(email="Owner@Example.com", password=PASSWORD)
    first = (await anyone.auth.Login(login)).tokens
    user = closed.caller(first.access_token)
    me = await user.auth.GetMe(auth_service_pb2.GetMeRequest())
    assert me.user.email == "owner@example.com"
    refresh = auth_service_pb2.RefreshRequest(refresh_token=first.refresh_token)
    second = (await anyone.auth.Refresh(refresh)).tokens
    again = (await anyone.auth.Refresh(refresh)).tokens
    assert second.refresh_token == again.refresh_token != first.refresh_token
    await user.auth.Logout(auth_service_pb2.LogoutRequest())
    for call in (
        user.auth.GetMe(auth_service_pb2.GetMeRequest()),
        anyone.auth.Refresh(auth_service_pb2.RefreshRequest(refresh_token=second.refresh_token)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.long
async def test_a_wrong_password_delays_and_tells_nothing(closed: Closed) -> None:
    """An unknown user has the same answer; after five failures the next attempt waits."""
    anyone = closed.caller("")
    messages = set()
    for email in ("unknown@example.com", "missing@example.com"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anyone.auth.Login(auth_service_pb2.LoginRequest(email=email, password="x" * 12))
        messages.add((refused.value.code(), refused.value.details()))
    assert len(messages) == 1
    codes = []
    for _ in range(7):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anyone.auth.Login(
                auth_service_pb2.LoginRequest(email="delayed@example.com", password="y" * 12)
            )
        codes.append(refused.value.code())
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
