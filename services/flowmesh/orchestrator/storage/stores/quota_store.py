"""Counts of executions for quotas, and the booked usage of models."""

from __future__ import annotations

from flowmesh.api.common.v1.journal_pb2 import ModelUsage
from flowmesh.orchestrator.storage.database import Queries


class QuotaStore:
    """Counts up to a bound; each reads one range of an index."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def running(self, namespace: str, most: int) -> int:
        """Return the number of executions that have not ended."""
        return int(await self._queries.one("count_running", namespace=namespace, most=most))

    async def active(self, most: int) -> int:
        """Return the number of executions of all namespaces that have not ended."""
        return int(await self._queries.one("count_active", most=most))

    async def started_since(self, namespace: str, first_id: str, most: int) -> int:
        """Return the number of executions whose id is not below a bound."""
        return int(
            await self._queries.one(
                "count_started", namespace=namespace, first_id=first_id, most=most
            )
        )


class UsageStore:
    """Sums of the rows that commits write, and rows of turns outside of executions."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def of_execution(self, execution_id: str) -> ModelUsage:
        """Return what an execution has used."""
        rows = await self._queries.rows("usage_of_execution", execution_id=execution_id)
        return ModelUsage(**rows[0])

    async def of_day(self, namespace: str) -> ModelUsage:
        """Return what a namespace has used since midnight UTC."""
        rows = await self._queries.rows("usage_of_day", namespace=namespace)
        return ModelUsage(**rows[0])

    async def book(self, namespace: str, turn_id: str, feature: str, usage: ModelUsage) -> None:
        """Book a turn that no execution made; a repeated id replaces its row."""
        await self._queries.one(
            "book_usage",
            namespace=namespace,
            turn_id=turn_id,
            feature=feature,
            provider=usage.provider,
            model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            micro_usd=usage.micro_usd,
        )
