"""An agent as a workflow: turns and calls are tasks, which a crash neither repeats nor loses."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest
from mcp.server.mcpserver import MCPServer

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import done, until
from flowmesh.testing.suite import Suite
from tests.features.assistant.models import Answer, Models, Say, Use, serving_models
from tests.features.assistant.test_mcp_tools import served
from tests.features.commands import command
from tests.features.natives import YAML

EXAMPLE = Path("examples/assistant/order-desk.yaml").read_text()
QUESTION: Json = {"question": "Where is order o-7?"}
FIND = Use("find_order", {"order": "o-7"})
REFUND = Use("refund_order", {"order": "o-7"})
ANSWER = "Order o-7 was late and is paid back."
PATIENCE_S = 40
# A crash at each moment of each of the three turns, and after each of the five tasks of workers.
CRASHES = (
    *(
        (point, turn)
        for point in ("before_step", "step_done", "step_committed")
        for turn in (1, 2, 3)
    ),
    *(("effect_done", task) for task in (1, 2, 3, 4, 5)),
)
OFTEN = (("step_done", 2), ("effect_done", 4))


@dataclass
class Desk:
    """An MCP server of orders that counts what it is asked for."""

    url: str = ""
    found: int = 0
    refunds: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    def server(self) -> MCPServer:
        server = MCPServer("order-desk")

        def find_order(order: str) -> dict[str, bool]:
            """The state of an order."""
            self.found += 1
            return {"late": True}

        def refund_order(order: str, key: str) -> dict[str, str]:
            """Pay an order back; the same key pays once."""
            self.calls += 1
            self.refunds.setdefault(key, order)
            return {"refund": key}

        server.tool()(find_order)
        server.tool()(refund_order)
        return server


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Desk]:
    found = Desk()
    async with served(found.server(), stateless_http=True, json_response=True) as port:
        found.url = f"http://127.0.0.1:{port}/mcp"
        yield found


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    async with serving_models() as serving:
        yield serving


@pytest.fixture(scope="module")
async def agency(
    tmp_path_factory: pytest.TempPathFactory, models: Models, desk: Desk
) -> AsyncIterator[Suite]:
    """A suite with a model service, the example, and its tools at the desk."""
    folder = tmp_path_factory.mktemp("agency")
    settings = {
        "FLOWMESH_AI_PROVIDERS": "claude",
        "FLOWMESH_AI_CLAUDE_URL": models.url,
        "FLOWMESH_FAILPOINTS": f"@{folder / 'points'}",
    }
    source = EXAMPLE.replace("capability: order-desk", f'server: "{desk.url}"')
    async with Suite(folder / "data", environment=settings) as suite:
        applied = await suite.post("/api/v1/workflows", data=source.encode(), headers=YAML)
        assert applied.status == 201, applied.text
        yield suite


@dataclass
class Run:
    """An execution of the example."""

    suite: Suite
    execution: str

    async def shown(self) -> Json:
        return (await self.suite.get(f"/api/v1/executions/{self.execution}")).json

    async def asked(self) -> str:
        """Return the node whose approval is asked for; empty without one."""
        listed = (await self.suite.get("/api/v1/approvals")).json["approvals"]
        return next((x["task"] for x in listed if x["executionId"] == self.execution), "")

    async def decide(self, approved: bool) -> None:
        """Decide the approval of the refund, once it is asked for."""

        async def pending() -> bool:
            return bool(await self.asked())

        await until("the approval", pending, within_s=PATIENCE_S)
        node = quote(await self.asked(), safe="")
        path = f"/api/v1/executions/{self.execution}/nodes/{node}:decide"
        answer = await self.suite.post(path, {"by": "ann", "approved": approved})
        assert answer.status == 202, answer.text

    async def ended(self) -> Json:
        async def ends() -> bool:
            return (await self.shown())["status"] not in ("pending", "running")

        await until("the end", ends, within_s=PATIENCE_S)
        return await self.shown()

    async def booked(self) -> list[int]:
        """Return the output tokens of the booked turns."""
        connection = await asyncpg.connect(str(self.suite.about["postgres"]))
        try:
            rows = await connection.fetch(
                "select output_tokens from orchestrator.model_usage where execution_id = $1",
                self.execution,
            )
        finally:
            await connection.close()
        return [row["output_tokens"] for row in rows]


async def begin(suite: Suite, models: Models, *answers: Answer) -> Run:
    models.script(*answers)
    started = await suite.post("/api/v1/workflows/order-desk/start", {"input": QUESTION})
    return Run(suite, started.json["executionId"])


def told(models: Models) -> Json:
    """Return the result of the last tool, as the model reads it."""
    return models.requests[-1]["messages"][-1]["content"][0]


@pytest.mark.feature("S1-192")
async def test_a_tool_that_changes_waits_for_an_approval(
    agency: Suite, models: Models, desk: Desk
) -> None:
    """The model reads the results as data; each turn is booked, and the refund is made once."""
    run = await begin(agency, models, FIND, REFUND, Say(ANSWER))
    before = len(desk.refunds)
    await run.decide(True)
    ended = await run.ended()
    assert ended["output"] == {"answer": ANSWER, "turns": 3}, ended
    assert len(desk.refunds) == before + 1
    assert len(models.requests) == 3
    assert await run.booked() == [10, 10, 10]
    assert told(models)["content"].startswith("<data>")


@pytest.mark.feature("S1-192")
async def test_a_refused_call_goes_back_to_the_model(
    agency: Suite, models: Models, desk: Desk
) -> None:
    """Without the approval the tool is not called, and the model reads that."""
    before = desk.calls
    run = await begin(agency, models, REFUND, Say("I may not do that."))
    await run.decide(False)
    ended = await run.ended()
    assert ended["output"] == {"answer": "I may not do that.", "turns": 2}, ended
    assert desk.calls == before
    assert told(models)["is_error"] is True
    assert "rejected" in told(models)["content"].lower()


async def test_a_model_without_end_reaches_the_limit_of_turns(
    agency: Suite, models: Models
) -> None:
    """After eight turns the execution fails, with no ninth request."""
    run = await begin(agency, models, FIND)
    ended = await run.ended()
    assert ended["error"]["class"] == "ResourceLimit", ended
    assert len(models.requests) == 8


@pytest.mark.long
@pytest.mark.feature("S1-192")
@pytest.mark.parametrize(
    ("point", "hit"),
    [pytest.param(*each, marks=() if each in OFTEN else (pytest.mark.long,)) for each in CRASHES],
)
async def test_a_crash_pays_no_turn_twice(
    agency: Suite, models: Models, desk: Desk, point: str, hit: int
) -> None:
    """kill -9 at the moment, then a start on the same data: three turns paid, one refund made."""
    crash = await armed(agency, f"worker.{point}=kill9@{hit}")
    run = await begin(agency, models, FIND, REFUND, Say(ANSWER))
    before, approver = len(desk.refunds), asyncio.create_task(approving(run))
    await done("the crash", crash.exists, within_s=PATIENCE_S)
    await agency.kill()
    await agency.start()
    await approver
    ended = await run.ended()
    assert ended["output"] == {"answer": ANSWER, "turns": 3}, ended
    assert len(models.paid) == 3
    assert await run.booked() == [10, 10, 10]
    assert len(desk.refunds) == before + 1
    if point in ("step_committed", "effect_done"):
        assert len(models.requests) == 3, "a committed answer is not asked for again"


async def armed(suite: Suite, crash: str) -> Path:
    """Arm a failpoint of the running suite; return the file that tells of its hit."""
    points = Path(suite.environment["FLOWMESH_FAILPOINTS"].removeprefix("@"))
    hit = points.with_name(f"{points.name}.hit")
    await asyncio.to_thread(hit.unlink, missing_ok=True)
    await asyncio.to_thread(points.write_text, crash)
    os.kill(suite.pid, signal.SIGUSR2)
    await done("the failpoint", lambda: not points.exists(), within_s=PATIENCE_S)
    return hit


async def approving(run: Run) -> None:
    """Approve the refund, over crashes of the suite."""

    async def approved() -> bool:
        with suppress(aiohttp.ClientError, AssertionError):
            await run.decide(True)
            return True
        return False

    await until("the decision", approved, within_s=2 * PATIENCE_S)


async def test_the_example_is_tested_without_a_model(agency: Suite) -> None:
    """Its turns are mocked; each task and each branch is covered."""
    passed = await command(agency, "test", "examples/assistant", "--min-coverage", "100")
    assert passed.code == 0, passed.out + passed.err
