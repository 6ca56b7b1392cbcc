"""The reason why a workflow is slow: its executions since a time, compared with those before."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Final

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.history.v1 import insight_service_pb2 as insight_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.errors import NotFound
from flowmesh.insight.parts import decode
from flowmesh.insight.traces import Trace
from flowmesh.observe.questions.sums import Range, Sums

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub
    from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceAsyncStub

SAMPLES: Final = 20
"""The newest executions of each range whose tasks are analyzed."""

SLOWER_SHARE: Final = 0.1
SLOWER_MS: Final = 1.0
"""A smaller change, by both, is none."""

Times = dict[tuple[int, str], list[float]]
"""Times in ms by the kind of a difference and its name."""


class Slowness:
    """Compares the executions of two ranges of time."""

    def __init__(
        self,
        *,
        sums: Sums,
        definitions: "DefinitionServiceAsyncStub",
        executions: "ExecutionServiceAsyncStub",
        searches: "SearchServiceAsyncStub",
        insights: "InsightServiceAsyncStub",
    ) -> None:
        self._sums = sums
        self._definitions = definitions
        self._executions = executions
        self._searches = searches
        self._insights = insights

    async def explained(
        self, namespace: str, workflow: str, span: Range
    ) -> pb.ExplainSlownessResponse:
        """Return the differences of a workflow, and a sentence. Raises WORKFLOW_NOT_FOUND."""
        await self._definitions.GetWorkflow(
            definition_pb.GetWorkflowRequest(namespace=namespace, workflow_id=workflow)
        )
        before = span.before()
        whole = figures.Difference(kind=figures.DIFFERENCE_KIND_WORKFLOW, name=workflow)
        old, new = [
            await self._groups(namespace, _completed(workflow, each), "") for each in (before, span)
        ]
        whole.before_count, whole.before_ms = old.get("", (0, 0.0))
        whole.after_count, whole.after_ms = new.get("", (0, 0.0))
        parts = [
            *await self._tasks(namespace, workflow, before, span),
            *await self._versions(namespace, workflow, before, span),
            await self._database(before, span),
        ]
        parts.sort(key=_change, reverse=True)
        return pb.ExplainSlownessResponse(
            text=sentence(whole, parts),
            differences=[whole, *parts],
            before_us=before.from_us,
            since_us=span.from_us,
            until_us=span.until_us,
        )

    async def _groups(
        self, namespace: str, text: str, group_by: str
    ) -> dict[str, tuple[int, float]]:
        """Return the number of executions, and the median of their durations, by a field."""
        counted = await self._searches.CountExecutions(
            search_pb.CountExecutionsRequest(
                namespace=namespace,
                filter=text,
                group_by=[group_by] if group_by else [],
                durations=True,
            )
        )
        return {
            each.values[0] if each.values else "": (each.count, each.p50_ms)
            for each in counted.groups
            if each.count
        }

    async def _versions(
        self, namespace: str, workflow: str, before: Range, span: Range
    ) -> Iterable[figures.Difference]:
        old, new = [
            await self._groups(namespace, _completed(workflow, each), "version")
            for each in (before, span)
        ]
        return [
            figures.Difference(
                kind=figures.DIFFERENCE_KIND_VERSION,
                name=name,
                before_count=old.get(name, (0, 0.0))[0],
                before_ms=old.get(name, (0, 0.0))[1],
                after_count=new.get(name, (0, 0.0))[0],
                after_ms=new.get(name, (0, 0.0))[1],
            )
            for name in sorted({*old, *new})
        ]

    async def _tasks(
        self, namespace: str, workflow: str, before: Range, span: Range
    ) -> Iterable[figures.Difference]:
        old, new = [
            await self._times(namespace, _completed(workflow, each)) for each in (before, span)
        ]
        return [
            figures.Difference(
                kind=kind,  # type: ignore[arg-type]  # a number of the enum
                name=name,
                before_count=len(old.get((kind, name), ())),
                before_ms=_median(old.get((kind, name))),
                after_count=len(new.get((kind, name), ())),
                after_ms=_median(new.get((kind, name))),
            )
            for kind, name in sorted({*old, *new})
        ]

    async def _times(self, namespace: str, text: str) -> Times:
        """Return the times of the tasks of the newest executions."""
        listed = await self._executions.ListExecutions(
            execution_pb.ListExecutionsRequest(namespace=namespace, filter=text, page_size=SAMPLES)
        )
        traces = await asyncio.gather(
            *(self._trace(namespace, each.execution_id) for each in listed.executions)
        )
        times: Times = {}
        for key, ms in (each for trace in traces if trace for each in _of_tasks(trace)):
            times.setdefault(key, []).append(ms)
        return times

    async def _trace(self, namespace: str, execution_id: str) -> Trace | None:
        try:
            answer = await self._insights.AnalyzeTrace(
                insight_pb.AnalyzeTraceRequest(namespace=namespace, execution_id=execution_id)
            )
        except NotFound:
            # Deleted meanwhile.
            return None
        return decode(answer.report, Trace)

    async def _database(self, before: Range, span: Range) -> figures.Difference:
        found = figures.Difference(kind=figures.DIFFERENCE_KIND_DATABASE, name="commits")
        found.before_count, found.before_ms = await self._commits(before)
        found.after_count, found.after_ms = await self._commits(span)
        return found

    async def _commits(self, span: Range) -> tuple[int, float]:
        seconds = await self._sums.of("flowmesh_commit_seconds_sum", span, ())
        counts = await self._sums.of("flowmesh_commit_seconds_count", span, ())
        count = sum(counts.values())
        return int(count), 1_000 * sum(seconds.values()) / count if count else 0.0


def _of_tasks(trace: Trace) -> Iterator[tuple[tuple[int, str], float]]:
    for task in trace.tasks:
        yield (int(figures.DIFFERENCE_KIND_TASK), task.id), task.run_ms
        yield (int(figures.DIFFERENCE_KIND_WAIT), task.id), task.wait_ms


def sentence(whole: figures.Difference, parts: Sequence[figures.Difference]) -> str:
    """Return the answer; `parts` begin with the largest change."""
    name, count = whole.name, f"{whole.after_count:,} executions"
    if not whole.after_count:
        return f"{name} has completed no execution since then"
    if not whole.before_count:
        return f"{name} takes {_ms(whole.after_ms)} in the median of {count}, with none before"
    took = f"{_ms(whole.after_ms)} in the median of {count}, {_ms(whole.before_ms)} before"
    if not _is_slower(whole):
        return f"{name} is not slower: {took}"
    slower = (each for each in parts if each.kind in _CAUSES and _is_slower(each))
    cause = next(slower, None)
    reason = f"; most of it is {_cause(cause)}" if cause else "; no single part of it changed"
    begun = [
        each
        for each in parts
        if each.kind == figures.DIFFERENCE_KIND_VERSION
        and each.after_count
        and not each.before_count
    ]
    versions = "".join(
        f"; version {each.name} is new and takes {_ms(each.after_ms)}" for each in begun
    )
    return f"{name} takes {took}{reason}{versions}"


_CAUSES: Final = (
    figures.DIFFERENCE_KIND_TASK,
    figures.DIFFERENCE_KIND_WAIT,
    figures.DIFFERENCE_KIND_DATABASE,
)


def _cause(part: figures.Difference) -> str:
    times = f"{_ms(part.after_ms)} instead of {_ms(part.before_ms)}"
    if not part.before_count:
        return f"the task {part.name}, which is new and takes {_ms(part.after_ms)}"
    if part.kind == figures.DIFFERENCE_KIND_TASK:
        return f"the task {part.name}, which runs {times}"
    if part.kind == figures.DIFFERENCE_KIND_WAIT:
        return f"the queue of the task {part.name}, which waits {times} for a worker"
    return f"the database, whose commits take {times}"


def _change(part: figures.Difference) -> float:
    """Return the change in ms; 0 for what did not run since then, and for new versions."""
    compared = part.before_count or part.kind in (
        figures.DIFFERENCE_KIND_TASK,
        figures.DIFFERENCE_KIND_WAIT,
    )
    return part.after_ms - part.before_ms if part.after_count and compared else 0.0


def _is_slower(part: figures.Difference) -> bool:
    return _change(part) > max(SLOWER_MS, SLOWER_SHARE * part.before_ms)


def _median(values: Sequence[float] | None) -> float:
    return median(values) if values else 0.0


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1_000:,.1f} s"


def _completed(workflow: str, span: Range) -> str:
    since, until = (datetime.fromtimestamp(each / 1_000_000, UTC).isoformat() for each in span)
    return (
        f'workflow = "{workflow}" AND status = completed'
        f' AND started >= "{since}" AND started < "{until}"'
    )
