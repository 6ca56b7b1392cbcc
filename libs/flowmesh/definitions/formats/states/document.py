"""Amazon States Language: a document with `StartAt` and `States`, as one state machine.

Its states and their paths run on workers. The language has no name for a workflow: the id is the
member `Name` that Flowmesh adds, or a digest of the content.
"""

from flowmesh.definitions.canonical import digest_of_document
from flowmesh.definitions.formats.machines import ROOT, Budget, Machine, Names
from flowmesh.definitions.formats.states.compiler import Compiler
from flowmesh.definitions.formats.states.kinds import KINDS
from flowmesh.definitions.limits import DESCRIPTION_CHARACTERS_MAX, TIMEOUT_MS_MAX
from flowmesh.definitions.model import Dialect, Json, Workflow
from flowmesh.definitions.reading.reader import Reader

EXECUTOR = "states.task"
_DIGEST_CHARACTERS = 12
_SECONDS_MAX = TIMEOUT_MS_MAX // 1_000


def load(reader: Reader) -> Workflow | None:
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


def _made(reader: Reader) -> str:
    digest = digest_of_document(reader.value, Dialect.STATES)
    return f"states-{digest[:_DIGEST_CHARACTERS]}"
