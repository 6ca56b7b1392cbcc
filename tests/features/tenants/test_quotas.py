"""Quotas of projects: at the limit, one more, a hundred times as many, and after deletion."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from flowmesh.testing.polling import until
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.security.test_files import sent

pytestmark = pytest.mark.long

WITHIN_S = 20.0


def workflow(name: str, duration: str = "1h") -> Any:
    """A workflow that waits."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": [{"id": "wait", "taskRef": "delay", "input": {"duration": duration}}]},
    }


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("quotas")) as made:
        yield made


class Limited:
    """A project, and calls in its namespace."""

    def __init__(self, project: Any, admin: Caller) -> None:
        self.project, self.admin = project, admin
        self.path = f"/api/v1/projects/{project.id}"

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        namespace = self.project.namespace
        return await self.admin.rest(method, path, body, flowmesh_namespace=namespace)

    async def set(self, **quota: int) -> None:
        status, answer = await self.call("PUT", f"{self.path}/quotas", quota)
        assert status == 200, answer

    async def used(self, name: str) -> int:
        return int((await self.call("GET", f"{self.path}/quotas"))[1]["used"][name])

    async def register(self, name: str) -> bool:
        return accepted(await self.call("POST", "/api/v1/workflows", workflow(name)))

    async def start(self, **body: Any) -> str:
        """Return the id of a new execution; empty if the quota refuses it."""
        answer = await self.call("POST", "/api/v1/workflows/waits/start", body)
        return str(answer[1]["executionId"]) if accepted(answer) else ""

    async def end(self, execution_id: str) -> None:
        status, answer = await self.call("POST", f"/api/v1/executions/{execution_id}:terminate", {})
        assert status == 202, answer

    async def starts(self, count: int) -> int:
        """Return how many of these starts at once are accepted."""
        return sum(map(bool, await asyncio.gather(*(self.start() for _ in range(count)))))

    async def enforce(self, quota: str, value: int) -> int:
        """Set a quota of executions once it is enforced; return the number of those that began.

        A quota of 1 refuses all starts after the first, so the first one that is accepted later
        is one under the new value.
        """
        await self.start()
        await self.set(**{quota: 1})
        begun = 1

        async def refused() -> bool:
            nonlocal begun
            started = await self.start()
            begun += bool(started)
            if started and quota == "runningExecutions":
                await self.end(started)
                begun -= 1
            return not started

        async def begins() -> bool:
            return bool(await self.start())

        await until("refused", refused, within_s=WITHIN_S)
        await self.set(**{quota: begun + value})
        await until("accepted", begins, within_s=WITHIN_S)
        return begun + 1


def accepted(answer: tuple[int, Any]) -> bool:
    """Return whether a call was accepted; a refused one exceeds a quota."""
    status, body = answer
    if status in (200, 201, 202):
        return True
    assert (status, body["error"]["reason"]) == (429, "QUOTA_EXCEEDED"), body
    return False


async def limited(closed: Closed, slug: str) -> Limited:
    project = await closed.project(slug)
    made = Limited(project, await closed.key(project.id, "admin"))
    assert await made.register("waits")
    return made


@pytest.mark.feature("S1-110")
async def test_running_executions_stop_at_the_quota_and_continue_after_an_end(
    closed: Closed,
) -> None:
    """A hundred times as many starts at once begin no more than fit; an end makes room for one."""
    made = await limited(closed, "quota-running")
    begun = await made.enforce("runningExecutions", 5)
    repeated = await made.start(requestId="first")
    assert await made.starts(500) == 5 - begun
    status, answer = await made.call("POST", "/api/v1/workflows/waits/start", {})
    limit = "the quota running_executions of the project is 6; 6 are in use"
    assert (status, answer["error"]["message"]) == (429, limit)
    assert await made.used("runningExecutions") == 6
    # A repeat starts nothing, and is answered as before.
    assert await made.start(requestId="first") == repeated
    await made.end(repeated)
    await until("accepted", made.start, within_s=WITHIN_S)
    assert await made.starts(10) == 0


@pytest.mark.feature("S1-110")
async def test_executions_per_day_stop_at_the_quota_and_deletion_gives_back(
    closed: Closed,
) -> None:
    """Ended executions count until they are deleted."""
    made = await limited(closed, "quota-day")
    begun = await made.enforce("executionsPerDay", 4)
    last = await made.start()
    assert await made.starts(400) == 4 - 1 - 1
    await made.end(last)
    assert not await made.start()
    assert await made.used("executionsPerDay") == begun + 3
    status, answer = await made.call("DELETE", f"/api/v1/executions/{last}")
    assert status in (200, 202, 204), answer
    await until("accepted", made.start, within_s=WITHIN_S)
    assert await made.starts(10) == 0


@pytest.mark.feature("S1-110")
async def test_starts_per_second_are_refused_with_the_time_to_wait(closed: Closed) -> None:
    """Each second has room for as many as the quota says."""
    made = await limited(closed, "quota-rate")
    await made.set(startsPerSecond=1)

    async def refused() -> bool:
        return await made.starts(20) < 20

    await until("refused", refused, within_s=WITHIN_S)
    begun = time.monotonic()
    count = await made.starts(100)
    assert count <= 2 + time.monotonic() - begun
    await until("accepted", made.start, within_s=WITHIN_S)


@pytest.mark.feature("S1-110")
async def test_definitions_stop_at_the_quota(closed: Closed) -> None:
    """A new version of a known workflow counts nothing; a deleted workflow gives back."""
    made = await limited(closed, "quota-definitions")
    await made.set(definitions=1)

    async def refused() -> bool:
        if not await made.register("probe"):
            return True
        await made.call("DELETE", "/api/v1/workflows/probe")
        return False

    await until("refused", refused, within_s=WITHIN_S)
    changed = await made.call("POST", "/api/v1/workflows", workflow("waits", "2h"))
    assert accepted(changed)
    await made.set(definitions=4)
    await until("accepted", lambda: made.register("w0"), within_s=WITHIN_S)
    more = await asyncio.gather(*(made.register(f"w{number}") for number in range(1, 30)))
    assert sum(more) == 2
    assert await made.used("definitions") == 4
    await made.call("DELETE", "/api/v1/workflows/w0")
    assert await made.register("again")


@pytest.mark.feature("S1-119", "S1-110")
async def test_file_bytes_stop_at_the_quota_and_deletion_gives_back(closed: Closed) -> None:
    """A content counts once in a project; concurrent uploads exceed nothing."""
    made = await limited(closed, "quota-files")
    await made.set(fileBytes=100)

    async def put(path: str, data: bytes) -> bool:
        answer = await sent(made.admin, "PUT", made.project.id, path, data)
        return accepted((answer.status, orjson.loads(answer.body)))

    assert await put("a", b"a" * 60)
    assert await put("copy", b"a" * 60)
    assert not await put("b", b"b" * 41)
    assert not await put("b", b"b" * 10_000)
    stored = await asyncio.gather(*(put(f"c{each}", bytes([each]) * 10) for each in range(20)))
    assert sum(stored) == 4
    assert await made.used("fileBytes") == 100
    await sent(made.admin, "DELETE", made.project.id, "a")
    assert not await put("b", b"b" * 41)
    await sent(made.admin, "DELETE", made.project.id, "copy")
    assert await put("b", b"b" * 60)
    assert not await put("b", b"x")


@pytest.mark.feature("S1-110")
async def test_api_keys_stop_at_the_quota(closed: Closed) -> None:
    """Concurrent creations exceed nothing."""
    made = await limited(closed, "quota-keys")
    await made.set(apiKeys=3)
    path, body = f"{made.path}/api-keys", {"name": "k", "role": "viewer"}
    created = await asyncio.gather(*(made.call("POST", path, body) for _ in range(20)))
    assert sum(map(accepted, created)) == 2
    assert await made.used("apiKeys") == 3


@pytest.mark.feature("S1-110", "S4-62")
async def test_a_quota_is_of_one_project_and_set_by_its_admins(closed: Closed) -> None:
    """Another project starts freely; foreign projects do not exist; editors may only read."""
    made, other = await limited(closed, "quota-one"), await limited(closed, "quota-other")
    await made.enforce("runningExecutions", 1)
    assert await made.starts(3) == 0
    assert await other.starts(20) == 20
    foreign = await other.call("GET", f"{made.path}/quotas")
    missing = await other.call("GET", "/api/v1/projects/prj_none/quotas")
    assert foreign[0] == missing[0] == 404
    assert (await other.call("PUT", f"{made.path}/quotas", {}))[0] == 404
    assert (await other.call("GET", f"{made.path}/usage"))[0] == 404
    editor = await closed.key(made.project.id, "editor")
    assert (await editor.rest("PUT", f"{made.path}/quotas", {}))[0] == 403
    status, answer = await editor.rest("GET", f"{made.path}/quotas")
    assert (status, answer["quota"]["runningExecutions"]) == (200, 2)
    status, answer = await made.call("PUT", f"{made.path}/quotas", {"fileBytes": 10**15 + 1})
    assert status == 400


@pytest.mark.feature("S1-110", "S1-111")
async def test_a_project_lowers_its_quota_and_its_organization_raises_it(closed: Closed) -> None:
    """Also to unlimited, for one bound of several, and at once by many."""
    made = await limited(closed, "quota-ceiling")
    path = f"{made.path}/quotas"
    await made.set(runningExecutions=50)
    status, answer = await closed.owner.rest(
        "PUT", path, {"runningExecutions": 10, "definitions": 5}
    )
    assert status == 200, answer
    for body in (
        {"runningExecutions": 11, "definitions": 5},
        {"runningExecutions": 0, "definitions": 5},
        {"runningExecutions": 10},
        {},
    ):
        status, answer = await made.call("PUT", path, body)
        assert (status, answer["error"]["reason"]) == (403, "QUOTA_ABOVE_PARENT"), body
    assert "on the organization `org_default`" in answer["error"]["message"]
    await made.set(runningExecutions=4, definitions=2, apiKeys=7)
    await made.set(runningExecutions=10, definitions=5)
    raised = closed.owner.rest("PUT", path, {"runningExecutions": 3, "definitions": 5})
    own = [made.call("PUT", path, {"runningExecutions": 9, "definitions": 5}) for _ in range(20)]
    answers = await asyncio.gather(raised, *own)
    assert {status for status, _ in answers} <= {200, 403}
    status, answer = await made.call("GET", path)
    assert answer["ceiling"]["runningExecutions"] == 3
    assert answer["quota"]["runningExecutions"] == 3, answer


@pytest.mark.feature("S1-110")
async def test_usage_counts_executions_per_hour(closed: Closed) -> None:
    """Started, completed and failed ones, newest hour first."""
    made = await limited(closed, "quota-usage")
    assert await made.starts(3) == 3
    status, answer = await made.call("GET", f"{made.path}/usage?hours=2")
    assert status == 200
    assert sum(each["started"] for each in answer["usage"]) == 3
    assert {each["completed"] for each in answer["usage"]} == {0}
    assert (await made.call("GET", f"{made.path}/usage?hours=721"))[0] == 400
