"""Turns of the assistant: within the budget of the namespace, booked, and without keys."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from flowmesh.access import acting_as
from flowmesh.api.common.v1.journal_pb2 import ModelUsage
from flowmesh.api.execution.v1 import model_usage_service_pb2 as pb
from flowmesh.executors.completion.budgets import Budget, Spent, tokens_left
from flowmesh.executors.completion.guard import Blocked, Redaction
from flowmesh.models.port import Conversation
from flowmesh.models.selection import Chosen, Providers

# Addresses of mail stay: a workflow sends to them.
REDACTED = ("CARDS", "KEYS")


class UsageCalls(Protocol):
    """The calls of ModelUsageService, as the service itself."""

    async def GetModelUsage(self, request: pb.GetModelUsageRequest) -> Any: ...

    async def BookModelUsage(self, request: pb.BookModelUsageRequest) -> Any: ...


class Asker:
    """Asks providers for one feature of the assistant at a time."""

    def __init__(
        self, providers: Providers, usage: UsageCalls, day: Spent, new_id: Callable[[], str]
    ) -> None:
        """`day` is the budget of a namespace in a day of UTC."""
        self._providers, self._usage, self._day, self._new_id = providers, usage, day, new_id
        self._redaction = Redaction(REDACTED)

    def check(self, provider: str) -> None:
        """Raise Invalid for a provider that is unknown here."""
        self._providers.check(provider)

    async def turn(
        self, namespace: str, feature: str, conversation: Conversation, wanted: str = ""
    ) -> Chosen:
        """Return the turn of the first provider that answers, and book it. Raises NoAnswer."""
        messages = tuple(self._redaction.messages(conversation.messages))
        conversation = replace(conversation, messages=messages)
        exceeded = ""
        try:
            left = await self._tokens_left(namespace, conversation, wanted)
            conversation = replace(conversation, tokens_max=left)
        except Blocked as blocked:
            exceeded = f"{blocked.class_}: {blocked.message}"
        chosen = await self._providers.turn(conversation, wanted, no_services=exceeded)
        if chosen.provider.remote:
            await self._book(namespace, feature, chosen)
        return chosen

    async def _tokens_left(self, namespace: str, conversation: Conversation, wanted: str) -> int:
        """Return the tokens that the answer may have. Raises Blocked."""
        day = Budget("the namespace today", self._day, Spent())
        if not day.limits:
            return conversation.tokens_max
        with acting_as(None):
            found = await self._usage.GetModelUsage(pb.GetModelUsageRequest(namespace=namespace))
        used = found.day
        spent = Spent(used.input_tokens + used.output_tokens, used.micro_usd)
        model = self._providers.model_of(wanted)
        budgets = (replace(day, spent=spent),)
        return tokens_left(budgets, conversation, model, self._providers.prices)

    async def _book(self, namespace: str, feature: str, chosen: Chosen) -> None:
        provider, used = chosen.provider, chosen.turn.usage
        usage = ModelUsage(
            provider=provider.name,
            model=provider.model,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            micro_usd=self._providers.prices.micro_usd(provider.model, used),
        )
        request = pb.BookModelUsageRequest(
            namespace=namespace, id=self._new_id(), feature=feature, usage=usage
        )
        with acting_as(None):
            await self._usage.BookModelUsage(request)
