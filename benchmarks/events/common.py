"""Percentiles, executions and the output of the programs of this folder."""

import json
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from benchmarks.load import Metrics
from flowmesh.sdk import Client
from flowmesh.testing.polling import until

PATIENCE_S = 60


def percentiles(seconds: Sequence[float], name: str) -> dict[str, float]:
    """Return p50, p99 and the maximum in ms."""
    found = sorted(each * 1_000 for each in seconds)
    at = {"p50": len(found) // 2, "p99": len(found) * 99 // 100, "max": len(found) - 1}
    return {f"{name}_{key}_ms": round(found[index], 2) for key, index in at.items()}


async def started(client: Client, workflow: str, count: int) -> list[datetime]:
    """Return the starts of all executions of a workflow, oldest first, once there are so many."""
    found: list[datetime] = []

    async def all_there() -> bool:
        listed = [each async for each in client.list_executions(workflow_id=workflow)]
        found[:] = [each.started_at for each in listed if each.started_at is not None]
        return len(found) == count

    await until(f"{count} executions of {workflow}", all_there, within_s=PATIENCE_S)
    return sorted(found)


def medians(rounds: Sequence[Metrics]) -> Metrics:
    """Return the median of each figure over the rounds."""
    return {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}


def show(figures: dict[str, Any]) -> None:
    print(json.dumps(figures, indent=2))
