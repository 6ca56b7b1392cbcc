"""Repairs and explanations: by rules, or by a model service that learns no secret."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from mcp import Client

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import done
from flowmesh.testing.suite import Suite
from tests.features.assistant.models import Break, Fail, Models, Say, Use, serving_models
from tests.features.assistant.test_providers import ORDERS
from tests.features.commands import command
from tests.features.natives import applied, execute, resource, text, workflow

KEY = "sk-abcdefghijklmnopqrstuvwx"
SECRET = "the-value-of-a-secret-1234"
PATIENCE_S = 30


def steps(*, secret: str = "none") -> list[Json]:
    """A workflow of a step, two beside each other, and one after both."""
    note = {"note": secret, "to": "ann@example.com"}
    return [
        {"id": "reserve", "taskRef": "noop", "input": note},
        {"id": "charge", "taskRef": "noop", "dependsOn": ["reserve"]},
        {"id": "notify", "taskRef": "noop", "dependsOn": ["reserve"]},
        {"id": "ship", "taskRef": "noop", "dependsOn": ["charge", "notify"]},
    ]


ORDER = text(workflow("order", *steps()))
BROKEN = ORDER.replace("dependsOn:\n    - charge", "dependsOn:\n    - charg")


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    async with serving_models() as serving:
        yield serving


@pytest.fixture(scope="module")
async def assisted(
    tmp_path_factory: pytest.TempPathFactory, models: Models
) -> AsyncIterator[Suite]:
    """A suite whose administrator named a model service."""
    folder = tmp_path_factory.mktemp("assisted")
    settings = {
        "FLOWMESH_AI_PROVIDERS": "claude",
        "FLOWMESH_AI_CLAUDE_URL": models.url,
        "FLOWMESH_SECRET_API_KEY": SECRET,
    }
    async with Suite(folder / "data", environment=settings) as running:
        yield running


async def asked(suite: Suite, path: str, **body: Json) -> Json:
    answer = await suite.post(f"/api/v1/{path}", body)
    assert answer.status == 200, answer.text
    return answer.json


async def failing(suite: Suite, name: str, message: str) -> str:
    """Run a workflow that fails; return the execution."""
    given: Json = {"source": "{{input.text}}", "pipeline": [{"operation": "limit", "count": 1}]}
    await applied(suite, workflow(name, {"id": "check", "taskRef": "transform", "input": given}))
    return str((await execute(suite, name, {"text": message})).json["executionId"])


@pytest.mark.feature("S0-09")
async def test_rules_explain_without_a_model(suite: Suite) -> None:
    """The steps in their order, and the state and the causes of an execution."""
    answer = await asked(suite, "workflows:explain", source=ORDER)
    assert answer["text"].splitlines()[:3] == [
        "order has 4 tasks.",
        "First reserve.",
        "Then charge and notify, side by side.",
    ]
    assert (answer["provider"], answer["model"]) == ("offline", "rules")
    execution = await failing(suite, "fails-plainly", "no list")
    answer = await asked(suite, f"executions/{execution}:investigate")
    assert "It failed with" in answer["text"]
    refused = await suite.post("/api/v1/workflows:explain", {"source": "kind: ["})
    assert refused.status == 400
    missing = await suite.post("/api/v1/executions/exec-absent:investigate", {})
    assert missing.status in (400, 404)


async def test_rules_leave_a_broken_definition_and_name_its_problems(suite: Suite) -> None:
    """A valid one comes back as it is."""
    draft = await asked(suite, "workflows:repair", source=BROKEN)
    assert (draft["source"], draft["valid"], draft["rounds"]) == (BROKEN, False, 0)
    assert draft["problems"]
    assert "model service" in draft["note"]
    draft = await asked(suite, "workflows:repair", source=ORDER)
    assert (draft["source"], draft["valid"], draft["provider"]) == (ORDER, True, "")


@pytest.mark.feature("S0-09", "S1-121")
async def test_a_model_repairs_what_the_check_names(assisted: Suite, models: Models) -> None:
    """It reads the problems; its first draft with problems goes back, the second is returned."""
    models.script(
        Use("submit_definition", {"source": BROKEN}), Use("submit_definition", {"source": ORDER})
    )
    draft = await asked(assisted, "workflows:repair", source=BROKEN)
    assert (draft["valid"], draft["rounds"], draft["source"]) == (True, 2, ORDER)
    assert "GRAPH_UNKNOWN_NODE" in str(models.requests[0]["messages"])
    async with Client(f"{assisted.http_url}/mcp") as client:
        models.script(Use("submit_definition", {"source": ORDER}))
        result = await client.call_tool("repair_workflow", {"source": BROKEN})
    repaired: Json = result.structured_content
    assert repaired["valid"] is True


@pytest.mark.long
@pytest.mark.feature("S0-09", "S1-121")
async def test_a_model_explains_and_learns_no_secret(
    assisted: Suite, models: Models, tmp_path: Path
) -> None:
    """Keys and addresses are replaced, inputs and outputs of executions stay here."""
    models.script(Say("It ships orders."))
    source = text(workflow("order", *steps(secret=KEY)))
    answer = await asked(assisted, "workflows:explain", source=source, question="Why two?")
    assert (answer["text"], answer["provider"]) == ("It ships orders.", "claude")
    sent = str(models.requests)
    assert KEY not in sent
    assert "ann@example.com" not in sent
    assert "Why two?" in sent
    assert models.requests[0]["tools"] == []
    execution = await failing(assisted, "fails-secretly", f"card {KEY}")
    models.script(Say("The list is no list."))
    answer = await asked(assisted, f"executions/{execution}:investigate")
    assert answer["text"] == "The list is no list."
    assert KEY not in str(models.requests)
    assert "check" in str(models.requests)
    file = tmp_path / "order.yaml"
    file.write_text(ORDER)
    models.script(Say("In words."))
    shown = await command(assisted, "workflow", "describe", str(file))
    assert shown.out.strip() == "In words."
    shown = await command(assisted, "investigate", execution)
    assert shown.out.strip() == "In words."
    async with Client(f"{assisted.http_url}/mcp") as client:
        result = await client.call_tool("investigate_execution", {"executionId": execution})
        told: Json = result.structured_content
        assert told["text"] == "In words."
        result = await client.call_tool("describe_workflow", {"source": ORDER})
        told = result.structured_content
        assert told["text"] == "In words."


async def test_hostile_texts_are_data_and_change_nothing(assisted: Suite, models: Models) -> None:
    """Orders in definitions and questions, and calls of tools that are not offered."""
    before = [(await assisted.get(path)).json for path in ("/api/v1/workflows", "/api/v1/tasks")]
    for order in ORDERS:
        hostile = text(workflow("order", *steps(secret=order)))
        models.script(Use("apply_definition", {"definition": ORDER}))
        answer = await asked(assisted, "workflows:explain", source=hostile, question=order)
        assert answer["text"].startswith("order has 4 tasks")
        assert answer["passedOver"] == ["claude: it gave no answer"]
        sent = str(models.requests)
        assert SECRET not in sent
        assert sent.count("</data>") == 2, "a text ends its mark"
    after = [(await assisted.get(path)).json for path in ("/api/v1/workflows", "/api/v1/tasks")]
    assert after == before


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Fail(529), "claude: ServerError"),
        (Fail(200, body=b"{"), "claude: MalformedAnswer"),
        (Fail(200, body=b" " * (2 * 1024 * 1024)), "claude: MalformedAnswer"),
        (Break(), "claude: NetworkError"),
        (Say("no", refusal=True), "claude: it gave no answer"),
    ],
    ids=("overloaded", "malformed", "endless", "cut", "refused"),
)
async def test_rules_answer_where_the_model_fails(
    assisted: Suite, models: Models, answer: Fail | Break | Say, reason: str
) -> None:
    """The answer says why. An answer before it forgets the failures of other tests."""
    models.script(Say("In words."), answer)
    assert (await asked(assisted, "workflows:explain", source=ORDER))["text"] == "In words."
    told = await asked(assisted, "workflows:explain", source=ORDER)
    assert told["text"].startswith("order has 4 tasks")
    assert told["passedOver"][0].startswith(reason)


@pytest.mark.long
async def test_the_assistant_spends_within_the_budget_of_the_day(
    tmp_path: Path, models: Models
) -> None:
    """Its turns are booked to the namespace; then rules answer, and a named service is refused."""
    settings = {
        "FLOWMESH_AI_PROVIDERS": "claude",
        "FLOWMESH_AI_CLAUDE_URL": models.url,
        "FLOWMESH_AI_TOKENS_PER_DAY": "2000",
    }
    async with Suite(tmp_path / "data", environment=settings) as suite:
        models.script(Say("In words.", input_tokens=2_100))
        assert (await asked(suite, "workflows:explain", source=ORDER))["provider"] == "claude"
        told = await asked(suite, "workflows:explain", source=ORDER)
        assert told["provider"] == "offline"
        assert "2,110 of 2,000 tokens" in told["passedOver"][0]
        assert len(models.requests) == 1
        body: Json = {"source": ORDER, "provider": "claude"}
        refused = await suite.post("/api/v1/workflows:explain", body)
        assert (refused.status, "BudgetError" in refused.text) == (503, True)
        task = resource("WorkflowTask", "ask", type="ai.complete", complete={"prompt": "x"})
        await applied(suite, task, workflow("asks", {"id": "ask", "taskRef": "ask"}))
        spent = await execute(suite, "asks")
        assert spent.json["error"]["class"] == "BudgetError", "steps see the turns of the assistant"


@pytest.mark.parametrize(
    "point",
    [
        "turn_answered",
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in ("before_turn", "turn_reserved", "turn_booked")
        ),
    ],
)
async def test_a_crash_around_a_paid_turn_books_it_once(
    tmp_path: Path, models: Models, point: str
) -> None:
    """kill -9 at the point: what was paid is booked, with its estimate until its usage is known."""
    armed = tmp_path / "points"
    armed.write_text(f"assistant.{point}=kill9")
    settings = {
        "FLOWMESH_AI_PROVIDERS": "claude",
        "FLOWMESH_AI_CLAUDE_URL": models.url,
        "FLOWMESH_FAILPOINTS": f"@{armed}",
    }
    suite = Suite(tmp_path / "data", environment=settings)
    async with suite:
        models.script(Say("In words."))
        with suppress(aiohttp.ClientError):
            await suite.post("/api/v1/workflows:explain", {"source": ORDER})
        await done("the crash", Path(f"{armed}.hit").exists, within_s=PATIENCE_S)
        await suite.kill()
        await suite.start()
        crashed = await booked(suite)
        assert len(models.paid) == (point in ("turn_answered", "turn_booked"))
        assert len(crashed) == (point != "before_turn")
        assert all(each >= 110 for each in crashed), "a paid turn is booked in full"
        if point == "turn_booked":
            assert crashed == [110]
        assert (await asked(suite, "workflows:explain", source=ORDER))["text"] == "In words."
        assert sorted(await booked(suite)) == sorted([*crashed, 110])


@pytest.mark.long
async def test_a_turn_that_no_model_answers_costs_nothing(tmp_path: Path, models: Models) -> None:
    """Its estimate is taken back, whether rules answer in its place or nothing does.

    A limited service is passed over too, and left out as long as it asks.
    """
    settings = {"FLOWMESH_AI_PROVIDERS": "claude", "FLOWMESH_AI_CLAUDE_URL": models.url}
    async with Suite(tmp_path / "data", environment=settings) as suite:
        models.script(Fail(529))
        assert (await asked(suite, "workflows:explain", source=ORDER))["provider"] == "offline"
        body: Json = {"source": ORDER, "provider": "claude"}
        assert (await suite.post("/api/v1/workflows:explain", body)).status == 503
        assert await booked(suite) == [0, 0]
        models.script(Fail(429, {"retry-after": "60"}))
        told = await asked(suite, "workflows:explain", source=ORDER)
        assert told["text"].startswith("order has 4 tasks")
        assert told["passedOver"][0].startswith("claude: RateLimitError")


async def booked(suite: Suite) -> list[int]:
    """Return the tokens of the booked turns of the assistant."""
    connection = await asyncpg.connect(str(suite.about["postgres"]))
    try:
        rows = await connection.fetch(
            "select input_tokens + output_tokens as tokens, micro_usd"
            " from orchestrator.model_usage where node = 'explain'"
        )
    finally:
        await connection.close()
    assert all(bool(row["micro_usd"]) is bool(row["tokens"]) for row in rows)
    return [row["tokens"] for row in rows]
