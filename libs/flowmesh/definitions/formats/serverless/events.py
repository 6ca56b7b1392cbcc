"""`emit` of Serverless Workflow: an event sent to the subject that its type names."""

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.serverless.compiler import TaskContext
from flowmesh.definitions.formats.serverless.values import unsupported
from flowmesh.definitions.reading.reader import Reader
from flowmesh.standards.events import (
    NAME,
    NAME_FORM,
    violated_requirement,
    violated_type_requirement,
)

_URIS = ("source", "dataschema")


def compile_emit(context: TaskContext) -> None:
    emit = context.reader.object("emit")
    event = emit.object("event")
    given = event.object("with")
    for key, what in (("source", "the source of the event"), ("type", "the type of the event")):
        if not given.has(key):
            given.missing(key, what)
    for key, value in given.value.items():
        _check(context, given, key, value)
    event.refuse_unknown()
    emit.refuse_unknown()
    made = context.expressions.value(given.value, given.path, context.names)
    context.work({"op": "emit", "event": made})


def _check(context: TaskContext, given: Reader, key: str, value: Json) -> None:
    """Check an attribute; an attribute with expressions is known only when the event is sent."""
    path = (*given.path, key)
    if not NAME.match(key):
        message = f"the attribute {key[:64]!r} of an event has a name of {NAME_FORM}"
        context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    elif isinstance(value, str) and "${" in value:
        return
    elif wanted := violated_requirement(key, value):
        given.wrong(key, wanted)
    elif key == "type" and (why := violated_type_requirement(value)):
        unsupported(
            context.problems, f"an event of the type {value[:64]!r}", path, f"it must be {why}"
        )
    elif key in _URIS and "{" in value:
        unsupported(context.problems, f"a URI template as {key}", path, "write ${ }")
