"""Guarded model steps: answers of a schema, guards, budgets, failures, and what they cost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import done, until
from flowmesh.testing.suite import Response, Suite
from tests.features.assistant.models import (
    Answer,
    Break,
    Fail,
    Flow,
    Models,
    Raise,
    Say,
    Use,
    serving_models,
)
from tests.features.natives import applied, apply, execute, resource, workflow

SCHEMA: Json = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "total": {"type": "number"}},
    "required": ["name", "total"],
}
GOOD = Use("answer", {"name": "Ann", "total": 5})
ONE_TURN = {"inputTokens": 100, "outputTokens": 10, "costUsd": 0.00045}
PATIENCE_S = 30
POINTS = ("worker.before_step", "worker.step_done", "worker.step_committed", "worker.effect_done")


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    async with serving_models() as serving:
        yield serving


@pytest.fixture(scope="module")
async def modelled(
    tmp_path_factory: pytest.TempPathFactory, models: Models
) -> AsyncIterator[Suite]:
    """A suite whose administrator named a model service."""
    folder = tmp_path_factory.mktemp("modelled")
    settings = {"FLOWMESH_AI_PROVIDERS": "claude", "FLOWMESH_AI_CLAUDE_URL": models.url}
    async with Suite(folder / "data", environment=settings) as running:
        yield running


async def model_step(suite: Suite, name: str, *, attempts: int = 1, **block: Json) -> str:
    """Apply a workflow of one model step; return its name."""
    given: Json = {"prompt": "{{input.text}}", **block}
    task = resource("WorkflowTask", f"{name}-task", type="ai.complete", complete=given)
    node: Json = {
        "id": "ask",
        "taskRef": f"{name}-task",
        "input": {"text": "{{input.text}}"},
        "retry": {"maxAttempts": attempts, "initialDelay": "50ms"},
    }
    schema: Json = {"type": "object", "properties": {"text": {"type": "string"}}}
    output = {"said": "{{tasks.ask.output}}"}
    await applied(suite, task, workflow(name, node, inputSchema=schema, output=output))
    return name


async def said(suite: Suite, name: str, text: str = "Who?") -> Json:
    answer = await execute(suite, name, {"text": text})
    assert answer.json["status"] == "completed", answer.text
    return answer.json["output"]["said"]


async def failed(suite: Suite, name: str, text: str = "Who?") -> Json:
    answer = await execute(suite, name, {"text": text})
    assert answer.json["status"] == "failed", answer.text
    return answer.json["error"]


async def booked(suite: Suite, name: str) -> list[tuple[str, int, int, int]]:
    """Return the booked rows of the executions of a workflow."""
    connection = await asyncpg.connect(str(suite.about["postgres"]))
    try:
        rows = await connection.fetch(
            "select u.* from orchestrator.model_usage u"
            " join orchestrator.executions e on e.id = u.execution_id"
            " where e.workflow_id = $1 order by step",
            name,
        )
    finally:
        await connection.close()
    return [(r["model"], r["input_tokens"], r["output_tokens"], r["micro_usd"]) for r in rows]


@pytest.mark.feature("S1-192")
async def test_an_answer_that_does_not_fit_is_repaired_or_blocked(
    modelled: Suite, models: Models
) -> None:
    """The model reads what is wrong; after the last repair the step fails. Each turn is paid."""
    name = await model_step(modelled, "repaired", outputSchema=SCHEMA)
    models.script(Use("answer", {"name": "Ann"}), GOOD)
    answer = await said(modelled, name)
    assert answer["value"] == {"name": "Ann", "total": 5}
    assert (answer["turns"], answer["provider"], answer["model"]) == (
        2,
        "claude",
        "claude-sonnet-5",
    )
    assert answer["usage"] == {"inputTokens": 200, "outputTokens": 20, "costUsd": 0.0009}
    told = models.requests[-1]["messages"][-1]["content"][0]
    assert told["is_error"] is True
    assert "total" in told["content"]
    assert await booked(modelled, name) == [("claude-sonnet-5", 100, 10, 450)] * 2
    name = await model_step(modelled, "unfit", outputSchema=SCHEMA, repairs=1)
    models.script(Say("I do not know"))
    error = await failed(modelled, name)
    assert error["class"] == "GuardrailError", error
    assert len(models.requests) == 2
    assert len(await booked(modelled, name)) == 2


@pytest.mark.feature("S1-192")
async def test_guards_stop_what_leaves_and_what_comes(modelled: Suite, models: Models) -> None:
    """A denied prompt reaches no model; a denied answer reaches no task."""
    guard: Json = {"input": {"deny": ["(?i)password"]}, "output": {"deny": ["(?i)cheap"]}}
    name = await model_step(modelled, "guarded", guard=guard)
    models.script(Say("It is cheap."))
    error = await failed(modelled, name, "my Password is x")
    assert (error["class"], models.requests) == ("GuardrailError", [])
    error = await failed(modelled, name)
    assert error["class"] == "GuardrailError"
    assert "cheap" not in error["message"]
    only: Json = {"input": {"allow": ["^order "]}}
    name = await model_step(modelled, "allowed", guard=only, onBlocked="fallback", fallback="none")
    answer = await said(modelled, name, "anything")
    assert (answer["value"], answer["blocked"], answer["text"]) == ("none", "INPUT_DENIED", "")
    assert (await said(modelled, name, "order 7"))["text"] == "It is cheap."


@pytest.mark.feature("S1-192")
async def test_addresses_cards_and_keys_do_not_leave(modelled: Suite, models: Models) -> None:
    """They are replaced by their kind; other numbers stay."""
    name = await model_step(modelled, "redacted")
    models.script(Say("done"))
    text = "ann@example.com paid with 4111 1111 1111 1111, key sk-abcdefghijklmnopqrst, order 4111"
    await said(modelled, name, text)
    sent = models.requests[-1]["messages"][0]["content"][0]["text"]
    assert sent == "[EMAIL] paid with [CARD], key [KEY], order 4111"


@pytest.mark.feature("S1-192")
async def test_a_budget_is_never_passed(modelled: Suite, models: Models) -> None:
    """Of the step, and of its execution over several steps; the answer gets what is left."""
    models.script(Say("yes"))
    name = await model_step(modelled, "poor", budget={"maxTokens": 10})
    error = await failed(modelled, name, "a long prompt " * 10)
    assert (error["class"], models.requests) == ("BudgetError", [])
    name = await model_step(modelled, "modest", budget={"maxTokens": 100}, maxTokens=1_000)
    await said(modelled, name, "short")
    assert 0 < models.requests[-1]["max_tokens"] < 100
    name = await model_step(modelled, "priced", budget={"maxUsd": 0.000001})
    assert (await failed(modelled, name))["class"] == "BudgetError"
    block: Json = {"prompt": "go", "budget": {"executionTokens": 120}}
    task = resource("WorkflowTask", "shared-task", type="ai.complete", complete=block)
    nodes: list[Json] = [{"id": "one", "taskRef": "shared-task"}]
    nodes.append({"id": "two", "taskRef": "shared-task", "dependsOn": ["one"]})
    await applied(modelled, task, workflow("shared", *nodes))
    models.script(Say("yes"))
    answer = await execute(modelled, "shared")
    assert answer.json["error"]["class"] == "BudgetError", answer.text
    assert "110 of 120 tokens" in answer.json["error"]["message"]
    assert len(models.requests) == 1


@pytest.mark.long
async def test_a_namespace_has_a_budget_for_the_day(tmp_path: Path, models: Models) -> None:
    """Over all its executions."""
    settings = {
        "FLOWMESH_AI_PROVIDERS": "claude",
        "FLOWMESH_AI_CLAUDE_URL": models.url,
        "FLOWMESH_AI_TOKENS_PER_DAY": "120",
    }
    async with Suite(tmp_path / "data", environment=settings) as suite:
        name = await model_step(suite, "daily")
        models.script(Say("yes"))
        await said(suite, name)
        error = await failed(suite, name)
        assert error["class"] == "BudgetError"
        assert "the namespace today" in error["message"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "class_", "retried"),
    [
        (Fail(529), "ServerError", True),
        (Fail(500), "ServerError", True),
        (Fail(200, body=b"{"), "ServerError", True),
        (Fail(200, body=b'{"content": "no"}'), "ServerError", True),
        (Fail(200, body=b" " * (2 * 1024 * 1024)), "ServerError", True),
        (Break(), "NetworkError", True),
        (Break(clean=True), "NetworkError", True),
        (Raise("overloaded_error"), "ServerError", True),
        (Flow(), "ServerError", True),
        (Fail(401), "AuthenticationError", False),
        (Fail(400), "ClientError", False),
        (Say("no", refusal=True), "GuardrailError", False),
        (Say("and so on", cut=True), "GuardrailError", False),
        (Say(" "), "GuardrailError", False),
    ],
    ids=repr,
)
async def test_a_failure_of_a_model_has_its_class(
    modelled: Suite, models: Models, answer: Answer, class_: str, retried: bool
) -> None:
    """Temporary ones are tried again and cost nothing; what was answered is paid and is final."""
    name = f"fails-{abs(hash(repr(answer)))}"
    name = await model_step(modelled, name, attempts=2, repairs=0)
    models.script(answer, Say("better")) if retried else models.script(answer)
    result = await execute(modelled, name, {"text": "Who?"})
    if retried:
        assert result.json["status"] == "completed", result.text
        path = f"/api/v1/executions/{result.json['executionId']}/history"
        assert class_ in (await modelled.get(path)).text
        assert len(await booked(modelled, name)) == 1
    else:
        assert result.json["error"]["class"] == class_, result.text
        assert len(models.requests) == 1
        assert len(await booked(modelled, name)) == (class_ == "GuardrailError")


@pytest.mark.long
async def test_a_limited_model_is_asked_again_after_its_wait(
    tmp_path: Path, models: Models
) -> None:
    """`retry-after` is the delay of the retry; the provider is left out until then."""
    settings = {"FLOWMESH_AI_PROVIDERS": "claude", "FLOWMESH_AI_CLAUDE_URL": models.url}
    async with Suite(tmp_path / "data", environment=settings) as suite:
        name = await model_step(suite, "limited", attempts=2)
        models.script(Fail(429, {"retry-after": "1"}), Say("now"))
        began = asyncio.get_running_loop().time()
        assert (await said(suite, name))["text"] == "now"
        assert asyncio.get_running_loop().time() - began >= 1.0
        assert len(models.requests) == 2


@pytest.mark.feature("S1-192")
async def test_calls_of_tools_are_output_and_changing_ones_ask(
    modelled: Suite, models: Models
) -> None:
    """A tool that is not listed is refused; one that changes something needs an approval."""
    tools: Json = [
        {"name": "find", "inputSchema": {"type": "object", "required": ["q"]}},
        {"name": "pay", "changes": True},
    ]
    block: Json = {"prompt": "x", "tools": tools}
    refused = await apply(
        modelled, resource("WorkflowTask", "bold", type="ai.complete", complete=block)
    )
    assert "approve: true" in refused.text
    name = await model_step(modelled, "tooled", tools=tools, approve=True)
    models.script(Use("delete", {}), Use("find", {}), Use("find", {"q": "a"}))
    answer = await said(modelled, name)
    found = {"id": "toolu_1", "name": "find", "arguments": {"q": "a"}, "changes": False}
    assert (answer["calls"], answer["approve"], answer["turns"]) == ([found], False, 3)
    models.script(Use("pay", {"n": 1}))
    answer = await said(modelled, name)
    assert (answer["approve"], answer["calls"][0]["changes"]) == (True, True)


async def test_without_a_service_the_rules_answer(suite: Suite) -> None:
    """They extract from the prompt and invent nothing."""
    name = await model_step(suite, "ruled", outputSchema=SCHEMA)
    answer = await said(suite, name, "Name: Ann, total: 12.5")
    assert (answer["value"], answer["provider"]) == ({"name": "Ann", "total": 12.5}, "offline")
    assert (await failed(suite, name, "Nothing here."))["class"] == "GuardrailError"


@pytest.mark.long
@pytest.mark.feature("S1-192")
@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_around_a_paid_call_pays_once(
    tmp_path: Path, models: Models, point: str
) -> None:
    """kill -9 at the point, then a start on the same data: one answer, one row, one charge."""
    armed = tmp_path / "points"
    settings = {
        "FLOWMESH_AI_PROVIDERS": "claude",
        "FLOWMESH_AI_CLAUDE_URL": models.url,
        "FLOWMESH_FAILPOINTS": f"@{armed}",
    }
    suite = Suite(tmp_path / "data", environment=settings)
    async with suite:
        name = await model_step(suite, "crashed", outputSchema=SCHEMA)
        models.script(Use("answer", {"name": "Ann"}), GOOD)
        armed.write_text(f"{point}=kill9")
        await suite.kill()
        await suite.start()
        started: Response = await suite.post(
            f"/api/v1/workflows/{name}/start", {"input": {"text": "Who?"}}
        )
        execution = started.json["executionId"]
        await done("the crash", Path(f"{armed}.hit").exists, within_s=PATIENCE_S)
        await suite.kill()
        await suite.start()

        async def ended() -> bool:
            answer = await suite.get(f"/api/v1/executions/{execution}")
            return bool(answer.json["status"] == "completed")

        await until("the end", ended, within_s=PATIENCE_S)
        found = (await suite.get(f"/api/v1/executions/{execution}")).json
        assert found["output"]["said"]["value"] == {"name": "Ann", "total": 5}
        assert found["output"]["said"]["usage"]["inputTokens"] == 200
        assert len(await booked(suite, name)) == 2
        assert len(models.paid) == 2
        if point in ("worker.step_committed", "worker.effect_done"):
            assert len(models.requests) == 2, "a committed answer is not asked for again"
