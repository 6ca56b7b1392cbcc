"""Amazon States Language: a document with `StartAt` and `States`, as one state machine.

Its states and their paths run on workers. The language has no name for a workflow: the id is the
member `Name` that Flowmesh adds, or a digest of the content.
"""

import re

from flowmesh.contract.json_value import Json
from flowmesh.definitions.canonical import digest_of_document
from flowmesh.definitions.formats.machines import ROOT, Budget, Machine, Names
from flowmesh.definitions.formats.states.compiler import Compiler
from flowmesh.definitions.formats.states.kinds import KINDS
from flowmesh.definitions.limits import DESCRIPTION_CHARACTERS_MAX, TIMEOUT_MS_MAX
from flowmesh.definitions.model import Dialect, Workflow
from flowmesh.definitions.reading.reader import Reader

EXECUTOR = "states.task"
_DIGEST_CHARACTERS = 12
# Values of placeholders, as SAM writes them beside the document.
_VALUES = "DefinitionSubstitutions"
_PLACEHOLDER = re.compile(r"\$\{([\w:.-]{1,128})\}", re.ASCII)
_SECONDS_MAX = TIMEOUT_MS_MAX // 1_000


def load(reader: Reader) -> Workflow | None:
    reader = _substituted(reader)
    name = reader.identifier("Name", "the name of the workflow", required=False) or _made(reader)
    reader.text("Comment", most=DESCRIPTION_CHARACTERS_MAX)
    if (version := reader.text("Version") or "1.0") != "1.0":
        reader.problems.add("FEATURE_UNSUPPORTED", f"Version {version[:16]!r}", ("Version",))
    timeout_ms = 1_000 * reader.integer("TimeoutSeconds", 0, 1, _SECONDS_MAX, "TIMEOUT_INVALID")
    machine = Machine(Names(), Budget(reader.problems), EXECUTOR, ("States",))
    compiler = Compiler(reader.problems, KINDS, name)
    start = compiler.document(machine, reader)
    first: dict[str, Json] = {"data": "{{input}}"}
    if compiler.has_variables:
        first["variables"] = {}
    reader.refuse_unknown()
    return Workflow(
        id=name,
        name=name,
        dialect=Dialect.STATES,
        nodes=(machine.as_node(ROOT, start, first),) if start else (),
        output=f"{{{{tasks.{ROOT}.output.data}}}}",
        has_output=bool(start),
        timeout_ms=timeout_ms,
        nodes_path=("States",),
    )


def _substituted(reader: Reader) -> Reader:
    """Return the document with the placeholders that `DefinitionSubstitutions` has values for."""
    values = reader.object(_VALUES).value
    for name, value in values.items():
        if isinstance(value, dict | list) or value is None:
            message = f"the value of ${{{name[:64]}}} is a text, a number, true or false"
            path = (_VALUES, name)
            reader.problems.add("DEFINITION_INVALID", message, path)
    if not values:
        return reader
    made = {key: _filled(each, values) for key, each in reader.value.items() if key != _VALUES}
    return Reader(made, reader.path, reader.problems)


def _filled(value: Json, values: dict[str, Json]) -> Json:
    """Return the value with its placeholders filled; one that is a whole text keeps its type."""
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    if whole is not None and whole[1] in values:
        return values[whole[1]]
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), value)


def _made(reader: Reader) -> str:
    digest = digest_of_document(reader.value, Dialect.STATES)
    return f"states-{digest[:_DIGEST_CHARACTERS]}"
