"""Draft the prompts of the evaluation by a provider, within a budget, and print the score.

    make evaluate PROVIDER=claude BUDGET_USD=5     with FLOWMESH_AI_CLAUDE_KEY_FILE set
    make evaluate PROVIDER=claude REPLAY=1         from the recorded answers, without a key

Answers are kept in build/evaluation/, so a second run asks only for what is missing.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flowmesh.contract.json_value import Json
from flowmesh.models.port import Usage
from flowmesh.models.prices import Prices
from flowmesh.runtime.settings import Settings
from flowmesh.testing.suite import Suite
from tests.evaluation.recording import recording
from tests.evaluation.scoring import Plan, Prompt, prompts
from tests.features.commands import command

FOLDER = Path("build/evaluation")
# Those whose protocol can be recorded, and the rules.
PROVIDERS = ("claude", "openai", "offline")


@dataclass
class Score:
    """The figures of a run."""

    asked: int = 0
    valid: int = 0
    valid_at_first: int = 0
    rounds: int = 0
    usage: Usage = field(default_factory=Usage)
    micro_usd: int = 0
    # Assertions that hold, by grade and by whether the prompt was held out.
    met: dict[tuple[int, bool], list[bool]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    budget_used: bool = False

    def take(self, prompt: Prompt, draft: Json, prices: Prices) -> None:
        """Count a draft; one that is not valid meets no assertion."""
        used = Usage(*(int(draft["usage"].get(f"{n}Tokens", 0)) for n in ("input", "output")))
        self.usage += used
        if draft["provider"] != "offline":
            self.micro_usd += prices.micro_usd(draft["model"], used)
        self.rounds += draft["rounds"]
        self.valid += draft["valid"]
        self.valid_at_first += draft["valid"] and draft["rounds"] == 1
        plan = Plan(draft["source"], draft["questions"]) if draft["valid"] else None
        holds = self.met.setdefault((prompt.grade, prompt.held), [])
        holds += [plan is not None and plan.holds(each) for each in prompt.has]

    def lines(self) -> list[str]:
        """Return the figures as lines of text."""
        found = [
            f"{self.asked} prompts: {self.valid} valid drafts, {self.valid_at_first} of them at"
            f" first, {self.rounds} submissions",
            f"{self.usage.input_tokens:,} and {self.usage.output_tokens:,} tokens,"
            f" {self.micro_usd / 1_000_000:.4f} USD",
        ]
        for (grade, held), holds in sorted(self.met.items()):
            group = f"grade {grade}{', held out' if held else ''}"
            found.append(f"{group}: {sum(holds)} of {len(holds)} assertions")
        found += [f"no draft: {each}" for each in self.failed]
        if self.budget_used:
            found.append("the budget is used up; the other prompts were not asked")
        return found


async def evaluate(
    provider: str,
    budget_usd: float,
    file: Path,
    chosen: Sequence[Prompt],
    *,
    replay: bool = False,
    environment: Mapping[str, str] | None = None,
) -> tuple[Score, int]:
    """Return the score, and the number of requests that were sent to the service."""
    given = {**(environment or {}), "FLOWMESH_AI_USD_PER_DAY": str(budget_usd)}
    async with AsyncExitStack() as stack:
        recorded = None
        if provider != "offline":
            name = f"FLOWMESH_AI_{provider.upper()}_URL"
            settings = Settings()
            service = urlsplit(given.get(name) or getattr(settings, f"ai_{provider}_url"))
            at = recording(f"{service.scheme}://{service.netloc}", file, replay=replay)
            address, recorded = await stack.enter_async_context(at)
            given |= {"FLOWMESH_AI_PROVIDERS": provider, name: f"{address}{service.path}"}
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        suite = await stack.enter_async_context(Suite(Path(folder) / "data", environment=given))
        assert (await command(suite, "library", "install")).code == 0
        score = await _drafted(suite, provider, chosen)
    return score, recorded.sent if recorded else 0


async def _drafted(suite: Suite, provider: str, chosen: Sequence[Prompt]) -> Score:
    score, prices = Score(), Prices()
    for prompt in chosen:
        body: Json = {"prompt": prompt.text, "provider": provider}
        answer = await suite.post("/api/v1/workflows:generate", body)
        if answer.status == 200:
            score.asked += 1
            score.take(prompt, answer.json, prices)
        elif "BudgetError" in answer.text:
            score.budget_used = True
            break
        else:
            score.failed.append(f"{prompt.text}: {answer.json['error']['message']}")
    return score


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make evaluate")
    parser.add_argument("--provider", choices=PROVIDERS, required=True)
    parser.add_argument("--budget-usd", type=float, required=True)
    parser.add_argument("--replay", action="store_true")
    given = parser.parse_args(arguments)
    if given.budget_usd <= 0:
        parser.error("BUDGET_USD is above 0: prompts are asked until it is used")
    file = FOLDER / f"{given.provider}.jsonl"
    environment = {n: v for n, v in os.environ.items() if n.startswith("FLOWMESH_AI_")}
    score, sent = asyncio.run(
        evaluate(
            given.provider,
            given.budget_usd,
            file,
            prompts(),
            replay=given.replay,
            environment=environment,
        )
    )
    print("\n".join([*score.lines(), f"{sent} requests were sent to the service"]))
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
