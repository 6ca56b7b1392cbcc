"""Approvals of native workflows: the member `approval`."""

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.native.times import read_duration
from flowmesh.definitions.limits import TIMEOUT_MS_MAX
from flowmesh.definitions.model import APPROVAL, Dialect, Task
from flowmesh.definitions.reading.reader import Reader, kind_of

NEEDS = ("ALL", "ANY")
DEADLINES = ("FAIL", "APPROVE", "REJECT")
REJECTIONS = ("FAIL", "CONTINUE")
ASSIGNEES_MAX = 100
# Members rendered at the start; others are constant.
_RENDERED = ("assignees", "escalateTo", "title", "data")


def read_approval(reader: Reader) -> tuple[Task, Json]:
    """Return the task, and the template of the question and of the deciders."""
    body = reader.object("approval")
    given = {key: body.raw(key) for key in _RENDERED if body.has(key)}
    for key in ("assignees", "escalateTo"):
        value = given.get(key, [])
        if not isinstance(value, str | list):
            message = f"{key} is a list of names, or a template of one, not {kind_of(value)}"
            body.problems.add("DEFINITION_INVALID", message, (*body.path, key))
    config: dict[str, Json] = {
        "needed": _needed(body),
        "form": body.raw("form"),
        "deadline_ms": read_duration(body, "deadline", 0, 1, TIMEOUT_MS_MAX, "TIMEOUT_INVALID"),
        "on_deadline": body.choice("onDeadline", DEADLINES, DEADLINES[0]),
        "on_reject": body.choice("onReject", REJECTIONS, REJECTIONS[0]),
    }
    if body.has("escalateTo") and not body.has("deadline"):
        body.missing("deadline", "the time until those in escalateTo are asked, such as 2h")
    body.refuse_unknown()
    task = Task(APPROVAL, APPROVAL, config, Dialect.NATIVE, path=body.path, config_path=body.path)
    return task, given


def _needed(body: Reader) -> int:
    """Return the number of required approvals; 0 means all."""
    if not isinstance(body.raw("needs"), int) or isinstance(body.raw("needs"), bool):
        return 1 if body.choice("needs", NEEDS, NEEDS[0]) == "ANY" else 0
    return body.integer("needs", 1, 1, ASSIGNEES_MAX)
