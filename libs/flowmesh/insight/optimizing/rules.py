"""The rules: each proposes changes of tasks, with their evidence. Rules, no model.

A rule needs at least `SAMPLES_MIN` runs of a task, but the one for the order of tasks.
"""

import copy
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from flowmesh.contract.durations import duration_ms
from flowmesh.contract.json_value import Json
from flowmesh.insight.bottlenecks import Bottlenecks, NodeCost
from flowmesh.insight.optimizing.report import ProposalKind

SAMPLES_MIN = 20
REPEATED_SHARE_MIN = 0.5
RETRIED_SHARE_MIN = 0.001
FAILED_SHARE_MAX = 0.001
ATTEMPTS_MAX = 10
ATTEMPTS_DEFAULT = 4
WAIT_MS_MIN = 100.0
CONCURRENCY_MAX = 10_000
CONCURRENCY_DEFAULT = 100
TIMEOUT_DEFAULT_MS = 300_000
# A timeout is this multiple of the 99th percentile, and at least one second.
TIMEOUT_FACTOR = 4
TIMEOUT_MS_MIN = 1_000

Task = dict[str, Json]
Edit = Callable[[Task], None]


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal whose gain is not estimated; `edit` changes the task, None changes nothing."""

    kind: ProposalKind
    task: str
    text: str
    evidence: str
    edit: Edit | None = None
    # Known without a rehearsal.
    gain_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Repeats:
    """Runs of a task with an input that an earlier run had, and the same output."""

    runs: int
    repeated: int


def drafts(
    document: Mapping[str, Json], ranking: Bottlenecks, repeats: Mapping[str, Repeats]
) -> Iterator[Draft]:
    """Yield the proposals for a native definition."""
    costs = {node.id: node for node in ranking.nodes}
    tasks = tasks_of(document)
    for task in tasks.values():
        yield from _order(task, tasks)
        cost = costs.get(str(task["id"]))
        if cost is None or cost.run.count < SAMPLES_MIN:
            continue
        if "taskRef" in task:
            yield from _timeout(task, cost)
            yield from _retry(task, cost)
            yield from _cache(task, cost, repeats.get(str(task["id"])))
            yield from _workers(task, cost)
        elif isinstance(task.get("map"), dict) or "items" in task:
            yield from _concurrency(task, costs)


def tasks_of(document: Mapping[str, Json]) -> dict[str, Task]:
    """Return the tasks of a native definition outside of bodies, by id."""
    spec = document.get("spec")
    tasks = spec.get("tasks") if isinstance(spec, dict) else None
    found = tasks if isinstance(tasks, list) else []
    return {str(each["id"]): each for each in found if isinstance(each, dict) and "id" in each}


def edited(document: dict[str, Json], drafts: list[Draft]) -> dict[str, Json]:
    """Return a copy with the edits of the drafts."""
    changed = copy.deepcopy(document)
    tasks = tasks_of(changed)
    for draft in drafts:
        if draft.edit is not None:
            draft.edit(tasks[draft.task])
    return changed


def _order(task: Task, tasks: Mapping[str, Task]) -> Iterator[Draft]:
    """Propose to run beside a task whose output is not read, rather than after it."""
    after = task.get("dependsOn")
    if not isinstance(after, list):
        return
    text = orjson.dumps({name: value for name, value in task.items() if name != "dependsOn"})
    for name in after:
        other = tasks.get(name) if isinstance(name, str) else None
        if other is None or re.search(rf"\b{re.escape(str(name))}\b", text.decode()):
            continue
        earlier = other.get("dependsOn")
        kept = [each for each in earlier if each not in after] if isinstance(earlier, list) else []
        yield Draft(
            "parallel",
            str(task["id"]),
            f"run {task['id']} beside {name}; make sure that its effects may come first",
            f"{task['id']} depends on {name}, and reads nothing of it",
            _without(str(name), kept),
        )


def _without(name: str, instead: list[Json]) -> Edit:
    def edit(task: Task) -> None:
        after = task.get("dependsOn")
        found = after if isinstance(after, list) else []
        left = [each for each in found if each != name]
        left += [each for each in instead if each not in left]
        if left:
            task["dependsOn"] = left
        else:
            task.pop("dependsOn", None)

    return edit


def _timeout(task: Task, cost: NodeCost) -> Iterator[Draft]:
    given = duration_ms(str(task["timeout"])) if "timeout" in task else TIMEOUT_DEFAULT_MS
    wanted = _round(max(TIMEOUT_MS_MIN, TIMEOUT_FACTOR * cost.run.p99_ms, cost.run.max_ms * 1.5))
    if given is None or given / 2 <= wanted <= given:
        return
    how = "end hanging attempts earlier" if wanted < given else "let slow attempts end"
    yield Draft(
        "timeout",
        cost.id,
        f"set the timeout to {_text(wanted)} instead of {_text(given)}, to {how}",
        f"p99 {cost.run.p99_ms:,.0f} ms, longest {cost.run.max_ms:,.0f} ms of {cost.run.count:,}",
        _setting("timeout", _text(wanted)),
    )


def _retry(task: Task, cost: NodeCost) -> Iterator[Draft]:
    attempts = cost.runs + cost.retries
    share = (cost.failed + cost.retries) / attempts if attempts else 0.0
    if not RETRIED_SHARE_MIN < share < 1:
        return
    retry = task.get("retry")
    given = retry.get("maxAttempts") if isinstance(retry, dict) else None
    before = given if isinstance(given, int) else ATTEMPTS_DEFAULT
    wanted = min(ATTEMPTS_MAX, max(2, math.ceil(math.log(FAILED_SHARE_MAX) / math.log(share))))
    if wanted <= before:
        return
    yield Draft(
        "retry",
        cost.id,
        f"try {wanted} times instead of {before}",
        f"{share:.1%} of {attempts:,} attempts failed; {wanted} leave {share**wanted:.2%}",
        _setting("retry", {**(retry if isinstance(retry, dict) else {}), "maxAttempts": wanted}),
    )


def _cache(task: Task, cost: NodeCost, repeats: Repeats | None) -> Iterator[Draft]:
    if "cache" in task or repeats is None or repeats.runs < SAMPLES_MIN:
        return
    share = repeats.repeated / repeats.runs
    if share < REPEATED_SHARE_MIN:
        return
    yield Draft(
        "cache",
        cost.id,
        "reuse results of equal inputs for an hour; make sure that a result stays valid as long",
        f"{repeats.repeated} of {repeats.runs} runs had an earlier input and the same output",
        _setting("cache", {"ttl": "1h"}),
        share * cost.run.p50_ms * cost.critical_in / max(1, cost.runs),
    )


def _workers(task: Task, cost: NodeCost) -> Iterator[Draft]:
    if cost.wait.p95_ms < max(WAIT_MS_MIN, cost.run.p50_ms):
        return
    factor = math.ceil(1 + cost.wait.p50_ms / max(cost.run.p50_ms, 1.0))
    queue = task.get("queue") or "its queue"
    yield Draft(
        "workers",
        cost.id,
        f"give {queue} {factor} times as many slots, by further workers or a scaling policy",
        f"it waits {cost.wait.p50_ms:,.0f} ms (p95 {cost.wait.p95_ms:,.0f} ms) for"
        f" {cost.run.p50_ms:,.0f} ms of work",
        gain_ms=cost.wait.p50_ms * cost.critical_in / max(1, cost.runs),
    )


def _concurrency(task: Task, costs: Mapping[str, NodeCost]) -> Iterator[Draft]:
    """Propose more items at once where they wait, and fewer where they fail."""
    inner = [cost for name, cost in costs.items() if name.startswith(f"{task['id']}[]/")]
    if not inner:
        return
    cost = max(inner, key=lambda each: each.critical_ms)
    given = task.get("concurrency")
    before = given if isinstance(given, int) else CONCURRENCY_DEFAULT
    failing = (cost.failed + cost.retries) / max(1, cost.runs + cost.retries)
    if failing > 0.1:
        wanted, how = max(1, before // 2), f"{failing:.0%} of the attempts of {cost.id} failed"
    elif cost.wait.p50_ms > max(WAIT_MS_MIN, cost.run.p50_ms):
        wanted, how = min(CONCURRENCY_MAX, before * 2), f"items wait {cost.wait.p50_ms:,.0f} ms"
    else:
        return
    yield Draft(
        "concurrency",
        str(task["id"]),
        f"run {wanted:,} items at once instead of {before:,}",
        how,
        _setting("concurrency", wanted),
        cost.wait.p50_ms / 2 if wanted > before else 0.0,
    )


def _setting(name: str, value: Json) -> Edit:
    def edit(task: Task) -> None:
        task[name] = value

    return edit


def _round(milliseconds: float) -> int:
    """Return a whole number of seconds, of minutes above two."""
    unit = 1_000 if milliseconds < 120_000 else 60_000
    return math.ceil(milliseconds / unit) * unit


def _text(milliseconds: int) -> str:
    if milliseconds % 60_000 == 0:
        return f"{milliseconds // 60_000}m"
    return f"{milliseconds // 1_000}s" if milliseconds % 1_000 == 0 else f"{milliseconds}ms"
