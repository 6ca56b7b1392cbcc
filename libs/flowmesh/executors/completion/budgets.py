"""Budgets of a model step: of itself, of its execution, of its namespace in a day.

They are checked before each turn with what is booked by then: turns of other steps that run at the
same moment are not counted yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from flowmesh.executors.completion.guard import BUDGET, Blocked
from flowmesh.models.port import Conversation, Text, ToolResult, ToolUse, Usage
from flowmesh.models.prices import Prices

CHARACTERS_PER_TOKEN = 3
"""Characters of a token in the estimate of a prompt, which is above the real number for English."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens and millionths of a US dollar."""

    tokens: int = 0
    micro_usd: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.tokens + other.tokens, self.micro_usd + other.micro_usd)


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a scope, and what is spent of them; 0 is no limit."""

    scope: str
    most: Spent
    spent: Spent

    @property
    def limits(self) -> bool:
        return bool(self.most.tokens or self.most.micro_usd)


@dataclass(frozen=True, slots=True)
class Booked:
    """The spending of an execution, and the budgets of the installation."""

    execution: Spent
    budgets: tuple[Budget, ...]


class Spending(Protocol):
    """The booked usage of an installation."""

    async def booked(self, namespace: str, execution_id: str) -> Booked:
        """Return the booked usage, and the budgets. Raises TaskFailure."""


def tokens_left(
    budgets: Iterable[Budget], conversation: Conversation, model: str, prices: Prices
) -> int:
    """Return the tokens that the next answer may have. Raises Blocked if the prompt is too much."""
    estimate = Usage(estimated_tokens(conversation))
    prompt, price = prices.micro_usd(model, estimate), prices.of(model)
    most = conversation.tokens_max
    for budget in budgets:
        spent, limit = budget.spent, budget.most
        left = most
        if limit.tokens:
            left = limit.tokens - spent.tokens - estimate.input_tokens
        if limit.micro_usd and price.output:
            usd_left = limit.micro_usd - spent.micro_usd - prompt
            left = min(left, int(usd_left / price.output))
        if left < 1:
            raise Blocked(BUDGET, "BUDGET_EXCEEDED", _exceeded(budget))
        most = min(most, left)
    return most


def estimated_tokens(conversation: Conversation) -> int:
    """Return a number of tokens that the prompt of a turn hardly exceeds."""
    characters = len(conversation.system) + sum(
        len(each.name) + len(each.description) + len(str(each.schema))
        for each in conversation.tools
    )
    for message in conversation.messages:
        for block in message.blocks:
            match block:
                case Text() | ToolResult():
                    characters += len(block.text)
                case ToolUse():
                    characters += len(str(block.arguments))
    return characters // CHARACTERS_PER_TOKEN + 1


def _exceeded(budget: Budget) -> str:
    parts = []
    if budget.most.tokens:
        parts.append(f"{budget.spent.tokens:,} of {budget.most.tokens:,} tokens")
    if budget.most.micro_usd:
        spent, most = budget.spent.micro_usd / 1e6, budget.most.micro_usd / 1e6
        parts.append(f"{spent:.4f} of {most:.4f} USD")
    return f"the budget of {budget.scope} has no room for a turn: {' and '.join(parts)} used"
