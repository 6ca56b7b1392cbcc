"""Plans of companies, their use and their bills as rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Columns, instant


@dataclass(frozen=True, slots=True)
class Plan(Columns):
    """The limits of a month, and the customer that is billed; 0 is unlimited."""

    name: str = ""
    executions: int = 0
    tasks: int = 0
    tokens: int = 0
    stripe_customer: str = ""


@dataclass(frozen=True, slots=True)
class Bill(Columns):
    """The time before which use is billed, and the last refusal."""

    billed_at_us: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class UsedUp(Columns):
    """A limit of a plan that is reached until a time."""

    plan: str
    meter: str
    most: int
    used: int
    resets_at_us: int


class PlanStore:
    """A company without a row has no plan."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql, self._pool = database.sql, database.pool

    async def get(self, company: str) -> Plan:
        row = await self._sql.plan(self._pool, company=company)
        return Plan.of(row) if row else Plan()

    async def all(self, after: str, count: int) -> list[tuple[str, Plan]]:
        """Return plans with their companies, in the order of these."""
        rows = self._sql.plans(self._pool, after=after, count=count)
        return [(row["company"], Plan.of(row)) async for row in rows]

    async def set(self, company: str, plan: Plan, changed_by: str) -> None:
        """Store a plan; a new customer is billed from this hour on."""
        async with self._database.transaction() as connection:
            await self._sql.set_plan(
                connection, company=company, changed_by=changed_by, **asdict(plan)
            )
            if plan.stripe_customer:
                await self._sql.begin_billing(
                    connection, company=company, customer=plan.stripe_customer
                )

    async def namespaces(self, company: str) -> list[str]:
        """Return the namespaces of all projects, also of deleted ones."""
        rows = self._sql.namespaces_of_company(self._pool, company=company)
        return [row["namespace"] async for row in rows]

    async def bill(self, company: str) -> Bill:
        row = await self._sql.plan_bill(self._pool, company=company)
        return Bill.of(row) if row else Bill()

    async def set_billed(self, company: str, customer: str, bill: Bill) -> None:
        await self._sql.set_billed(
            self._pool,
            company=company,
            customer=customer,
            billed_at=instant(bill.billed_at_us),
            problem=bill.problem,
        )

    async def use_up(self, company: str, limit: UsedUp) -> bool:
        """Store that a limit is reached; return whether none was known in this month."""
        return bool(
            await self._sql.use_up_plan(
                self._pool,
                company=company,
                plan=limit.plan,
                meter=limit.meter,
                most=limit.most,
                used=limit.used,
                resets_at=instant(limit.resets_at_us),
            )
        )

    async def free(self, company: str) -> bool:
        """Store that no limit is reached; return whether one was."""
        return bool(await self._sql.free_plan(self._pool, company=company))


def reached(plan: Plan, used: Sequence[tuple[str, int]], resets_us: int) -> UsedUp | None:
    """Return the first limit that the use reaches."""
    for meter, amount in used:
        most = getattr(plan, meter)
        if most and amount >= most:
            return UsedUp(plan.name, meter, most, amount, resets_us)
    return None
