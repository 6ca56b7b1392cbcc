"""Computations of one tenant do not slow down another one.

Each test measures calls of the victim without and with the attack, in one run on one
installation, and prints the figures. The installation is of its own, because it is starved.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from tests.features.closed import OWNER, PASSWORD, Caller, Closed, closed_suite
from tests.features.natives import resource, workflow

CALLS = 60
# What a busy machine may add to the slowest call.
NOISE_S = 0.5
GROWN: list[Json] = [
    {"operation": "window", "size": 900},
    {"operation": "flatten"},
    {"operation": "window", "size": 10},
    {"operation": "flatten"},
]
ON_A_MILLION: list[Json] = [{"operation": "shuffle"}, {"operation": "sort"}] * 48
PIPELINE = {"source": list(range(1000)), "pipeline": GROWN + ON_A_MILLION}
TRANSFORMS, LOOPS = 8, 30


@dataclass(frozen=True)
class Project:
    """A project of the installation, with the key of an editor."""

    closed: Closed
    namespace: str
    key: str

    async def rest(self, method: str, path: str, body: Json = None, **headers: str) -> Json:
        """Call REST and return the answer, which is a success."""
        caller = Caller(self.closed.suite, self.key)
        headers["flowmesh_namespace"] = self.namespace
        status, answer = await caller.rest(method, path, body, **headers)
        assert status < 300, (path, status, answer)
        return answer

    async def apply(self, *resources: Json) -> None:
        for each in resources:
            await self.rest("POST", "/api/v1/workflows", each)

    async def run(self, name: str) -> None:
        await self.rest("POST", f"/api/v1/workflows/{name}/execute", {"input": {}})

    async def start(self, name: str) -> str:
        """Start an execution and return its id."""
        answer = await self.rest("POST", f"/api/v1/workflows/{name}/start", {"input": {}})
        return str(answer["executionId"])

    async def execution(self, execution_id: str) -> Json:
        return await self.rest("GET", f"/api/v1/executions/{execution_id}")

    async def terminate(self, execution_id: str) -> None:
        await self.rest("POST", f"/api/v1/executions/{execution_id}:terminate", {})


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("fair"), FLOWMESH_EGRESS="public") as made:
        yield made


async def project(closed: Closed, slug: str) -> Project:
    made = await closed.project(slug)
    key = await closed.key(made.id, "editor")
    return Project(closed, slug, key.credential)


@pytest.fixture(scope="module")
async def attacker(closed: Closed) -> Project:
    """A project with endless and growing computations."""
    found = await project(closed, "attacker")
    await found.apply(workflow("grow", node("transform", PIPELINE)))
    await found.apply(python_task("endless", "while True: pass"), workflow("loop", node("endless")))
    return found


@pytest.fixture(scope="module")
async def victim(closed: Closed) -> Project:
    """A project with the smallest workflows."""
    found = await project(closed, "victim")
    small = {"source": [3, 1], "pipeline": [{"operation": "sort"}]}
    await found.apply(workflow("empty", node("noop")))
    await found.apply(workflow("small", node("transform", small)))
    await found.apply(python_task("one", "return 1"), workflow("python", node("one")))
    return found


def node(task: str, given: Json = None) -> Json:
    return {"id": "only", "taskRef": task, "input": given or {}}


def python_task(name: str, code: str) -> Json:
    return resource("WorkflowTask", name, type="python", python={"code": code}, timeout="120s")


Probe = Callable[[Project], Awaitable[object]]


async def login(victim: Project) -> None:
    body = {"email": OWNER, "password": PASSWORD}
    status, answer = await victim.closed.caller("").rest("POST", "/api/v1/auth/login", body)
    assert status == 200, answer


PROBES: dict[str, tuple[Probe, int]] = {
    "empty workflow": (lambda victim: victim.run("empty"), CALLS),
    "small transform": (lambda victim: victim.run("small"), CALLS),
    "list": (lambda victim: victim.rest("GET", "/api/v1/executions"), CALLS),
    "login": (login, CALLS // 4),
    "python": (lambda victim: victim.run("python"), CALLS // 4),
}


async def measured(victim: Project) -> dict[str, float]:
    """Return the 99th percentile of each call of the victim in seconds."""
    found = {}
    for name, (call, times) in PROBES.items():
        taken = []
        for _ in range(times):
            started = time.monotonic()
            await call(victim)
            taken.append(time.monotonic() - started)
        found[name] = sorted(taken)[int(len(taken) * 0.99)]
    return found


def compared(without: dict[str, float], during: dict[str, float], attack: str) -> None:
    """Print both, and fail unless each stays below twice the time without the attack."""
    print(f"\n{attack}: p99 without and with it, in ms")
    for name, before in without.items():
        print(f"  {name:16} {before * 1000:8.1f} {during[name] * 1000:8.1f}")
    slow = {name for name, before in without.items() if during[name] > 2 * before + NOISE_S}
    assert not slow, f"{slow} took more than twice as long during {attack}"


async def running(attacker: Project, execution_ids: list[str]) -> list[str]:
    found = [(each, await attacker.execution(each)) for each in execution_ids]
    return [each for each, execution in found if execution["status"] == "running"]


@pytest.fixture(scope="module")
async def quiet(victim: Project, attacker: Project) -> dict[str, float]:
    """The times of the victim without an attack."""
    await measured(victim)
    return await measured(victim)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_growing_transforms_of_a_tenant_do_not_slow_down_another(
    victim: Project, attacker: Project, quiet: dict[str, float]
) -> None:
    """Eight pipelines of a million items; also when the installation begins with them again."""
    begun = [await attacker.start("grow") for _ in range(TRANSFORMS)]
    during = await measured(victim)
    assert await running(attacker, begun), "the attack has ended before the measurement"
    compared(quiet, during, "growing transforms")

    begun += [await attacker.start("grow") for _ in range(TRANSFORMS)]
    await attacker.closed.suite.stop()
    await attacker.closed.suite.start()
    started = time.monotonic()
    await victim.run("empty")
    first_s = time.monotonic() - started
    during = await measured(victim)
    print(f"\nthe first empty workflow after the restart: {first_s * 1000:.1f} ms")
    assert first_s < 5.0
    assert await running(attacker, begun), "the attack has ended before the measurement"
    compared(quiet, during, "growing transforms after a restart")

    failed: list[Json] = []

    async def any_failed() -> bool:
        # They take turns in an order of their own after the restart.
        found = [await attacker.execution(each) for each in begun]
        failed.extend(each for each in found if each["status"] == "failed")
        return bool(failed)

    await until("an attack fails", any_failed, within_s=120, poll_s=1.0)
    assert "CPU time" in str(failed[0]), failed[0]
    for each in begun:
        if each in await running(attacker, [each]):
            await attacker.terminate(each)


@pytest.mark.long
async def test_endless_code_of_a_tenant_does_not_starve_another(
    victim: Project, attacker: Project, quiet: dict[str, float]
) -> None:
    """Thirty endless loops in Python."""
    begun = [await attacker.start("loop") for _ in range(LOOPS)]
    during = await measured(victim)
    assert await running(attacker, begun), "the attack has ended before the measurement"
    for each in await running(attacker, begun):
        await attacker.terminate(each)
    compared(quiet, during, "endless code")
