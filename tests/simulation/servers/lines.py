"""I12: of one key never more executions have begun and not ended than their start policy says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from flowmesh.orchestrator.commit.starts import start_key

ENDS = frozenset(
    {
        "workflow_completed",
        "workflow_failed",
        "workflow_canceled",
        "workflow_terminated",
        "workflow_continued",
    }
)


class Told(Protocol):
    """One execution, its events, and the commit of each."""

    @property
    def id(self) -> str: ...

    plan: Any
    events: list[tuple[str, Any, Any]]
    commits: list[Any]


def joined(request_id: str, answers: set[str], made: list[str]) -> Iterator[str]:
    """A start with a policy may be answered with another one's execution, and always the same."""
    if len(made) > 1 or (request_id and len(answers | set(made)) > 1):
        yield f"I1 start {request_id!r} was answered {sorted(answers)}, there is {made}"


def lines(told: Mapping[str, Told]) -> Iterator[str]:
    """Everything that is wrong with the order of starts, in words."""
    moments: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    most: dict[tuple[str, str], int] = {}
    for one in told.values():
        policy = one.plan.start
        if policy is None or not policy.concurrency or not all(one.commits):
            continue
        line = (one.plan.workflow_id, start_key(policy, one.events[0][2].input.data))
        most[line] = policy.concurrency
        begun, ended = _begun(one), _ended(one)
        # An execution that begins and is stopped in one commit never overlaps another.
        if begun and begun != ended:
            moments[line].append((begun, 1, one.id))
            if ended:
                moments[line].append((ended, -1, one.id))
    for line, some in moments.items():
        running: set[str] = set()
        for _, change, execution_id in sorted(some):
            (running.add if change > 0 else running.discard)(execution_id)
            if len(running) > most[line]:
                yield f"I12 {sorted(running)} ran at once in {line}, at most {most[line]} may"


def _begun(one: Told) -> int:
    """The commit with which it began; 0 if it did not."""
    kinds = [kind for kind, _, _ in one.events]
    if "workflow_held" not in kinds:
        return int(one.commits[0].tick)
    return int(one.commits[kinds.index("workflow_begun")].tick) if "workflow_begun" in kinds else 0


def _ended(one: Told) -> int:
    return int(one.commits[-1].tick) if one.events[-1][0] in ENDS else 0
