"""The CPU of one process for validation, analysis and a transform of many rows."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Results
from benchmarks.load import Metrics
from benchmarks.workloads import Sizes
from flowmesh.definitions import analyse, load_task, load_workflow, read_source
from flowmesh.definitions.checks.everything import check
from flowmesh.runtime.collector import tune_collector
from flowmesh.transforms import compile_pipeline

WORKLOAD = "definitions"
NODES = (1_000, 10_000)
BACK = 97
"""In the analyzed graph, each node depends on two others, one of them this far back."""

TASKS = 20
ROWS = 1_000_000
REPEATS = 5

PIPELINE = [
    {"operation": "filter", "field": "active", "operator": "eq", "value": True},
    {"operation": "map", "mappings": {"id": "id", "name": "name", "country": "country"}},
    {"operation": "sort", "field": "name"},
    {"operation": "groupBy", "field": "country"},
]
FIELDS = {
    "id": {"type": "integer", "minimum": 1},
    "customer": {"type": "string"},
    "lines": {"type": "array", "items": {"type": "string"}},
    "total": {"type": "number"},
}
ORDER = {
    "type": "object",
    "properties": FIELDS,
    "required": list(FIELDS),
    "additionalProperties": False,
}


class Definitions:
    """Measures the compiler in this process, without a server."""

    def __init__(self, _sizes: Sizes) -> None:
        pass

    async def measure(self, _folder: Path, workloads: Sequence[str], results: Results) -> None:
        if WORKLOAD in workloads:
            results.add("flowmesh", WORKLOAD, await asyncio.to_thread(_measured))


def _measured() -> Metrics:
    tune_collector()  # as in the process that compiles definitions
    library = {name: load_task(_task(name)) for name in (f"t{n}" for n in range(TASKS))}
    found: Metrics = {}
    for count in NODES:
        source = _typed(count)

        def validate(source: bytes = source) -> None:
            if problems := check(read_source(source, "application/json"), library.get):
                raise RuntimeError(f"the definition is wrong: {problems[0]}")

        found[f"validate_{count}_ms"] = _least_ms(validate)
    graph = load_workflow(_woven(max(NODES)))
    found[f"analyse_{max(NODES)}_ms"] = _least_ms(lambda: analyse(graph))
    rows, pipeline = _rows(), compile_pipeline(PIPELINE)
    found["million_rows_s"] = _least_ms(lambda: pipeline.apply(rows)) / 1_000
    return found


def _least_ms(do: Callable[[], object]) -> float:
    """Return the CPU time of the best of several runs."""
    spent = []
    for _ in range(REPEATS):
        began = time.process_time()
        do()
        spent.append(time.process_time() - began)
    return min(spent) * 1_000


def _task(name: str) -> dict[str, Any]:
    spec = {"type": "bench.typed", "inputSchema": ORDER, "outputSchema": ORDER}
    metadata = {"name": name}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": metadata,
        "spec": spec,
    }


def _typed(count: int) -> bytes:
    """Return a graph of typed tasks; every second one has a separate reference per field."""
    nodes: list[dict[str, Any]] = [{"id": "n0", "taskRef": "t0", "input": "{{input}}"}]
    for number in range(1, count):
        before = f"tasks.n{max(0, number - 1 - number % 7)}.output"
        parts = {name: "{{" + f"{before}.{name}" + "}}" for name in FIELDS}
        given = parts if number % 2 else "{{" + before + "}}"
        nodes.append({"id": f"n{number}", "taskRef": f"t{number % TASKS}", "input": given})
    document = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "typed"},
        "spec": {"inputSchema": ORDER, "tasks": nodes},
    }
    return orjson.dumps(document)


def _woven(count: int) -> dict[str, Any]:
    steps = [
        {"id": f"n{i}", "dependencies": [f"n{j}" for j in {i - 1, i - 1 - i % BACK} if j >= 0]}
        for i in range(count)
    ]
    return {"id": "woven", "steps": steps}


def _rows() -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        {
            "id": index,
            "name": f"user-{chance.randrange(ROWS)}",
            "active": chance.random() < 0.7,
            "country": chance.choice(("DE", "FR", "US", "IT", "ES")),
        }
        for index in range(ROWS)
    ]
