"""Native tasks that link to other executions: another workflow, the next run, an awaited event.

Each has a member of its own; the planner makes a plan node of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.common import other_project
from flowmesh.definitions.formats.native.approvals import read_approval
from flowmesh.definitions.formats.native.bodies import Place, read_decision
from flowmesh.definitions.model import APPROVAL, Dialect, Task
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader
from flowmesh.definitions.references import has_template

ON_CANCEL = ("CANCEL", "TERMINATE", "ABANDON")
LATEST = "latest"
DECISION = "decision"
VERSION_MAX = 2**31 - 1
_INPUT = ("input",)


@dataclass(frozen=True, slots=True)
class InlineTask:
    """A task written into its node, and the template of its input."""

    task: Task
    input: Json = None
    has_input: bool = False


def inline_kind(reader: Reader) -> str:
    """Return the kind of an inline task; empty if it is none."""
    return next((kind for kind in KINDS if reader.has(kind)), "")


def read_inline_task(reader: Reader, kind: str, place: Place) -> InlineTask:
    """Return the task under the member `kind`."""
    if kind == DECISION:
        given = reader.raw("input")
        return InlineTask(read_decision(reader), given, reader.has("input"))
    if kind == APPROVAL:
        return InlineTask(*read_approval(reader), has_input=True)
    for key in ("taskRef", "input", "queue"):
        if reader.has(key):
            message = f"{key} does not belong beside {kind}"
            reader.problems.add("DEFINITION_INVALID", message, (*reader.path, key), at_key=True)
            reader.raw(key)
    body = reader.object(kind)
    made = _READERS[kind](body, place)
    body.refuse_unknown()
    return made


def _subworkflow(body: Reader, _place: Place) -> InlineTask:
    waits = body.flag("wait", True)
    path: Path
    if not waits and body.has("onCancel"):
        message = "with wait: false the workflow runs independently; onCancel has no meaning"
        path = (*body.path, "onCancel")
        body.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    if waits and body.has("id"):
        message = "an id that several tasks may use needs wait: false"
        path = (*body.path, "id")
        body.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    config: dict[str, Json] = {
        "workflow": _workflow(body),
        "version": _version(body),
        "wait": waits,
        "onCancel": body.choice("onCancel", ON_CANCEL, ON_CANCEL[0]),
    }
    if body.has("id"):
        config["id"] = body.required_text("id", "a text, as a template")
    return _made("subworkflow", config | other_project(body), body, "input")


def _workflow(body: Reader) -> str:
    """Return the name of a workflow, or a template of one."""
    given = body.value.get("workflow")
    if isinstance(given, str) and has_template(given):
        return body.required_text("workflow", "the name of the workflow to start")
    return body.identifier("workflow", "the name of the workflow to start")


def _continue(body: Reader, place: Place) -> InlineTask:
    if place.depth:
        message = "a workflow continues as new from one of its own tasks, not from within a body"
        body.problems.add("DEFINITION_INVALID", message, body.path)
    config: dict[str, Json] = {"version": _version(body) if body.has("version") else None}
    return _made("continueAsNew", config, body, "input")


def _wait(body: Reader, _place: Place) -> InlineTask:
    config: dict[str, Json] = {"name": body.identifier("event", "the type of the event")}
    if body.has("onTimeout"):
        config["onTimeout"] = body.raw("onTimeout")
    return _made("signal", config, body, "correlate")


def _made(kind: str, config: dict[str, Json], body: Reader, key: str) -> InlineTask:
    task = Task(
        kind,
        kind,
        config,
        Dialect.NATIVE,
        config_path=body.path,
        places={_INPUT: (*body.path, key)},
    )
    return InlineTask(task, body.raw(key), body.has(key))


def _version(body: Reader) -> Json:
    """Return a number, a label, or None for the newest version."""
    value = body.raw("version")
    if isinstance(value, str):
        return body.identifier("version", "a number, a label or latest")
    if isinstance(value, bool) or not isinstance(value, int | None):
        body.wrong("version", "a number, a label or latest")
        return LATEST
    if value is None:
        return LATEST
    return body.integer("version", 1, 1, VERSION_MAX)


def version_of(config: dict[str, Json]) -> tuple[int, str]:
    """Return the version as its number, or 0, and its label."""
    value = config.get("version")
    if isinstance(value, int):
        return value, ""
    return 0, "" if value in (None, LATEST) else str(value)


_READERS: dict[str, Callable[[Reader, Place], InlineTask]] = {
    "subworkflow": _subworkflow,
    "continueAsNew": _continue,
    "wait": _wait,
}
KINDS = (DECISION, APPROVAL, *_READERS)
