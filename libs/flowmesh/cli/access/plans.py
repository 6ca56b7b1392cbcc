"""`plan`: what a company may use in a month, its use and its bills."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from flowmesh.api.identity.v1 import plan_service_pb2 as pb
from flowmesh.api.identity.v1.plan_service_pb2_grpc import PlanServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import Tenants
from flowmesh.cli.arguments import CompanyOption
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.records import moment

LIMITED = ("executions", "tasks", "tokens")


@Parameter(name="*")
@dataclass(frozen=True)
class PlanOptions:
    """Limits of a calendar month of UTC; 0 is unlimited."""

    executions: Annotated[int, Parameter(help="Executions that start.")] = 0
    tasks: Annotated[int, Parameter(help="Attempts of tasks.")] = 0
    tokens: Annotated[int, Parameter(help="Tokens of models.")] = 0
    stripe_customer: Annotated[str, Parameter(help="Customer that is billed at Stripe.")] = ""


NO_LIMITS = PlanOptions()


@command
async def show_plan(*, company: CompanyOption = "", common: Common = COMMON) -> int:
    """Show the plan of a company, and its use in this month."""
    async with connected(common) as client:
        company_id = (await Tenants(client).company(company)).id
        stub = PlanServiceStub(client.caller.channel)
        request = pb.GetPlanRequest(company_id=company_id)
        return _shown(common, await client.caller.call(stub.GetPlan, request))


@command
async def set_plan(
    name: str = "",
    /,
    *,
    limits: PlanOptions = NO_LIMITS,
    company: CompanyOption = "",
    common: Common = COMMON,
) -> int:
    """Set the plan of a company; it replaces the one before. Needs a role on the installation.

    Args:
        name: Name of the plan; without one the company has none.
    """
    async with connected(common) as client:
        company_id = (await Tenants(client).company(company)).id
        stub = PlanServiceStub(client.caller.channel)
        plan = pb.Plan(
            name=name,
            executions=limits.executions,
            tasks=limits.tasks,
            tokens=limits.tokens,
            stripe_customer=limits.stripe_customer,
        )
        await client.caller.call(stub.SetPlan, pb.SetPlanRequest(company_id=company_id, plan=plan))
        request = pb.GetPlanRequest(company_id=company_id)
        return _shown(common, await client.caller.call(stub.GetPlan, request))


def _shown(common: Common, found: pb.GetPlanResponse) -> int:
    if common.structured:
        output.document(document_of(found))
        return exit_codes.DONE
    again = output.moment(moment(found.resets_at_us))
    output.line(f"Plan {found.plan.name or '-'}, starts again {again}")
    rows = []
    for name in LIMITED:
        limit = getattr(found.plan, name)
        shown = f"{limit:,}" if limit else "unlimited"
        rows.append((name, f"{getattr(found.used, name):,}", shown))
    output.columns(("", "USED", "LIMIT"), rows)
    if found.plan.stripe_customer:
        billed = output.moment(moment(found.billed_at_us))
        output.line(f"Billed to {found.plan.stripe_customer} until {billed}")
    if found.billing_problem:
        output.warning(f"Stripe: {found.billing_problem}")
    return exit_codes.DONE
