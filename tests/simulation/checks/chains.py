"""I3 of chains: each task had the recorded output of the one before as its input.

The result of a task that was sent ahead, because of a decision that was discarded, has another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.simulation.actors.plans import CHAIN
from tests.simulation.servers.lines import Told


def chains(one: Told) -> Iterator[str]:
    """Everything that does not follow from the task before."""
    runs: dict[str, str] = {}
    for kind, _, body in one.events:
        if kind != "task_completed" or not body.node.startswith(CHAIN) or not body.output.data:
            continue
        output = json.loads(body.output.data)
        if not isinstance(output, dict):
            continue  # completed by hand
        runs[body.node] = output["run"]
        before = runs.get(f"{CHAIN}{int(body.node.removeprefix(CHAIN)) - 1}")
        if before is not None and output["from"] != before:
            yield f"I3 {one.id} {body.node} follows from {output['from']!r}, not from {before!r}"
