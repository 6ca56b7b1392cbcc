"""Translates PlanService messages."""

from typing import Any

from flowmesh.api.identity.v1 import plan_service_pb2 as pb
from flowmesh.api.identity.v1 import plan_service_pb2_grpc
from flowmesh.identity.billing.plans import Plans
from flowmesh.identity.storage.plans import Plan
from flowmesh.records import message_of


class PlanServer(plan_service_pb2_grpc.PlanServiceServicer):
    """Plans of companies, their use and their bills."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans

    async def GetPlan(self, request: pb.GetPlanRequest, context: Any) -> pb.GetPlanResponse:
        found = await self._plans.get(request.company_id)
        return pb.GetPlanResponse(
            plan=message_of(pb.Plan, found.plan),
            used=found.used,
            resets_at_us=found.resets_us,
            billed_at_us=found.bill.billed_at_us,
            billing_problem=found.bill.problem,
        )

    async def SetPlan(self, request: pb.SetPlanRequest, context: Any) -> pb.SetPlanResponse:
        plan = request.plan
        await self._plans.set(
            request.company_id,
            Plan(
                name=plan.name,
                executions=plan.executions,
                tasks=plan.tasks,
                tokens=plan.tokens,
                stripe_customer=plan.stripe_customer,
            ),
        )
        return pb.SetPlanResponse(plan=plan)
