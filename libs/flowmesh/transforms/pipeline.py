"""Pipelines: operations applied to a value one after another.

Compiled once, with every problem found in one pass; applying is synchronous, deterministic and
bounded, about a microsecond per item and operation, so large arrays belong in a thread.
"""

import difflib
from dataclasses import dataclass

from flowmesh.expressions.references import kind_of
from flowmesh.expressions.scanner import OPEN
from flowmesh.transforms import aggregation, data, maths, strings
from flowmesh.transforms.errors import PipelineInvalid, PipelineProblem, TransformError
from flowmesh.transforms.operation import ITEMS_MAX, Json, Operation, Parameter, Step
from flowmesh.transforms.values import field_path

OPERATIONS_MAX = 100

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        *data.OPERATIONS,
        *aggregation.OPERATIONS,
        *strings.OPERATIONS,
        *maths.OPERATIONS,
    )
}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline; share it freely. It never changes the value it is given."""

    steps: tuple[tuple[str, Step], ...]

    def apply(self, value: Json) -> Json:
        """The value after the last operation; raises TransformError naming the one that failed."""
        if isinstance(value, list) and len(value) > ITEMS_MAX:
            raise TransformError(f"the source has more than {ITEMS_MAX} items")
        for index, (name, step) in enumerate(self.steps):
            try:
                value = step(value)
            except TransformError as error:
                raise TransformError(error.message, operation=name, index=index) from error
            except OverflowError as error:
                message = "the result is out of the range of numbers"
                raise TransformError(message, operation=name, index=index) from error
        return value


def compile_pipeline(operations: Json) -> Pipeline:
    """Compiles `[{"operation": name, ...parameters}, ...]`; raises PipelineInvalid."""
    problems: list[PipelineProblem] = []
    steps = [
        (str(item["operation"]), step)
        for index, item in enumerate(_listed(operations, problems))
        if (step := _compile(item, f"[{index}]", problems)) is not None
    ]
    if problems:
        raise PipelineInvalid(tuple(problems))
    return Pipeline(tuple(steps))


def pipeline_problems(operations: Json) -> tuple[PipelineProblem, ...]:
    """What is wrong with a pipeline whose parameters may still hold `{{ templates }}`.

    A string with a template fits every parameter; it is checked when it has been rendered.
    """
    if isinstance(operations, str) and OPEN in operations:
        return ()
    problems: list[PipelineProblem] = []
    for index, item in enumerate(_listed(operations, problems)):
        if isinstance(item, str) and OPEN in item:
            continue
        checked = _checked(item, f"[{index}]", problems, templates=True)
        if checked is not None and not _holds_template(item):
            _built(checked, f"[{index}]", problems)
    return tuple(problems)


def _holds_template(value: Json) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and OPEN in item:
            return True
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
    return False


Checked = tuple[Operation, dict[str, Json]]


def _listed(operations: Json, problems: list[PipelineProblem]) -> list[Json]:
    if not isinstance(operations, list):
        message = f"a pipeline is an array of operations, not {kind_of(operations)}"
        problems.append(PipelineProblem("", message))
        return []
    if len(operations) > OPERATIONS_MAX:
        message = f"a pipeline has at most {OPERATIONS_MAX} operations"
        problems.append(PipelineProblem("", message))
        return []
    return operations


def _compile(item: Json, path: str, problems: list[PipelineProblem]) -> Step | None:
    checked = _checked(item, path, problems)
    return None if checked is None else _built(checked, path, problems)


def _built(checked: Checked, path: str, problems: list[PipelineProblem]) -> Step | None:
    operation, parameters = checked
    try:
        return operation.build(parameters)
    except (ValueError, TransformError) as error:
        problems.append(PipelineProblem(path, f"{operation.name}: {error}"))
        return None


def _checked(
    item: Json, path: str, problems: list[PipelineProblem], *, templates: bool = False
) -> Checked | None:
    """The operation and its parameters with defaults, or None and what is wrong with them."""
    if not isinstance(item, dict):
        message = f"an operation is an object, not {kind_of(item)}"
        problems.append(PipelineProblem(path, message))
        return None
    name = item.get("operation")
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        problems.append(_unknown(name, path))
        return None
    before = len(problems)
    known = {parameter.name: parameter for parameter in operation.accepts}
    for given in item:
        if given not in known and given != "operation":
            allowed = ", ".join(known) or "none"
            message = f"{operation.name} has no parameter {given!r}; it has: {allowed}"
            problems.append(PipelineProblem(f"{path}.{given}", message))
    parameters = {}
    for parameter in operation.accepts:
        value = item.get(parameter.name)
        parameters[parameter.name] = parameter.default if value is None else value
        if not (templates and _holds_template(value)):
            problem = _misfit(operation, parameter, value)
            if problem:
                problems.append(PipelineProblem(f"{path}.{parameter.name}", problem))
    chosen = [one for one in operation.one_of if item.get(one) is not None]
    if operation.one_of and len(chosen) != 1:
        message = f"{operation.name} needs exactly one of {', '.join(operation.one_of)}"
        problems.append(PipelineProblem(path, message))
    return (operation, parameters) if len(problems) == before else None


def _unknown(name: Json, path: str) -> PipelineProblem:
    if not isinstance(name, str):
        return PipelineProblem(path, "'operation' is missing or not a string")
    near = difflib.get_close_matches(name[:64], OPERATIONS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return PipelineProblem(
        f"{path}.operation", f"there is no operation {name[:64]!r}{hint}", "OPERATION_UNKNOWN"
    )


def _misfit(operation: Operation, parameter: Parameter, value: Json) -> str:
    """Why the value does not fit the parameter; empty if it does."""
    if value is None and parameter.kind != "any":
        needs = f"{operation.name} needs {parameter.name!r}: {parameter.summary}"
        return needs if parameter.required else ""
    fits, wanted = _KINDS[parameter.kind]
    if not fits(value):
        return f"must be {wanted}, is {kind_of(value)}"
    if parameter.choices and value not in parameter.choices:
        return f"must be one of {', '.join(parameter.choices)}, is {str(value)[:64]!r}"
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must be at least {parameter.minimum}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must be at most {parameter.maximum}"
    fields = _fields(parameter, value)
    try:
        for field in fields:
            field_path(field)
    except ValueError as error:
        return str(error)
    return ""


def _fields(parameter: Parameter, value: Json) -> list[str]:
    if parameter.kind == "field":
        return [value]
    if parameter.kind == "mappings":
        return list(value.values())
    return list(value) if parameter.kind == "fields" else []


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and value != ""


_KINDS = {
    "field": (_is_text, "a field path"),
    "fields": (
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_text, value)),
        "a non-empty array of field paths",
    ),
    "mappings": (
        lambda value: isinstance(value, dict) and value and all(map(_is_text, value.values())),
        "an object of field paths",
    ),
    "string": (lambda value: isinstance(value, str), "a string"),
    "integer": (_is_integer, "a whole number"),
    "number": (_is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "array": (lambda value: isinstance(value, list), "an array"),
    "any": (lambda _value: True, "anything"),
}
