"""`ai.complete`: turns of a model within guards, until an answer fits its schema.

Each turn is a step of the attempt's journal: its answer and its usage are committed together, and a
later run of the node, after a crash or for a retry, takes the answer from there. Tools are not
called here: their calls are the output, for tasks that follow.
"""

from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol

import orjson

from flowmesh.api.common.v1.journal_pb2 import ModelUsage
from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.executors import failures
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.completion import guard
from flowmesh.executors.completion.answers import Answer, Expected, read
from flowmesh.executors.completion.budgets import Booked, Budget, Spending, Spent, tokens_left
from flowmesh.executors.completion.guard import GUARDRAIL, KINDS, Blocked, Patterns, Redaction
from flowmesh.executors.completion.messages import (
    DATA_RULE,
    json_of,
    messages_of,
    results_of,
    text_of,
)
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered
from flowmesh.models.port import (
    TURN_TIMEOUT_MS,
    Conversation,
    Message,
    Text,
    ToolResult,
    ToolUse,
    Usage,
)
from flowmesh.models.prices import Prices
from flowmesh.models.selection import Chosen, NoAnswer
from flowmesh.models.services import MALFORMED

CHARACTERS_MAX = 400_000
TOKENS_DEFAULT = 1_024
REPAIRS_DEFAULT = 2


class Models(Protocol):
    """The providers of the installation: `Providers`, or a recorder of calls in a dry run."""

    @property
    def prices(self) -> Prices: ...

    def model_of(self, wanted: str) -> str:
        """Return the model that is asked first."""

    async def turn(self, conversation: Conversation, wanted: str) -> Chosen:
        """Return the turn of the first provider that answers. Raises NoAnswer, Invalid."""


@dataclass(slots=True)
class _Progress:
    """The conversation so far, and what it cost."""

    messages: list[Message]
    usage: Usage = field(default_factory=Usage)
    micro_usd: int = 0
    turns: int = 0
    provider: str = ""
    model: str = ""

    @property
    def spent(self) -> Spent:
        return Spent(self.usage.input_tokens + self.usage.output_tokens, self.micro_usd)

    def counted(self) -> dict[str, Json]:
        """Return the usage for the output."""
        return {
            "inputTokens": self.usage.input_tokens,
            "outputTokens": self.usage.output_tokens,
            "costUsd": self.micro_usd / 1_000_000,
        }


class CompletionStep(Step):
    def __init__(
        self,
        spec: TaskSpec,
        config: dict[str, Json],
        models: Models,
        spending: Spending | None,
        now_us: NowUs,
    ) -> None:
        self._models = models
        self._spending = spending
        names = ("prompt", "system", "messages", "results", "fallback")
        self._given = Rendered({name: config.get(name) for name in names}, spec.dialect, now_us)
        self._provider = str(config.get("provider") or "")
        self._tokens_max = int(config.get("maxTokens") or TOKENS_DEFAULT)
        repairs = config.get("repairs")
        self._turns_max = 1 + (REPAIRS_DEFAULT if repairs is None else int(repairs))
        self._falls_back = config.get("onBlocked") == "FALLBACK"
        self._expected = Expected(config.get("outputSchema"), config.get("tools") or ())
        guards = config.get("guard") or {}
        self._redaction = Redaction(guards.get("redact", KINDS))
        self._input = Patterns.of(guards.get("input") or {})
        self._output = Patterns.of(guards.get("output") or {})
        self._budgets = config.get("budget") or {}

    async def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        progress = _Progress(self._redaction.messages(_opening(given)))
        try:
            answer = await self._answered(attempt, given, progress)
        except Blocked as blocked:
            if not self._falls_back:
                raise blocked.failure(progress.counted()) from None
            answer = Answer(value=given["fallback"], blocked=blocked.reason)
        return Output.of(
            {
                "text": answer.text,
                "value": answer.value,
                "calls": answer.calls,
                "approve": any(each["changes"] for each in answer.calls),
                "blocked": answer.blocked,
                "messages": json_of(progress.messages),
                "provider": progress.provider,
                "model": progress.model,
                "turns": progress.turns,
                "usage": progress.counted(),
            }
        )

    async def _answered(
        self, attempt: Attempt, given: dict[str, Json], progress: _Progress
    ) -> Answer:
        """Return the first answer that fits. Raises Blocked, TaskFailure."""
        prompt = _joined(progress.messages)
        await to_thread(self._input.check, prompt, guard.INPUT_DENIED, "the prompt")
        system = self._redaction.text(f"{text_of(given['system'] or '')}\n{DATA_RULE}".strip())
        problem = ""
        while progress.turns < self._turns_max:
            conversation = Conversation(
                system,
                tuple(progress.messages),
                self._expected.tools,
                tokens_max=self._tokens_max,
                timeout_ms=min(TURN_TIMEOUT_MS, attempt.timeout_ms),
                idempotency_key=_key(attempt, progress.turns),
            )
            message = await self._turn(attempt, conversation, progress)
            answer, problem = read(message, self._expected)
            if not problem:
                said = orjson.dumps([answer.text, answer.value, answer.calls]).decode()
                await to_thread(self._output.check, said, guard.OUTPUT_DENIED, "the answer")
                progress.messages.append(answer.message or message)
                return answer
            progress.messages += [message, _correction(message, problem)]
        raise Blocked(
            GUARDRAIL, guard.OUTPUT_INVALID, f"no valid answer in {progress.turns} turns: {problem}"
        )

    async def _turn(
        self, attempt: Attempt, conversation: Conversation, progress: _Progress
    ) -> Message:
        """Return the next message of the model, from the journal if it is there."""

        async def asked() -> tuple[Json, ModelUsage]:
            return await self._asked(attempt, conversation, progress.spent)

        name = f"turn {progress.turns + 1}"
        turn = await attempt.journal.step(progress.turns, name, asked)
        used = turn["usage"]
        progress.turns += 1
        progress.usage += Usage(used["inputTokens"], used["outputTokens"])
        progress.micro_usd += used["microUsd"]
        progress.provider, progress.model = turn["provider"], turn["model"]
        if turn["refused"]:
            raise Blocked(GUARDRAIL, guard.REFUSED, "the model refused to answer")
        if turn["cut"]:
            text = f"the answer has more than {turn['tokensMax']:,} tokens, its limit"
            raise Blocked(GUARDRAIL, guard.CUT, text)
        (message,) = messages_of([turn["message"]])
        return message

    async def _asked(
        self, attempt: Attempt, conversation: Conversation, spent: Spent
    ) -> tuple[Json, ModelUsage]:
        """Ask the model. Returns the turn for the journal, and its usage."""
        budgets = await self._limits(attempt, spent)
        model = self._models.model_of(self._provider)
        most = tokens_left(budgets, conversation, model, self._models.prices)
        try:
            chosen = await self._models.turn(replace(conversation, tokens_max=most), self._provider)
        except NoAnswer as error:
            raise _failure(error) from None
        except Invalid as error:
            raise invalid(error.message) from None
        turn, provider = chosen.turn, chosen.provider
        cost = self._models.prices.micro_usd(provider.model, turn.usage)
        usage = ModelUsage(
            provider=provider.name,
            model=provider.model,
            input_tokens=turn.usage.input_tokens,
            output_tokens=turn.usage.output_tokens,
            micro_usd=cost,
        )
        written = json_of([Message("assistant", turn.blocks)])[0]
        return {
            "provider": provider.name,
            "model": provider.model,
            "message": written,
            "refused": turn.refused,
            "cut": turn.cut,
            "tokensMax": most,
            "usage": {
                "inputTokens": turn.usage.input_tokens,
                "outputTokens": turn.usage.output_tokens,
                "microUsd": cost,
            },
        }, usage

    async def _limits(self, attempt: Attempt, spent: Spent) -> list[Budget]:
        """Return the budgets that hold for the next turn."""
        booked = Booked(spent, ())
        if self._spending is not None:
            task = attempt.task
            booked = await self._spending.booked(task.namespace, task.execution_id)
        found = [
            Budget("the step", _most(self._budgets, "maxTokens", "maxUsd"), spent),
            Budget(
                "the execution",
                _most(self._budgets, "executionTokens", "executionUsd"),
                booked.execution,
            ),
            *booked.budgets,
        ]
        return [each for each in found if each.limits]


def completion_executor(
    models: Models, now_us: NowUs, spending: Spending | None = None
) -> Executor:
    """Return the executor of `ai.complete`."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> CompletionStep:
        return CompletionStep(spec, config, models, spending, now_us)

    return prepare


def _opening(given: dict[str, Json]) -> list[Message]:
    """Return the messages before the first turn of this step."""
    messages = [] if given["messages"] is None else messages_of(given["messages"])
    if given["results"] is not None:
        messages.append(results_of(given["results"]))
    if given["prompt"] is not None:
        messages.append(Message("user", [Text(text_of(given["prompt"]))]))
    if not messages or messages[-1].role != "user":
        raise invalid("give a prompt, or messages with the results of their calls")
    if (characters := sum(map(len, guard.texts_of(messages)))) > CHARACTERS_MAX:
        raise invalid(f"the prompt has {characters:,} characters, the limit is {CHARACTERS_MAX:,}")
    return messages


def _joined(messages: Sequence[Message]) -> str:
    return "\n".join(guard.texts_of(messages))


def _correction(message: Message, problem: str) -> Message:
    """Return the answer to an answer that does not fit."""
    calls = [each for each in message.blocks if isinstance(each, ToolUse)]
    if calls:
        return Message("user", [ToolResult(each.id, problem, is_error=True) for each in calls])
    return Message("user", [Text(f"Your answer does not fit: {problem}. Answer again.")])


def _key(attempt: Attempt, turn: int) -> str:
    task = attempt.task
    text = f"{task.namespace}/{task.execution_id}/{task.idempotency_key}/{turn}"
    return sha256(text.encode()).hexdigest()


def _most(budget: dict[str, Json], tokens: str, usd: str) -> Spent:
    return Spent(int(budget.get(tokens) or 0), int(float(budget.get(usd) or 0) * 1_000_000))


def _failure(error: NoAnswer) -> TaskFailure:
    """Return the failure of the last provider that was asked."""
    if error.class_ == MALFORMED:
        details = {"reason": "MALFORMED_ANSWER"}
        return TaskFailure(failures.SERVER, error.message, details=details)
    class_ = error.class_ or failures.NETWORK
    return TaskFailure(class_, error.message, retry_after_ms=error.retry_in_ms)
