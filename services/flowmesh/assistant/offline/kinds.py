"""Steps that need no registered task: requests, log lines, events, transforms, child workflows."""

import re
from dataclasses import dataclass, field

from flowmesh.assistant.offline.conditions import camel
from flowmesh.assistant.offline.inputs import Inputs
from flowmesh.contract.json_value import Json

_URL = re.compile(r"https?://[^\s,'\"`]+[^\s,'\"`.;:!?)]")
_METHOD = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE)\b")
_LOG = re.compile(
    r"^(?:write\s+(?:a\s+)?log|log)\b\s*(?:line|message|that|entry)?\s*:?\s*(.*)", re.I
)
_PUBLISH = re.compile(r"^(?:publish|emit)\b.*?[`'\"]?\b(\w+(?:\.\w+)+)", re.IGNORECASE)
_SUBWORKFLOW = re.compile(
    r"^(?:run|start|call)\s+the\s+(?:workflow\s+[`'\"]?([\w-]+)|[`'\"]?([\w-]+)[`'\"]?\s+workflow)",
    re.IGNORECASE,
)
_SORT = re.compile(
    r"^sort\s+(?:the\s+)?([\w-]+)\s+by\s+([\w-]+)(.*\b(?:descending|desc|highest|newest))?", re.I
)
_FILTER = re.compile(
    r"^(?:filter|keep|select)\s+(?:only\s+)?(?:the\s+)?(?:(active|enabled|paid|open)\s+)?([\w-]+)"
    r"(?:\s+(?:by|that are|which are|where)\s+([\w-]+))?",
    re.IGNORECASE,
)
_VERBS = {
    "POST": ("post", "send", "submit", "create", "notify", "upload", "push"),
    "PUT": ("put", "update", "replace"),
    "DELETE": ("delete", "remove"),
}


@dataclass(frozen=True, slots=True)
class Special:
    """A node, or the task to declare with the input of its node."""

    node: dict[str, Json] = field(default_factory=dict)
    document: Json = None
    input: Json = None


def special(text: str, inputs: Inputs) -> Special | None:
    """Return the step of a clause that needs no registered task."""
    if url := _URL.search(text):
        http = {"method": _method(text), "url": url[0]}
        if http["method"] in ("POST", "PUT", "PATCH"):
            http["body"] = "{{input}}"
        return Special(document={"type": "http", "http": http}, input={})
    if log := _LOG.match(text):
        message = log[1].strip("'\"` ") or text
        return Special(document={"type": "log", "log": {"message": message}}, input={})
    if publish := _PUBLISH.match(text):
        body = {"subject": publish[1], "data": "{{input}}"}
        return Special(document={"type": "publish", "publish": body}, input={})
    if child := _SUBWORKFLOW.match(text):
        name = child[1] or child[2]
        return Special(node={"subworkflow": {"workflow": name}})
    if sort := _SORT.match(text):
        order = "desc" if sort[3] else "asc"
        return _transform(inputs, sort[1], {"operation": "sort", "field": sort[2], "order": order})
    if (kept := _FILTER.match(text)) and (kept[1] or kept[3]):
        criterion = (kept[1] or kept[3]).lower()
        return _transform(
            inputs,
            kept[2],
            {"operation": "filter", "field": criterion, "operator": "eq", "value": True},
        )
    return None


def _transform(inputs: Inputs, about: str, operation: Json) -> Special:
    name = camel(about)
    inputs.add(name, {"type": "array", "items": {"type": "object"}})
    source = {"source": f"{{{{input.{name}}}}}", "pipeline": [operation]}
    return Special(node={"taskRef": "transform", "input": source})


def _method(text: str) -> str:
    if found := _METHOD.search(text):
        return found[1]
    first = text.split()[0].lower()
    return next((method for method, verbs in _VERBS.items() if first in verbs), "GET")
