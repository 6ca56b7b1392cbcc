"""Parts of triggers: schedules, signatures of webhooks, filters, inputs.

A name is imported when it is first used: who needs a schedule loads no evaluator of filters.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
else:
    HOMES = {
        "BATCH_ROOTS": "inputs",
        "CHANGE_ROOTS": "inputs",
        "CRON_ROOTS": "inputs",
        "Call": "signatures",
        "EVENT_ROOTS": "inputs",
        "Filter": "filters",
        "Inputs": "inputs",
        "NotJson": "signatures",
        "QUEUE_ROOTS": "inputs",
        "Schedule": "schedule",
        "ScheduleInvalid": "schedule",
        "TOLERANCE_S": "signatures",
        "WEBHOOK_ROOTS": "inputs",
        "check_zone": "schedule",
        "verified": "signatures",
        "wants": "inputs",
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


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
