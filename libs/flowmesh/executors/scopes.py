"""The roots and scopes of templates in a task's configuration, by dialect.

Native resources see the task's own `input`. Step JSON sees `context`, where the output of a step
is also available as `.result` unless it has a member of that name. Tasks that call other systems
see `secrets` as well, which registration checks.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_STEPS
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.expressions import MOMENT, Moment, Reference, RenderError, TemplateInvalid
from flowmesh.expressions.secrets import ROOT as SECRETS

T = TypeVar("T")


def roots_of(dialect: int) -> tuple[str, ...]:
    return ("context", "input", SECRETS) if dialect == DIALECT_STEPS else ("input", SECRETS)


def results_read(references: Iterable[Reference]) -> frozenset[str]:
    """Return the steps whose `.result` the templates read."""
    return frozenset(
        str(reference.path[0])
        for reference in references
        if len(reference.path) > 1 and reference.path[1] == "result"
    )


def scope_of(
    dialect: int, attempt: Attempt, now_us: int, with_result: Collection[str] = ()
) -> dict[str, Json]:
    """Return the scope for rendering over the input and the secrets of an attempt."""
    value, moment = attempt.value, Moment(attempt.task.idempotency_key, now_us)
    scope: dict[str, Json] = {SECRETS: attempt.secrets, MOMENT: moment}
    if dialect != DIALECT_STEPS:
        return {**scope, "input": value}
    context = value if isinstance(value, Mapping) else {}
    added = {
        step: _with_result(context[step])
        for step in with_result
        if step in context and not _has_result(context[step])
    }
    if added:
        context = {**context, **added}
    return {**scope, "context": context, "input": context}


def rendered(render: Callable[[dict[str, Json]], T], scope: dict[str, Json]) -> T:
    """Render; a reference without a value raises a ValidationError of the attempt."""
    try:
        return render(scope)
    except RenderError as error:
        raise invalid(str(error)) from error


def compiled(make: Callable[[], T]) -> T:
    """Compile; a definition that passed registration compiles here too."""
    try:
        return make()
    except TemplateInvalid as error:
        raise TaskFailure("ValidationError", error.message) from error


def _has_result(value: Json) -> bool:
    return isinstance(value, Mapping) and "result" in value


def _with_result(value: Json) -> Json:
    members = value if isinstance(value, Mapping) else {}
    return {**members, "result": value}
