"""Compiled pipelines and one run of them.

A pipeline never waits: an operation that needs a program yields a Request and continues with the
outputs it is sent. So it runs in a thread or an event loop, and the driver controls time,
randomness and the sandbox.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import ITEMS_MAX, WORK_ITEMS_MAX
from flowmesh.transforms.operation import Flow, Json, Prepared
from flowmesh.transforms.values import array, bounded, check_size


@dataclass(frozen=True, slots=True)
class Request:
    """A program to evaluate; its outputs are sent to the flow that yielded the request."""

    language: Literal["jq", "jmespath"]
    program: str
    value: Json
    variables: Mapping[str, Json]


class Run:
    """One run: its random seed, its remaining budget, and its stop flag."""

    __slots__ = ("_left", "_seed", "_sources", "_stopped")

    def __init__(self, seed: str = "", stopped: Callable[[], bool] = lambda: False) -> None:
        self._seed = seed
        self._sources = 0
        self._stopped = stopped
        self._left = WORK_ITEMS_MAX

    def random(self, seed: Json) -> Random:
        """Return a random source for one operation, seeded by its own seed or the run's."""
        if seed is not None:
            return Random(str(seed))
        self._sources += 1
        return Random(f"{self._seed}/{self._sources}")

    def spend(self, value: Json) -> None:
        self._left -= len(value) if isinstance(value, list | dict) else 1
        if self._left < 0:
            raise TransformError(f"the pipeline yields more than {WORK_ITEMS_MAX} items in all")
        if self._stopped():
            raise TransformError("the run was stopped", class_="Cancelled")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline; immutable, so it can be shared. It never modifies its input.

    `heavy`: it has pipelines inside or its results grow, so its input size does not limit its work.
    """

    operations: tuple[tuple[str, Prepared], ...]

    @property
    def heavy(self) -> bool:
        return any(each.grows or each.flow is not None for _, each in self.operations)

    def apply(self, value: Json, run: Run | None = None) -> Json:
        """Return the value after the last operation, for pipelines without programs.

        Raises TransformError naming the operation that failed.
        """
        flow = self.flow(value, run or Run())
        try:
            request = next(flow)
        except StopIteration as end:
            return end.value
        return flow.throw(TransformError(f"{request.language} needs a sandbox, there is none here"))

    def flow(self, value: Json, run: Run) -> Flow:
        """The value after the last operation; yields the programs that are to be evaluated."""
        if isinstance(value, list) and len(value) > ITEMS_MAX:
            raise TransformError(f"the source has more than {ITEMS_MAX} items")
        for index, (name, prepared) in enumerate(self.operations):
            try:
                if prepared.step is not None:
                    value = prepared.step(value)
                elif prepared.flow is not None:
                    value = yield from prepared.flow(value, run)
                if prepared.grows:
                    check_size(value)
                run.spend(value)
            except TransformError as error:
                raise error.inside(name, index) from error
            except OverflowError as error:
                message = "the result is out of the range of numbers"
                raise TransformError(message, operation=name, index=index) from error
        return value


def each_item(pipeline: Pipeline, value: Json, run: Run) -> Flow:
    """The pipeline's result for each item of an array."""
    items = array(value)
    result: list[Json] = []
    try:
        for item in items:
            result.append((yield from pipeline.flow(item, run)))
    except TransformError as error:
        raise error.at(len(result)) from error
    return bounded(result)
