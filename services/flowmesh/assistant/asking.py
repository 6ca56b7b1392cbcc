"""Turns of the assistant: within the budget of the namespace, booked, and without keys.

A turn is booked with its estimate before a service is asked, and with its usage after the answer.
A process that dies between the two leaves the estimate, which is above the cost.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from flowmesh.access import acting_as
from flowmesh.api.common.v1.journal_pb2 import ModelUsage
from flowmesh.api.execution.v1 import model_usage_service_pb2 as pb
from flowmesh.executors.completion.budgets import Budget, Spent, estimated_tokens, tokens_left
from flowmesh.executors.completion.guard import Blocked, Redaction
from flowmesh.failpoints import failpoint
from flowmesh.models.port import Conversation, Provider, Usage
from flowmesh.models.selection import Chosen, NoAnswer, Providers

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
        exceeded, booking = "", None
        try:
            left = await self._tokens_left(namespace, conversation, wanted)
            conversation = replace(conversation, tokens_max=left)
            booking = self._estimated(namespace, feature, conversation, wanted)
        except Blocked as blocked:
            exceeded = f"{blocked.class_}: {blocked.message}"
        if booking is None:
            return await self._providers.turn(conversation, wanted, no_services=exceeded)
        failpoint("assistant.before_turn")
        await self._book(booking)
        failpoint("assistant.turn_reserved")
        booking.usage.Clear()
        try:
            chosen = await self._providers.turn(conversation, wanted)
            failpoint("assistant.turn_answered")
            booking.usage.CopyFrom(self._used(chosen))
        except NoAnswer:
            await self._book(booking)
            raise
        await self._book(booking)
        failpoint("assistant.turn_booked")
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

    def _estimated(
        self, namespace: str, feature: str, conversation: Conversation, wanted: str
    ) -> pb.BookModelUsageRequest | None:
        """Return the booking of a turn at its most; None if no service is asked."""
        services = self._providers.services(wanted)
        if not services:
            return None
        most = Usage(estimated_tokens(conversation), conversation.tokens_max)
        estimates = (self._usage_of(each, most) for each in services)
        usage = max(estimates, key=lambda each: each.micro_usd)
        return pb.BookModelUsageRequest(
            namespace=namespace, id=self._new_id(), feature=feature, usage=usage
        )

    def _used(self, chosen: Chosen) -> ModelUsage:
        """Return the usage of a turn; the rules use nothing."""
        return self._usage_of(chosen.provider, chosen.turn.usage)

    def _usage_of(self, provider: Provider, used: Usage) -> ModelUsage:
        cost = self._providers.prices.micro_usd(provider.model, used) if provider.remote else 0
        return ModelUsage(
            provider=provider.name,
            model=provider.model,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            micro_usd=cost,
        )

    async def _book(self, booking: pb.BookModelUsageRequest) -> None:
        with acting_as(None):
            await self._usage.BookModelUsage(booking)
