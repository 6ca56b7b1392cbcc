"""Booked usage of models, and the budgets of the installation."""

from typing import Any, Protocol

from flowmesh.api.common.v1.journal_pb2 import ModelUsage
from flowmesh.api.execution.v1.model_usage_service_pb2 import GetModelUsageRequest
from flowmesh.errors import FlowmeshError
from flowmesh.executors.completion.budgets import Booked, Budget, Spent
from flowmesh.executors.failures import NETWORK, TaskFailure
from flowmesh.runtime import Settings

MICRO = 1_000_000


class UsageCalls(Protocol):
    """The call of ModelUsageService."""

    async def GetModelUsage(self, request: GetModelUsageRequest) -> Any: ...


class BookedUsage:
    """Reads what is booked where the installation has budgets or a step has one."""

    def __init__(self, calls: UsageCalls, settings: Settings) -> None:
        self._calls = calls
        self._execution = Spent(
            settings.ai_tokens_per_execution, round(settings.ai_usd_per_execution * MICRO)
        )
        self._day = Spent(settings.ai_tokens_per_day, round(settings.ai_usd_per_day * MICRO))

    async def booked(self, namespace: str, execution_id: str) -> Booked:
        """Return what is booked, and the budgets. Raises TaskFailure."""
        request = GetModelUsageRequest(namespace=namespace, execution_id=execution_id)
        try:
            found = await self._calls.GetModelUsage(request)
        except FlowmeshError as error:
            raise TaskFailure(NETWORK, "the booked usage could not be read") from error
        execution = _spent(found.execution)
        return Booked(
            execution,
            (
                Budget("the executions of this installation", self._execution, execution),
                Budget("the namespace today", self._day, _spent(found.day)),
            ),
        )


def _spent(usage: ModelUsage) -> Spent:
    return Spent(usage.input_tokens + usage.output_tokens, usage.micro_usd)
