"""Every text is read, checked, linted, planned and analysed once, for as long as it is kept.

What is kept is found by a digest of all that it depends on: the text itself, and what each of its
references to tasks means now. Another version of a task is another digest: nothing is stale.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.storage.caching import Cache, CacheMetrics
from flowmesh.definition.storage.records import Referred, WorkflowVersion
from flowmesh.definitions import (
    Problem,
    Reading,
    TaskRef,
    Workflow,
    analyse,
    load_workflow,
    read_source,
)

Tasks = Mapping[TaskRef, Referred]


@dataclass(frozen=True, slots=True)
class Text:
    """What a source holds, and the digest of all that this depends on."""

    digest: str
    reading: Reading


class Compiled:
    """What was made of texts lately; what is not there is made in a thread."""

    def __init__(self, metrics: CacheMetrics) -> None:
        self._readings: Cache[str, Reading] = Cache(
            "reading",
            metrics,
            count_max=limits.READINGS_CACHED_MAX,
            bytes_max=limits.READINGS_CACHED_BYTES_MAX,
        )
        self._problems: Cache[str, tuple[Problem, ...]] = Cache(
            "problems",
            metrics,
            count_max=limits.OUTCOMES_CACHED_MAX,
            bytes_max=limits.OUTCOMES_CACHED_BYTES_MAX,
        )
        self._plans: Cache[str, plan_pb2.Plan] = Cache(
            "source-plan",
            metrics,
            count_max=limits.OUTCOMES_CACHED_MAX,
            bytes_max=limits.OUTCOMES_CACHED_BYTES_MAX,
        )
        self._workflows: Cache[str, Workflow] = Cache(
            "loaded",
            metrics,
            count_max=limits.READINGS_CACHED_MAX,
            bytes_max=limits.READINGS_CACHED_BYTES_MAX,
        )
        self._analyses: Cache[str, definition_pb2.Analysis] = Cache(
            "analysis",
            metrics,
            count_max=limits.OUTCOMES_CACHED_MAX,
            bytes_max=limits.OUTCOMES_CACHED_BYTES_MAX,
        )

    async def read(self, source: bytes, content_type: str) -> Text:
        key = digest(content_type, hashlib.sha256(source).hexdigest())
        size = _loaded_bytes(len(source))
        reading = await self._readings.once(
            key, lambda: read_source(source, content_type), lambda _: size
        )
        return Text(key, reading)

    async def problems(
        self, key: str, find: Callable[[], tuple[Problem, ...]]
    ) -> tuple[Problem, ...]:
        """What a check finds; `key` is the digest of all that it looks at, and of its name."""
        return await self._problems.once(key, find, _problems_bytes)

    async def plan(self, key: str, make: Callable[[], plan_pb2.Plan]) -> plan_pb2.Plan:
        """The same of a plan."""
        return await self._plans.once(key, make, plan_pb2.Plan.ByteSize)

    def keep(self, definition: str, workflow: Workflow, source_bytes: int) -> None:
        """A workflow that became a version, whose digest is `definition`: it is planned next."""
        self._workflows.put(definition, workflow, _loaded_bytes(source_bytes))

    async def workflow(self, version: WorkflowVersion) -> Workflow:
        """What a version says; loaded in a thread where it is not kept."""
        return await self._workflows.once(
            version.digest,
            lambda: load_workflow(orjson.loads(version.definition)),
            lambda _: _loaded_bytes(len(version.definition)),
        )

    async def analysis(
        self,
        definition: str,
        workflow: Callable[[], Workflow],
        path_count_max: int = 0,
        durations_ms: Mapping[str, int] | None = None,
    ) -> definition_pb2.Analysis:
        """Of the workflow whose digest is `definition`."""
        durations = dict(durations_ms or {})
        return await self._analyses.once(
            digest(definition, path_count_max, sorted(durations.items())),
            lambda: analyse(workflow(), path_count_max, durations),
            definition_pb2.Analysis.ByteSize,
        )


def digest(*parts: Any) -> str:
    """Of values that JSON can hold."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def tasks_digest(tasks: Tasks, own: Collection[TaskRef]) -> str:
    """What references mean now; those to tasks of the same text mean what that says."""
    return digest(
        *(
            (str(ref), found.visibility, hashlib.sha256(found.definition).hexdigest())
            for ref, found in sorted(tasks.items())
            if ref not in own
        )
    )


def _loaded_bytes(source_bytes: int) -> int:
    return source_bytes * limits.READING_BYTES_PER_SOURCE_BYTE


def _problems_bytes(problems: tuple[Problem, ...]) -> int:
    return limits.PROBLEM_BYTES * (len(problems) + 1) + sum(len(p.message) for p in problems)
