"""The context object of the Amazon States Language, `$$`, and its fields."""

from collections.abc import Iterable, Mapping

from flowmesh.standards.paths import JsonPath

# A field with None holds any value; every path into it is valid.
_Fields = Mapping[str, "_Fields | None"]
_PLAIN: _Fields = {}
_ALWAYS: _Fields = {
    "Execution": {"Id": _PLAIN, "Input": None, "Name": _PLAIN, "StartTime": _PLAIN},
    "State": {"EnteredTime": _PLAIN, "Name": _PLAIN, "RetryCount": _PLAIN},
    "StateMachine": {"Id": _PLAIN, "Name": _PLAIN},
}
_MAP: _Fields = {"Map": {"Item": {"Index": _PLAIN, "Value": None}}}
_TOKEN: _Fields = {"Task": {"Token": _PLAIN}}
_WHERE = {"Map": "a Map", "Task": "a task with .waitForTaskToken"}


class ContextFields:
    """The fields that a state may read: item fields only in a Map, a token only in a task
    with one.
    """

    def __init__(self, *, in_map: bool, has_token: bool) -> None:
        self._fields = {**_ALWAYS, **(_MAP if in_map else {}), **(_TOKEN if has_token else {})}

    def refusal(self, path: JsonPath) -> str:
        """Return the problem of a path into the context object; empty if it is valid."""
        if not path.of_context or path.keys is None:
            return ""
        fields: _Fields | None = self._fields
        for number, key in enumerate(path.keys):
            if fields is None:
                return ""
            if key not in fields:
                return self._explain(path.keys[:number], fields, str(key))
            fields = fields[str(key)]
        return ""

    def _explain(self, before: Iterable[str | int], fields: _Fields, key: str) -> str:
        if where := _WHERE.get(key) if fields is self._fields else None:
            return f"the context object has {key} only in {where}"
        place = ".".join(("$$", *map(str, before)))
        if not fields:
            return f"{place} is a single value"
        return f"{place} has {', '.join(sorted(fields))}"
