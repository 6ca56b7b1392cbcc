"""Translates QuotaService messages."""

from dataclasses import fields
from typing import Any

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.api.identity.v1 import quota_service_pb2_grpc
from flowmesh.identity.api.messages import page_size, quota_message
from flowmesh.identity.storage.plans import UsedUp
from flowmesh.identity.storage.records import Quota
from flowmesh.identity.workspace.quotas import Quotas
from flowmesh.rpc.pages import last_of_token, list_key, page_token


class QuotaServer(quota_service_pb2_grpc.QuotaServiceServicer):
    """Quotas of projects and their use."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    async def GetQuota(self, request: pb.GetQuotaRequest, context: Any) -> pb.GetQuotaResponse:
        quota, used, ceiling = await self._quotas.quota(request.project_id)
        return pb.GetQuotaResponse(
            quota=quota_message(quota), used=quota_message(used), ceiling=quota_message(ceiling)
        )

    async def SetQuota(self, request: pb.SetQuotaRequest, context: Any) -> pb.SetQuotaResponse:
        quota = Quota(**{each.name: getattr(request.quota, each.name) for each in fields(Quota)})
        await self._quotas.set(request.project_id, quota)
        return pb.SetQuotaResponse(quota=request.quota)

    async def GetUsage(self, request: pb.GetUsageRequest, context: Any) -> pb.GetUsageResponse:
        found = await self._quotas.usage(request.project_id, request.hours)
        return pb.GetUsageResponse(
            usage=[
                pb.Usage(
                    hour_us=each.hour_us,
                    started=each.started,
                    completed=each.completed,
                    failed=each.failed,
                )
                for each in found
            ]
        )

    async def GetNamespaceQuota(
        self, request: pb.GetNamespaceQuotaRequest, context: Any
    ) -> pb.GetNamespaceQuotaResponse:
        found = await self._quotas.of_namespace(request.namespace)
        return pb.GetNamespaceQuotaResponse(quota=quota_message(found))

    async def ListNamespaceQuotas(
        self, request: pb.ListNamespaceQuotasRequest, context: Any
    ) -> pb.ListNamespaceQuotasResponse:
        count = page_size(request.page_size)
        after = last_of_token(request.page_token, list_key(request))
        found = await self._quotas.by_namespace(after, count + 1)
        more = len(found) > count
        return pb.ListNamespaceQuotasResponse(
            quotas=[
                pb.NamespaceQuota(
                    namespace=each.namespace,
                    quota=quota_message(each.quota),
                    used_up=_limit(each.used_up) if each.used_up else None,
                )
                for each in found[:count]
            ],
            next_page_token=page_token(list_key(request), found[count - 1].namespace)
            if more
            else "",
        )


def _limit(reached: UsedUp) -> pb.PlanLimit:
    return pb.PlanLimit(
        plan=reached.plan,
        meter=reached.meter,
        limit=reached.most,
        used=reached.used,
        resets_at_us=reached.resets_at_us,
    )
