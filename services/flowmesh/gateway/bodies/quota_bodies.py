"""Bodies about quotas and usage."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope

QUOTA_MAX = 10**15
_Bound = Annotated[int, Meta(ge=0, le=QUOTA_MAX)]
_Rate = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class QuotaRequest(Envelope, frozen=True, kw_only=True):
    """Upper bounds of a project; 0 or a missing one is unlimited."""

    starts_per_second: _Rate = 0
    running_executions: _Bound = 0
    executions_per_day: _Bound = 0
    definitions: _Bound = 0
    file_bytes: _Bound = 0
    api_keys: _Bound = 0


class QuotaValue(Answer, kw_only=True):
    """Upper bounds, where 0 is unlimited, or the use in the same fields."""

    starts_per_second: int
    running_executions: int
    executions_per_day: int
    definitions: int
    file_bytes: int
    api_keys: int


class ProjectQuota(Answer, kw_only=True):
    """The quota of a project, its use now, and what a role on the project only may set at most."""

    quota: QuotaValue
    used: QuotaValue
    ceiling: QuotaValue


class UsageValue(Answer, kw_only=True):
    """Executions that started in an hour."""

    hour: Instant
    started: int
    completed: int
    failed: int


class UsageList(Answer, kw_only=True):
    """Use per hour, newest first."""

    usage: list[UsageValue]


class PlanRequest(Envelope, frozen=True, kw_only=True):
    """What a company may use in a calendar month of UTC; 0 or a missing limit is unlimited."""

    name: str = ""
    executions: _Bound = 0
    tasks: _Bound = 0
    tokens: _Bound = 0
    stripe_customer: Annotated[
        str, Meta(description="Customer to which the use is billed at Stripe.")
    ] = ""


class PlanValue(Answer, kw_only=True):
    """The limits of a month, and the customer that is billed."""

    name: str
    executions: int
    tasks: int
    tokens: int
    stripe_customer: str


class MeteredValue(Answer, kw_only=True):
    """Metered use; counts of an hour only grow."""

    executions: int
    tasks: int
    tokens: int
    bytes: int
    agent_seconds: int


class CompanyPlan(Answer, kw_only=True):
    """The plan of a company, and the use of all its projects in this month."""

    plan: PlanValue
    used: MeteredValue
    resets_at: Instant
    billed_at: Instant | UnsetType = UNSET
    billing_problem: str | UnsetType = UNSET
