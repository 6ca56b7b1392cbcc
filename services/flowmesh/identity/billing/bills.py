"""Bills the metered use of companies, hour by hour."""

from typing import Any, ClassVar

from flowmesh.api.execution.v1 import meter_service_pb2 as meters_pb
from flowmesh.errors import Overloaded, Timeout, Unavailable
from flowmesh.identity.billing.plans import COMPANIES_PER_PAGE, SECOND_US, CompanyUse
from flowmesh.identity.billing.stripe import BillingRefused, MeterEvent, Stripe
from flowmesh.identity.storage.plans import Bill, Plan, PlanStore
from flowmesh.runtime import Clock
from flowmesh.runtime.loop import Loop

HOUR_US = 3_600 * SECOND_US
# Bookings of other services arrive within this time after their hour.
CLOSED_AFTER_US = 300 * SECOND_US
# Stripe takes no older events.
BACK_US = 34 * 24 * HOUR_US
BILLED = tuple(field.name for field in meters_pb.Metered.DESCRIPTOR.fields)


class BillingLoop(Loop):
    """Sends the events of each ended hour, then notes that it is billed.

    After a crash between both they are sent again, with the same identifiers. Several processes
    may send the same hour for the same reason.
    """

    interval_ms: ClassVar[int] = 60_000

    def __init__(
        self, *, store: PlanStore, use: CompanyUse, stripe: Stripe, clock: Clock, log: Any
    ) -> None:
        self._store, self._use, self._stripe = store, use, stripe
        self._clock, self._log = clock, log

    async def run_once(self) -> int:
        """Bill all companies with a customer; return the number of billed hours."""
        hours, after = 0, ""
        while plans := await self._store.all(after, COMPANIES_PER_PAGE):
            for company, plan in plans:
                if plan.stripe_customer:
                    hours += await self._bill(company, plan)
            after = plans[-1][0]
        return hours

    async def _bill(self, company: str, plan: Plan) -> int:
        """Bill the ended hours of a company; return their number."""
        now_us = self._clock.now_us()
        begin_us = max((await self._store.bill(company)).billed_at_us, now_us - BACK_US)
        begin_us -= begin_us % HOUR_US
        hours, problem = 0, ""
        while begin_us + HOUR_US + CLOSED_AFTER_US <= now_us:
            try:
                await self._send(company, plan.stripe_customer, begin_us)
            except BillingRefused as error:
                problem = str(error)
                self._log.warning("billing_refused", company=company, problem=problem)
                break
            except (Unavailable, Overloaded, Timeout):
                break
            begin_us, hours = begin_us + HOUR_US, hours + 1
            await self._store.set_billed(company, plan.stripe_customer, Bill(begin_us))
        if problem:
            await self._store.set_billed(company, plan.stripe_customer, Bill(begin_us, problem))
        return hours

    async def _send(self, company: str, customer: str, hour_us: int) -> None:
        used = await self._use.between(company, hour_us, hour_us + HOUR_US)
        for name in BILLED:
            if value := getattr(used, name):
                event = MeterEvent(
                    name=f"flowmesh_{name}",
                    customer=customer,
                    value=value,
                    at_s=hour_us // SECOND_US,
                    identifier=f"{company}-{name}-{hour_us // HOUR_US}",
                )
                await self._stripe.send(event)
