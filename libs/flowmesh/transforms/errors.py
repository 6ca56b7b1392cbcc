"""Errors of transform pipelines.

flowmesh.errors.Invalid
└── PipelineInvalid      every problem of a pipeline, each with its place; found when it is compiled
Exception
└── TransformError       an operation cannot use its data; fails the step
"""

from dataclasses import dataclass

from flowmesh.errors import Invalid, Violation

VALIDATION = "ValidationError"


@dataclass(frozen=True, slots=True)
class PipelineProblem:
    """A problem of a pipeline; `path` leads to its place (`[2].operator`)."""

    path: str
    message: str
    code: str = "PIPELINE_INVALID"


class PipelineInvalid(Invalid):
    """A pipeline that cannot be compiled; `problems` has every problem."""

    def __init__(self, problems: tuple[PipelineProblem, ...]) -> None:
        codes = {problem.code for problem in problems}
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            codes.pop() if len(codes) == 1 else "PIPELINE_INVALID",
            f"{first.path}: {first.message}{more}" if first.path else f"{first.message}{more}",
            violations=tuple(Violation(p.path, p.message, p.code) for p in problems),
        )
        self.problems = problems


class TransformError(Exception):
    """An operation failed on its data.

    `index` is its 0-based place in the outermost pipeline, -1 unknown. `class_` is the failure
    class: ValidationError, or Timeout, ResourceLimit, Cancelled for a stopped program.
    """

    def __init__(
        self, message: str, *, operation: str = "", index: int = -1, class_: str = VALIDATION
    ) -> None:
        place = f"operation {index + 1} ({operation}): " if index >= 0 else ""
        super().__init__(place + message)
        self.message = message
        self.operation = operation
        self.index = index
        self.class_ = class_

    def inside(self, operation: str, index: int) -> "TransformError":
        """Return the error with the operation and its place in the pipeline."""
        return TransformError(str(self), operation=operation, index=index, class_=self.class_)

    def at(self, item: int | str) -> "TransformError":
        """Return the error with an item of an array or a member of an object."""
        return TransformError(f"item [{item!r}]: {self}", class_=self.class_)
