"""Metered use as text: CSV and OpenMetrics."""

from collections.abc import Iterable

from flowmesh.api.execution.v1 import meter_service_pb2 as pb

METERS = tuple(field.name for field in pb.Metered.DESCRIPTOR.fields)
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_HELP = {
    "executions": "Executions that started.",
    "tasks": "Attempts of tasks that ended.",
    "tokens": "Tokens that models read and wrote.",
    "bytes": "Bytes of events added to histories.",
    "agent_seconds": "Seconds that agents were alive.",
}


def summed(hours: Iterable[pb.MeteredHour]) -> pb.Metered:
    """Return the sum of the hours."""
    total = dict.fromkeys(METERS, 0)
    for each in hours:
        for name in METERS:
            total[name] += getattr(each.used, name)
    return pb.Metered(**total)


def csv_head() -> str:
    """Return the first line of the CSV."""
    return ",".join(("hour", *METERS)) + "\r\n"


def csv_line(hour: str, used: pb.Metered) -> str:
    """Return the line of an hour."""
    return ",".join((hour, *(str(getattr(used, name)) for name in METERS))) + "\r\n"


def open_metrics(namespace: str, used: pb.Metered) -> str:
    """Return the sums of a namespace as counters. Names of namespaces need no escapes."""
    lines = []
    for name in METERS:
        metric = f"flowmesh_metered_{name}"
        lines += [
            f"# TYPE {metric} counter",
            f"# HELP {metric} {_HELP[name]}",
            f'{metric}_total{{namespace="{namespace}"}} {getattr(used, name)}',
        ]
    return "\n".join([*lines, "# EOF", ""])
