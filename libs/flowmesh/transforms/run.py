"""Compiled pipelines and one run of them.

A pipeline never waits: an operation that needs a program yields a Request and continues with the
outputs it is sent. So it runs on the event loop or in a child process, and the driver controls
cost, randomness and programs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from flowmesh.contract.json_value import Json
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import ITEMS_MAX, OPERATION_COST, WORK_ITEMS_MAX
from flowmesh.transforms.operation import Flow, Prepared
from flowmesh.transforms.values import array, bounded, check_size, size_of


@dataclass(frozen=True, slots=True)
class Request:
    """A program to evaluate; its outputs are sent to the flow that yielded the request."""

    language: Literal["jq", "jmespath"]
    program: str
    value: Json
    variables: Mapping[str, Json]


class TooCostly(Exception):
    """The next operation would exceed the cost of the run; it has not begun."""


class Run:
    """One run: its random seed, its remaining items, and the remaining cost if that is bounded.

    The cost of an operation is estimated before it begins: the size of its value in bytes as JSON,
    or what the operation knows better.
    """

    __slots__ = ("_cost_left", "_left", "_seed", "_sources")

    def __init__(self, seed: str = "", cost_max: int | None = None) -> None:
        self._seed = seed
        self._sources = 0
        self._cost_left = cost_max
        self._left = WORK_ITEMS_MAX

    @property
    def is_bounded(self) -> bool:
        return self._cost_left is not None

    def measure(self, value: Json) -> int:
        """Return the size of a value in bytes, 0 without a bound. Raises TooCostly."""
        if self._cost_left is None:
            return 0
        size = size_of(value, self._cost_left)
        if size > self._cost_left:
            raise TooCostly
        return size

    def afford(self, cost: int) -> None:
        """Charge an operation. Raises TooCostly."""
        if self._cost_left is not None:
            self._cost_left -= cost
            if self._cost_left < 0:
                raise TooCostly

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


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline; immutable, so it can be shared. It never modifies its input."""

    operations: tuple[tuple[str, Prepared], ...]

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
        """The value after the last operation; yields the programs that are to be evaluated.

        Raises TransformError, and TooCostly if the cost of the run is bounded.
        """
        if isinstance(value, list) and len(value) > ITEMS_MAX:
            raise TransformError(f"the source has more than {ITEMS_MAX} items")
        size = run.measure(value)
        for index, (name, prepared) in enumerate(self.operations):
            try:
                run.afford(
                    OPERATION_COST + max(size, prepared.cost(value)) if run.is_bounded else 0
                )
                if prepared.step is not None:
                    value = prepared.step(value)
                elif prepared.flow is not None:
                    value = yield from prepared.flow(value, run)
                if prepared.grows:
                    size = run.measure(value)
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
