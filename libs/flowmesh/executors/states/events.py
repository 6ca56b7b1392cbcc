"""Events of the Amazon States Language (`events:putEvents`) as CloudEvents.

`DetailType` is the type, `Source` the source, `Detail` the data, and `EventBusName` the extension
`eventbusname`. The subject is the type, with a hyphen for characters that subjects cannot have.
"""

import re

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.publish import Publisher, send_event
from flowmesh.expressions import instant
from flowmesh.standards.events import OWN_TYPES, SUBJECT, violated_requirement

ENTRIES_MAX = 10
_NOT_IN_SUBJECTS = re.compile(r"[^A-Za-z0-9_.-]+")
_NAMES = {"Source": "source", "DetailType": "type", "Time": "time", "EventBusName": "eventbusname"}


def event_of(entry: Json, attempt: Attempt, number: int, now_us: NowUs) -> dict[str, Json]:
    """Return the event of an entry; its id is equal in all attempts. Raises TaskFailure."""
    if not isinstance(entry, dict) or not {"Source", "DetailType"} <= entry.keys():
        raise _wrong(f"Entries[{number}] needs Source and DetailType")
    event: dict[str, Json] = {
        "specversion": "1.0",
        "id": f"{attempt.task.idempotency_key}-{number}",
        "time": instant(now_us()),
        "datacontenttype": "application/json",
        "data": _data(entry.get("Detail", {})),
    }
    for key, name in _NAMES.items():
        if key in entry:
            event[name] = entry[key]
            if wanted := violated_requirement(name, entry[key]):
                raise _wrong(f"Entries[{number}].{key} must be {wanted}")
    if not SUBJECT.match(_subject(event)) or event["type"].startswith(OWN_TYPES):
        raise _wrong(f"Entries[{number}].DetailType cannot be the type of an event")
    return event


async def publish(publisher: Publisher | None, attempt: Attempt, event: dict[str, Json]) -> None:
    if publisher is None:
        raise TaskFailure("States.Runtime", "this worker has no publisher for events")
    await send_event(publisher, attempt, _subject(event), event)


def _subject(event: dict[str, Json]) -> str:
    return _NOT_IN_SUBJECTS.sub("-", str(event["type"]))


def _data(detail: Json) -> Json:
    """Return the detail, which can be JSON text."""
    try:
        return orjson.loads(detail) if isinstance(detail, str) else detail
    except orjson.JSONDecodeError:
        return detail


def _wrong(message: str) -> TaskFailure:
    return TaskFailure("States.Runtime", message)
