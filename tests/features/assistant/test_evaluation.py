"""The evaluation of a model service: within a budget, recorded, and replayed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.evaluation import run
from tests.evaluation.run import evaluate
from tests.evaluation.scoring import prompts
from tests.features.assistant.models import Models, Use, serving_models
from tests.features.assistant.test_providers import BAD, GOOD, KEY, written

pytestmark = pytest.mark.long
CHOSEN = prompts()[:3]


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    async with serving_models() as serving:
        yield serving


@pytest.mark.parametrize("provider", ["claude", "openai"])
async def test_answers_are_recorded_and_replayed(
    tmp_path: Path, models: Models, provider: str
) -> None:
    """The replay has the same score and sends nothing; the key is not in the file."""
    file = tmp_path / "answers.jsonl"
    path = "/v1" if provider == "openai" else ""
    environment = {
        f"FLOWMESH_AI_{provider.upper()}_URL": f"{models.url}{path}",
        f"FLOWMESH_AI_{provider.upper()}_KEY_FILE": str(written(tmp_path / "key")),
    }
    models.script(
        Use("submit_definition", {"source": BAD}), Use("submit_definition", {"source": GOOD})
    )
    score, sent = await evaluate(provider, 1.0, file, CHOSEN, environment=environment)
    assert (score.asked, score.valid, score.valid_at_first, sent) == (3, 3, 2, 4), score
    assert (score.usage.input_tokens, score.failed) == (400, [])
    assert score.micro_usd > 0
    assert KEY in str(models.headers)
    assert KEY not in file.read_text()
    again, sent = await evaluate(provider, 1.0, file, CHOSEN, replay=True, environment=environment)
    assert (again, sent, len(models.requests)) == (score, 0, 4)


async def test_a_run_ends_when_its_budget_is_used(tmp_path: Path, models: Models) -> None:
    """No prompt is asked after that, and the rules do not answer in place of the service."""
    environment = {"FLOWMESH_AI_CLAUDE_URL": models.url}
    models.script(Use("submit_definition", {"source": GOOD}))
    file = tmp_path / "answers.jsonl"
    score, sent = await evaluate("claude", 0.01, file, CHOSEN * 40, environment=environment)
    assert score.budget_used
    assert 0 < score.asked < len(CHOSEN) * 40
    assert score.micro_usd <= 10_000
    assert sent <= len(CHOSEN), "the same request is asked once"
    assert "the budget is used up" in score.lines()[-1]


def test_a_budget_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Zero would be none."""
    with pytest.raises(SystemExit):
        run.main(["--provider", "claude", "--budget-usd", "0"])
    assert "BUDGET_USD" in capsys.readouterr().err
