"""Caches of reading, checking, linting, planning and analysing a text.

Keys are digests of all inputs: the text itself, and the current version of each referenced task.
Another version of a task makes another digest, so no entry is ever stale.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.storage.caching import Cache, CacheMetrics
from flowmesh.definition.storage.records import ReferredTask, WorkflowVersion
from flowmesh.definitions import (
    Problem,
    Reading,
    TaskRef,
    Workflow,
    analyse,
    load_workflow,
    read_source,
)

Tasks = Mapping[TaskRef, ReferredTask]


@dataclass(frozen=True, slots=True)
class SourceText:
    """A source as read, and the digest of its content and content type."""

    digest: str
    reading: Reading


class CompilationCache:
    """Recent results of compiling texts; missing ones are made in a thread."""

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

    async def read(self, source: bytes, content_type: str) -> SourceText:
        key = digest(content_type, hashlib.sha256(source).hexdigest())
        size = _loaded_bytes(len(source))
        reading = await self._readings.get_or_make(
            key, lambda: read_source(source, content_type), lambda _: size
        )
        return SourceText(key, reading)

    async def problems(
        self, key: str, find: Callable[[], tuple[Problem, ...]]
    ) -> tuple[Problem, ...]:
        """Return the problems that `find` reports; `key` is the digest of its name and inputs."""
        return await self._problems.get_or_make(key, find, _problems_bytes)

    async def plan(self, key: str, make: Callable[[], plan_pb2.Plan]) -> plan_pb2.Plan:
        """Return the plan that `make` compiles; `key` is the digest of its inputs."""
        return await self._plans.get_or_make(key, make, plan_pb2.Plan.ByteSize)

    def keep(self, definition: str, workflow: Workflow, source_bytes: int) -> None:
        """Add a workflow that was just stored with the digest `definition`: it is planned next."""
        self._workflows.put(definition, workflow, _loaded_bytes(source_bytes))

    async def workflow(self, version: WorkflowVersion) -> Workflow:
        """Return the workflow of a version, loaded in a thread if it is not cached."""
        return await self._workflows.get_or_make(
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
        """Analyze the workflow with the digest `definition`."""
        durations = dict(durations_ms or {})
        return await self._analyses.get_or_make(
            digest(definition, path_count_max, sorted(durations.items())),
            lambda: analyse(workflow(), path_count_max, durations),
            definition_pb2.Analysis.ByteSize,
        )


def digest(*parts: Any) -> str:
    """Return the digest of JSON values."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def tasks_digest(tasks: Tasks, own: Collection[TaskRef]) -> str:
    """Return the digest of resolved references, without those to tasks of the same text."""
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
