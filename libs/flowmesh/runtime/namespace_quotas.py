"""Quotas of namespaces, as the services that enforce them know them.

The identity service is asked in the background, so that no call waits for it. While it is away the
last known quotas apply; before the first answer there are none.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.bus import Bus, Message
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.runtime.loop import Loop

# The subject of changed quotas, below the prefix of the bus.
QUOTAS = "identity.quotas"
PAGE_SIZE = 1_000
UNLIMITED = pb.Quota()
ListQuotas = Callable[[pb.ListNamespaceQuotasRequest], Any]


class NamespaceQuotas(Loop):
    """The quotas by namespace, at most half a minute old; a change arrives at once.

    `used_up` are the limits of plans that companies have reached, by namespace.
    """

    interval_ms = 30_000

    def __init__(self, list_quotas: ListQuotas) -> None:
        self._list = list_quotas
        self._quotas: dict[str, pb.Quota] = {}
        self.used_up: Mapping[str, pb.PlanLimit] = {}

    @property
    def by_namespace(self) -> Mapping[str, pb.Quota]:
        """The namespaces with a quota."""
        return self._quotas

    def of(self, namespace: str) -> pb.Quota:
        """Return the quota of a namespace; without one nothing is limited."""
        return self._quotas.get(namespace, UNLIMITED)

    async def listen(self, bus: Bus, prefix: str) -> None:
        """Read the quotas when the bus announces a change."""

        async def announced(_message: Message) -> None:
            self.wake()

        await bus.subscribe_core(f"{prefix}.{QUOTAS}", announced)

    async def run_once(self) -> int:
        """Read all quotas; return their number."""
        found: dict[str, pb.Quota] = {}
        used_up: dict[str, pb.PlanLimit] = {}
        request = pb.ListNamespaceQuotasRequest(page_size=PAGE_SIZE)
        try:
            while True:
                answer = await self._list(request)
                found |= {each.namespace: each.quota for each in answer.quotas}
                used_up |= {
                    each.namespace: each.used_up
                    for each in answer.quotas
                    if each.HasField("used_up")
                }
                if not answer.next_page_token:
                    break
                request = pb.ListNamespaceQuotasRequest(
                    page_size=PAGE_SIZE, page_token=answer.next_page_token
                )
        except (Unavailable, Overloaded, Timeout):
            return len(self._quotas)
        self._quotas, self.used_up = found, used_up
        return len(found)


def quota_exceeded(quota: str, limit: int, used: int, *, retry_after_ms: int = 0) -> FlowmeshError:
    """Return the refusal of a call that would exceed a quota of its project."""
    text = f"the quota {quota} of the project is {limit:,}; {used:,} are in use"
    return Overloaded("QUOTA_EXCEEDED", text, retry_after_ms=retry_after_ms)


def plan_limit_reached(limit: pb.PlanLimit) -> FlowmeshError:
    """Return the refusal of a call of a company that has used up its plan."""
    again = datetime.fromtimestamp(limit.resets_at_us / 1_000_000, UTC)
    text = (
        f"the plan {limit.plan} of the company has {limit.limit:,} {limit.meter} a month;"
        f" {limit.used:,} are used, and it starts again at {again:%Y-%m-%dT%H:%M:%SZ}"
    )
    return Overloaded("PLAN_LIMIT_REACHED", text)
