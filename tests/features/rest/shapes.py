"""An execution of `/api/v1` said in the step-JSON shape, so that the two can be compared."""

from datetime import datetime

from flowmesh.contract.json_value import Json

# What only the canonical shape has room for: steps show one status and one result each.
ONLY_CANONICAL = {
    *("workflowName", "format", "durationMs", "signals", "breakpoints", "search", "variables"),
}
ONLY_OF_TASKS = {
    *("name", "type", "dependencies", "dueAt", "workerId", "metadata", "url", "approval"),
    *("childWorkflow", "childVersion"),
}
_LISTS = {
    "running": "currentSteps",
    "success": "completedSteps",
    "failed": "failedSteps",
    "skipped": "skippedSteps",
}
_SAME = (
    *("executionId", "status", "version", "requestId", "lastSequence", "output", "origin"),
    *("compensation", "hold", "archived", "erased", "continuedFrom", "continuedAs", "firstRun"),
)


def as_steps(canonical: Json) -> tuple[Json, set[str]]:
    """The step-JSON shape, and the members that it has no room for."""
    left = dict(canonical)
    shown = {name: left.pop(name) for name in _SAME if name in left}
    shown["workflowId"] = left.pop("workflow")
    shown |= _times(left, left.pop("startedAt", None))
    if "parent" in left:
        shown["parent"] = _renamed(left.pop("parent"))
    if "error" in left:
        shown["error"] = _renamed(left.pop("error"))
    given, tasks = left.pop("input"), left.pop("tasks")
    shown["context"] = given if isinstance(given, dict) else {"input": given}
    shown |= {name: [] for name in _LISTS.values()} | {"stepResults": {}}
    for task_id, task in tasks.items():
        step, unread = _as_step(task)
        left |= dict.fromkeys(unread)
        if step["status"] in _LISTS:
            shown[_LISTS[step["status"]]].append(task_id)
        if step["status"] != "pending":
            shown["stepResults"][task_id] = step
        if "result" in step:
            shown["context"][task_id] = step["result"]
    return shown, set(left)


def _as_step(task: Json) -> tuple[Json, set[str]]:
    left = dict(task)
    step = {
        new: left.pop(old)
        for old, new in (
            ("id", "stepId"),
            ("status", "status"),
            ("attempts", "attempts"),
            ("durationMs", "duration"),
            ("output", "result"),
            ("childExecutionId", "childExecutionId"),
            ("held", "held"),
            ("notRetried", "notRetried"),
            ("undoes", "undoes"),
        )
        if old in left
    }
    if "error" in left:
        step["error"] = _renamed(left.pop("error"))
    scheduled = left.pop("scheduledAt", None)
    return step | _times(left, left.pop("startedAt", None) or scheduled), set(left)


def _times(left: Json, begun: str | None) -> Json:
    times = {"startTime": begun, "endTime": left.pop("endedAt", None)}
    return {name: _seconds(at) for name, at in times.items() if at}


def _seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())


def _renamed(value: Json) -> Json:
    return {"stepId" if name == "taskId" else name: each for name, each in value.items()}
