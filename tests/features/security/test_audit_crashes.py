"""No change that was committed is missing in the audit log after a crash, or twice in it.

`AUDIT_KILLS=200` makes it 200 kills, which take some 15 minutes.
"""

import asyncio
import json
import os
from collections import Counter
from itertools import count
from pathlib import Path

import asyncpg
import grpc.aio
import pytest

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1.auth_service_pb2 import LoginRequest
from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceStub
from flowmesh.testing.polling import until
from tests.features.closed import PASSWORD, Caller, Closed, closed_suite
from tests.features.natives import workflow
from tests.features.security.audited import COMPANY, WAIT_S, Audited, call

KILLS = int(os.environ.get("AUDIT_KILLS", "5"))
CALLERS = 4
# Acknowledged changes before a kill.
MADE_MIN = 60
CALLS_S_MAX = 60.0
# A suite that has just started may answer so on a busy machine.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
START = {"namespace": "crashes", "workflow_id": "begun"}
# A namespace has at most a thousand secrets, and a secret a hundred versions.
NAMES_OF_KILLS, NAMES_OF_A_CALLER = 40, 6
# Changes by the targets of their entries.
COMMITTED = """
select 'crashes/' || name as target, count(*) as changes from identity.secrets
where namespace = 'crashes' group by name
union all
select 'stop/workflow:' || workflow_id, 1 from orchestrator.dispatch_stops
where namespace = 'crashes'
union all
select id, 1 from orchestrator.executions where namespace = 'crashes'
"""


@pytest.mark.long
@pytest.mark.timeout(60 + 15 * KILLS)
@pytest.mark.feature("S1-116")
async def test_a_crash_loses_no_entry(tmp_path: Path) -> None:
    """The suite with its servers is killed while callers change secrets, stops and executions."""
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
        acknowledged: Counter[str] = Counter()
        for kill in range(KILLS):
            acknowledged.update(await _until_killed(closed, key, kill))
            await closed.suite.start()
        # The first token has expired after many kills.
        stub = AuthServiceStub(Caller(closed.suite, "").channel)
        login = await stub.Login(LoginRequest(email="owner@example.com", password=PASSWORD))
        owner = Caller(closed.suite, login.tokens.access_token)
        audited = Audited(Closed(closed.suite, owner, closed.session))
        committed = await _committed(audited)
        assert acknowledged <= committed
        await until("every entry", lambda: _has_all(audited, committed), within_s=WAIT_S)
        entries = await _targets(audited)
        assert {target: entries[target] for target in committed} == committed
        verified = await audited.verified()
        assert verified.intact, verified.problem
        print(f"{KILLS} kills, {committed.total()} changes, 0 missing, {verified.entries} entries")


async def _until_killed(closed: Closed, key: str, kill: int) -> list[str]:
    """Make changes with several callers, and kill the suite in the midst of them.

    Return the targets of the acknowledged ones.
    """
    made: list[str] = []
    enough, killed = asyncio.Event(), asyncio.Event()
    caller = Caller(closed.suite, key)

    async def change(number: int) -> None:
        for turn in count():
            name = f"s-{kill % NAMES_OF_KILLS}-{number}-{turn % NAMES_OF_A_CALLER}"
            subject = f"w-{kill}-{number}-{turn}"
            try:
                await call(
                    caller, "SecretService.PutSecret", name=name, value=b"v", namespace="crashes"
                )
                made.append(f"crashes/{name}")
                await call(
                    caller, "LimitService.StopDispatch", namespace="crashes", workflow_id=subject
                )
                made.append(f"stop/workflow:{subject}")
                started = await call(caller, "ExecutionService.StartExecution", **START)
                made.append(started.execution_id)
            except grpc.aio.AioRpcError as error:
                if killed.is_set():
                    return
                if error.code() not in AGAIN:
                    raise
            if len(made) >= MADE_MIN:
                enough.set()

    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(change(number))
        async with asyncio.timeout(CALLS_S_MAX):
            await enough.wait()
        killed.set()
        await closed.suite.kill()
    return made


async def _committed(audited: Audited) -> Counter[str]:
    """Return how many changes of each target are committed."""
    connection = await asyncpg.connect(audited.postgres())
    try:
        rows = await connection.fetch(COMMITTED)
        return Counter({row["target"]: row["changes"] for row in rows})
    finally:
        await connection.close()


async def _has_all(audited: Audited, committed: Counter[str]) -> bool:
    return committed <= await _targets(audited)


async def _targets(audited: Audited) -> Counter[str]:
    """Return how many entries each target has."""
    targets: Counter[str] = Counter()
    token = ""
    while True:
        request = pb.SearchAuditRequest(company_id=COMPANY, page_size=1_000, page_token=token)
        answer = await audited.log.SearchAudit(request)
        # The entry of several starts names them all.
        targets.update(target for each in answer.entries for target in each.target.split(" "))
        token = answer.next_page_token
        if not token:
            return targets
