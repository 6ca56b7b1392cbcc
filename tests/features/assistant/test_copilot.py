"""Copilot as a provider: a session for each turn, with the offered tools only, and its end."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from tests.features.assistant.copilot import Copilot, Drop, Raise, Scripted, serving_copilot
from tests.features.assistant.models import Say, Use
from tests.features.assistant.test_providers import BAD, GOOD, KEY, generate, written
from tests.features.natives import applied, execute, resource, workflow


@pytest.fixture(scope="module")
async def copilot() -> AsyncIterator[Copilot]:
    async with serving_copilot() as serving:
        yield serving


@pytest.fixture(scope="module")
async def piloted(
    tmp_path_factory: pytest.TempPathFactory, copilot: Copilot
) -> AsyncIterator[Suite]:
    """A suite whose administrator named the command line of Copilot."""
    folder = tmp_path_factory.mktemp("piloted")
    settings = {
        "FLOWMESH_AI_PROVIDERS": "copilot",
        "FLOWMESH_AI_COPILOT_URL": copilot.url,
        "FLOWMESH_AI_COPILOT_KEY_FILE": str(written(folder / "key")),
    }
    async with Suite(folder / "data", environment=settings) as running:
        yield running


@pytest.mark.feature("S1-122")
async def test_a_draft_is_made_in_sessions(piloted: Suite, copilot: Copilot) -> None:
    """Each turn creates a session, sends the conversation, and closes the session."""
    copilot.script(
        Use("submit_definition", {"source": BAD}), Use("submit_definition", {"source": GOOD})
    )
    draft = await generate(piloted)
    assert (draft["valid"], draft["rounds"], draft["provider"]) == (True, 2, "copilot")
    assert draft["usage"] == {"inputTokens": 200, "outputTokens": 20}
    created = [each["sessionId"] for each in copilot.sessions]
    assert len(set(created)) == 2
    assert copilot.closed == created
    assert copilot.connects[0]["token"] == KEY
    settings = copilot.sessions[0]
    assert settings["systemMessage"]["mode"] == "replace"
    assert settings["availableTools"] == ["custom:search_tasks", "custom:submit_definition"]
    assert "Wait 5 minutes" in copilot.prompts[0]
    assert "TASK_NOT_FOUND" in copilot.prompts[1]
    assert all(each["code"] == -32601 for each in copilot.refusals), copilot.refusals
    assert KEY not in str(copilot.prompts)


@pytest.mark.feature("S1-122")
async def test_a_step_asks_copilot(piloted: Suite, copilot: Copilot) -> None:
    """Its answer and its usage are the output."""
    task = resource("WorkflowTask", "ask", type="ai.complete", complete={"prompt": "Who?"})
    output = {"said": "{{tasks.ask.output}}"}
    await applied(piloted, task, workflow("asks", {"id": "ask", "taskRef": "ask"}, output=output))
    copilot.script(Say("Ann"))
    said = (await execute(piloted, "asks")).json["output"]["said"]
    assert (said["text"], said["provider"], said["model"]) == ("Ann", "copilot", "gpt-5")
    assert said["usage"]["inputTokens"] == 100
    assert copilot.prompts == ["Who?"]


@pytest.mark.feature("S1-122")
@pytest.mark.parametrize(
    ("answer", "class_"),
    [
        # Three failures in a row would leave the provider out for a while.
        (Raise("rate_limit"), "RateLimitError"),
        (Say("no", refusal=True), "GuardrailError"),
        (Raise("authentication"), "AuthenticationError"),
        (Say("and so", cut=True), "GuardrailError"),
        (Raise("query"), "ServerError"),
        (Drop(), "NetworkError"),
    ],
    ids=repr,
)
async def test_a_failure_of_copilot_has_its_class(
    piloted: Suite, copilot: Copilot, answer: Scripted, class_: str
) -> None:
    """As those of the other services."""
    name = f"fails-{class_.lower()}-{len(repr(answer))}"
    block: Json = {"prompt": "Who?"}
    task = resource("WorkflowTask", f"{name}-task", type="ai.complete", complete=block)
    node: Json = {"id": "ask", "taskRef": f"{name}-task", "retry": {"maxAttempts": 1}}
    await applied(piloted, task, workflow(name, node))
    copilot.script(answer)
    failed = await execute(piloted, name)
    assert failed.json["error"]["class"] == class_, failed.text
