"""Bodies about quotas and usage."""

from typing import Annotated

from msgspec import Meta

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.views import instant

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


def quota_message(quota: QuotaRequest) -> pb.Quota:
    return pb.Quota(
        starts_per_second=quota.starts_per_second,
        running_executions=quota.running_executions,
        executions_per_day=quota.executions_per_day,
        definitions=quota.definitions,
        file_bytes=quota.file_bytes,
        api_keys=quota.api_keys,
    )


def quota_value(quota: pb.Quota) -> QuotaValue:
    return QuotaValue(
        starts_per_second=quota.starts_per_second,
        running_executions=quota.running_executions,
        executions_per_day=quota.executions_per_day,
        definitions=quota.definitions,
        file_bytes=quota.file_bytes,
        api_keys=quota.api_keys,
    )


def usage_value(usage: pb.Usage) -> UsageValue:
    return UsageValue(
        hour=instant(usage.hour_us),
        started=usage.started,
        completed=usage.completed,
        failed=usage.failed,
    )
