"""Plans of companies on behalf of the caller, and the loop that compares them with the use."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from flowmesh.access.roles import MANAGE, READ
from flowmesh.api.execution.v1 import meter_service_pb2 as meters_pb
from flowmesh.errors import Invalid, Overloaded, Timeout, Unavailable, Violation
from flowmesh.identity.limits import NAME_CHARS_MAX, QUOTA_MAX
from flowmesh.identity.permissions import Permissions, caller
from flowmesh.identity.storage.plans import Bill, Plan, PlanStore, reached
from flowmesh.identity.storage.records import Company, Place
from flowmesh.identity.workspace.quotas import Announcements
from flowmesh.runtime import Clock
from flowmesh.runtime.loop import Loop

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.meter_service_pb2_grpc import MeterServiceAsyncStub

SECOND_US = 1_000_000
COMPANIES_PER_PAGE = 500
LIMITED = ("executions", "tasks", "tokens")


class CompanyUse:
    """Metered use of all projects of a company."""

    def __init__(self, store: PlanStore, meters: "MeterServiceAsyncStub") -> None:
        self._store, self._meters = store, meters

    async def between(self, company: str, from_us: int, to_us: int) -> meters_pb.Metered:
        """Return the use of the hours that begin within a range."""
        namespaces = await self._store.namespaces(company)
        request = meters_pb.SumMetersRequest(namespaces=namespaces, from_us=from_us, to_us=to_us)
        return (await self._meters.SumMeters(request)).used


@dataclass(frozen=True, slots=True)
class PlanState:
    """A plan with its use in this month."""

    plan: Plan
    used: meters_pb.Metered
    resets_us: int
    bill: Bill


class Plans:
    """Plans of companies, on behalf of the caller."""

    def __init__(
        self,
        *,
        store: PlanStore,
        use: CompanyUse,
        permissions: Permissions,
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store, self._use, self._permissions = store, use, permissions
        self._changed, self._clock = changed, clock

    async def get(self, company: str) -> PlanState:
        """Return the plan of a company, and its use."""
        found = await self._permissions.tenant(Company, company, READ)
        begin_us, resets_us = month(self._clock.now_us())
        return PlanState(
            plan=await self._store.get(found.id),
            used=await self._use.between(found.id, begin_us, resets_us),
            resets_us=resets_us,
            bill=await self._store.bill(found.id),
        )

    async def set(self, company: str, plan: Plan) -> None:
        """Set the plan of a company; only a role on the installation may."""
        found = await self._permissions.tenant(Company, company, READ)
        await self._permissions.require(Place(), MANAGE)
        for name in LIMITED:
            if getattr(plan, name) > QUOTA_MAX:
                raise _wrong(name, f"{name} is above {QUOTA_MAX:,}; 0 is unlimited")
        for name in ("name", "stripe_customer"):
            if len(getattr(plan, name)) > NAME_CHARS_MAX or "\0" in getattr(plan, name):
                raise _wrong(name, f"{name} has more than {NAME_CHARS_MAX} characters")
        await self._store.set(found.id, plan, caller().id)
        self._changed()


class PlanLoop(Loop):
    """Announces the companies that reach a limit of their plan, within seconds."""

    interval_ms: ClassVar[int] = 5_000
    # While no company has a plan; one that this process stores wakes the loop.
    rest_ms: ClassVar[int] = 30_000

    def __init__(
        self, *, store: PlanStore, use: CompanyUse, announcements: Announcements, clock: Clock
    ) -> None:
        self._store, self._use = store, use
        self._announcements, self._clock = announcements, clock
        self._plans = 0

    def pause_ms(self) -> float:
        return self.interval_ms if self._plans else self.rest_ms

    async def run_once(self) -> int:
        """Compare all plans with their use; return the number of changes."""
        begin_us, resets_us = month(self._clock.now_us())
        changes, after, found = 0, "", 0
        while plans := await self._store.all(after, COMPANIES_PER_PAGE):
            for company, plan in plans:
                changes += await self._compare(company, plan, begin_us, resets_us)
            after, found = plans[-1][0], found + len(plans)
        self._plans = found
        if changes:
            await self._announcements.changed()
        return changes

    async def _compare(self, company: str, plan: Plan, begin_us: int, resets_us: int) -> bool:
        if not any(getattr(plan, name) for name in LIMITED):
            return await self._store.free(company)
        try:
            used = await self._use.between(company, begin_us, resets_us)
        except (Unavailable, Overloaded, Timeout):
            return False
        limit = reached(plan, [(name, getattr(used, name)) for name in LIMITED], resets_us)
        if limit is None:
            return await self._store.free(company)
        return await self._store.use_up(company, limit)


def month(now_us: int) -> tuple[int, int]:
    """Return the begin of this month and that of the next, in UTC."""
    now = datetime.fromtimestamp(now_us / SECOND_US, UTC)
    begin = datetime(now.year, now.month, 1, tzinfo=UTC)
    after = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return int(begin.timestamp()) * SECOND_US, int(after.timestamp()) * SECOND_US


def _wrong(field: str, message: str) -> Invalid:
    field = f"plan.{field}"
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
