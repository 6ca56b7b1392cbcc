"""No change that was acknowledged is missing in the audit log after a crash."""

import asyncio
import json
from pathlib import Path

import grpc.aio
import pytest

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.testing.polling import until
from tests.features.audited import COMPANY, WAIT_S, Audited, call
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.natives import workflow

KILLS = 3
CALLS_BEFORE_KILL = 20
CALLERS = 4
START = {"namespace": "crashes", "workflow_id": "begun"}


@pytest.mark.long
@pytest.mark.feature("S1-116")
async def test_a_crash_loses_no_entry(tmp_path: Path) -> None:
    """The suite with its database is killed while callers change tenants, limits and secrets."""
    async with closed_suite(tmp_path) as closed:
        project = await closed.project("crashes")
        key = (await closed.key(project.id, "admin")).credential
        source = json.dumps(workflow("begun", {"id": "a", "taskRef": "noop"})).encode()
        await call(
            closed.owner,
            "DefinitionService.Apply",
            source=source,
            content_type="application/json",
            namespace="crashes",
        )
        made: list[str] = []
        for kill in range(KILLS):
            await _until_killed(closed, key, made, kill)
            await closed.suite.start()
        owner = Caller(closed.suite, closed.owner.credential)
        audited = Audited(Closed(closed.suite, owner, closed.session))
        await until("every entry", lambda: _has_all(audited, made), within_s=WAIT_S)
        assert len(made) >= KILLS * CALLS_BEFORE_KILL
        assert (await audited.verified()).intact


async def _until_killed(closed: Closed, key: str, made: list[str], kill: int) -> None:
    """Make changes with several callers, and kill the suite in the midst of them."""
    enough = asyncio.Event()
    caller = Caller(closed.suite, key)

    async def change(number: int) -> None:
        for count in range(10_000):
            name = f"s-{kill}-{number}-{count}"
            try:
                await call(
                    caller, "SecretService.PutSecret", name=name, value=b"v", namespace="crashes"
                )
                made.append(f"crashes/{name}")
                subject = {"namespace": "crashes", "workflow_id": name}
                await call(caller, "LimitService.StopDispatch", **subject)
                made.append(f"stop/workflow:{name}")
                started = await call(caller, "ExecutionService.StartExecution", **START)
                made.append(started.execution_id)
            except grpc.aio.AioRpcError:
                return
            if count == CALLS_BEFORE_KILL // CALLERS:
                enough.set()

    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(change(number))
        await enough.wait()
        await closed.suite.kill()


async def _has_all(audited: Audited, made: list[str]) -> bool:
    targets: set[str] = set()
    token = ""
    while True:
        request = pb.SearchAuditRequest(company_id=COMPANY, page_size=1_000, page_token=token)
        answer = await audited.log.SearchAudit(request)
        targets.update(entry.target for entry in answer.entries)
        token = answer.next_page_token
        if not token:
            return targets.issuperset(made)
