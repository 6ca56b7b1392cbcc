"""Parts of triggers: schedules, signatures of webhooks, filters, inputs."""

from flowmesh.triggers.filters import Filter
from flowmesh.triggers.inputs import (
    BATCH_ROOTS,
    CHANGE_ROOTS,
    CRON_ROOTS,
    EVENT_ROOTS,
    QUEUE_ROOTS,
    WEBHOOK_ROOTS,
    Inputs,
    wants,
)
from flowmesh.triggers.schedule import Schedule, ScheduleInvalid, check_zone
from flowmesh.triggers.signatures import TOLERANCE_S, Call, NotJson, verified

__all__ = [
    "BATCH_ROOTS",
    "CHANGE_ROOTS",
    "CRON_ROOTS",
    "EVENT_ROOTS",
    "QUEUE_ROOTS",
    "TOLERANCE_S",
    "WEBHOOK_ROOTS",
    "Call",
    "Filter",
    "Inputs",
    "NotJson",
    "Schedule",
    "ScheduleInvalid",
    "check_zone",
    "verified",
    "wants",
]
