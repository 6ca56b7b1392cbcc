"""Rules of the Amazon States Language for whole documents.

Names are unique in the document, every state is reachable in its machine, a state ends each
machine, and paths into the context object name existing fields.
"""

from collections.abc import Iterator, Mapping

from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader
from flowmesh.standards.context import ContextFields
from flowmesh.standards.payloads import paths_in

STATE_NAME_CHARACTERS_MAX = 80
_ENDS = ("Succeed", "Fail")
# Members of a state that are paths, and those that are payload templates.
_PATHS = frozenset(
    {
        "InputPath", "OutputPath", "ItemsPath", "SecondsPath", "TimestampPath", "ErrorPath",
        "CausePath", "TimeoutSecondsPath", "HeartbeatSecondsPath", "MaxConcurrencyPath",
        "ToleratedFailureCountPath", "ToleratedFailurePercentagePath",
    }
)  # fmt: skip
_TEMPLATES = ("Parameters", "ResultSelector", "ItemSelector", "Assign", "BatchInput")
# Members of a distributed Map with paths and templates of their own.
_PARTS = ("ItemReader", "ReaderConfig", "ItemBatcher", "ResultWriter")
_Found = Iterator[tuple[Path, str]]


def check_names(states: Reader, taken: set[str]) -> None:
    """Check that state names are short and unique in the document."""
    for name in states.value:
        path = (*states.path, name)
        if len(name) > STATE_NAME_CHARACTERS_MAX:
            message = (
                f"a name of a state has at most {STATE_NAME_CHARACTERS_MAX} characters, "
                f"this one {len(name)}"
            )
            states.problems.add("ID_INVALID", message, path, at_key=True)
        if name in taken:
            message = f"another state is called {name[:64]!r}; names are unique in the document"
            states.problems.add("GRAPH_DUPLICATE_NODE", message, path, at_key=True)
        taken.add(name)


def check_transitions(states: Reader, start: str) -> None:
    """Check that every state is reachable, and that a reachable state ends the machine."""
    if start not in states.value:
        return
    reached, waiting = {start}, [start]
    while waiting:
        state = states.value[waiting.pop()]
        new = [name for name in _targets(state) if name in states.value and name not in reached]
        reached.update(new)
        waiting += new
    for name in states.value:
        if name not in reached:
            message = f"no transition from {start[:64]!r} leads to the state {name[:64]!r}"
            path = (*states.path, name)
            states.problems.add("GRAPH_UNREACHABLE_NODE", message, path, at_key=True)
    # A state that does not exist may be the one that ends it.
    known = all(name in states.value for each in reached for name in _targets(states.value[each]))
    if known and not any(_ends(states.value[name]) for name in reached):
        message = "no state ends the machine; one needs End: true, or the type Succeed or Fail"
        states.problems.add("DEFINITION_INVALID", message, states.path)


def _targets(state: Json) -> Iterator[str]:
    """Yield the names of the successors of a state, if it is one."""
    if not isinstance(state, dict):
        return
    listed = [state.get("Choices"), state.get("Catch")]
    rules = [each for items in listed if isinstance(items, list) for each in items]
    for holder in (state, *rules):
        for key in ("Next", "Default"):
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                yield holder[key]


def _ends(state: Json) -> bool:
    # Values that are no states are reported elsewhere.
    if not isinstance(state, dict):
        return True
    return state.get("End") is True or state.get("Type") in _ENDS


def assigned_in(document: Json) -> frozenset[str]:
    """Return the names of the variables that the states of a document assign."""
    found: set[str] = set()
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            assigned = value.get("Assign")
            if isinstance(assigned, dict):
                found |= {name.removesuffix(".$") for name in assigned}
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return frozenset(found)


def check_lookups(
    state: Reader, variables: frozenset[str], *, in_map: bool, has_token: bool
) -> None:
    """Check that paths lead to assigned variables and to fields of the context object."""
    fields = ContextFields(in_map=in_map, has_token=has_token)
    # The item processing of a Map has an item even if the Map itself is in none.
    of_items = ContextFields(in_map=True, has_token=has_token)
    makes_items = state.value.get("Type") == "Map"
    for path, text in _lookups(state.value, state.path):
        key = path[len(state.path)]
        known = of_items if makes_items and key in ("ItemSelector", "Parameters") else fields
        _check_lookup(text, path, known, variables, state.problems)


def _check_lookup(
    text: str, path: Path, fields: ContextFields, variables: frozenset[str], problems: Problems
) -> None:
    for each in paths_in(text):
        if each.variable and each.variable not in variables:
            message = f"{each.text[:64]!r}: no state assigns ${each.variable[:64]}"
            problems.add("EXPRESSION_INVALID", message, path)
        elif why := fields.refusal(each):
            message = f"{each.text[:64]} is not supported: {why}"
            problems.add("FEATURE_UNSUPPORTED", message, path)


def _lookups(state: Mapping[str, Json], path: Path) -> _Found:
    """Yield the paths and function calls of a state, without those of nested machines."""
    for key, value in state.items():
        if key in _PATHS and isinstance(value, str):
            yield (*path, key), value
        elif key in _PARTS and isinstance(value, dict):
            yield from _lookups(value, (*path, key))
        elif key in _TEMPLATES:
            yield from _in_template(value, (*path, key))
        elif key in ("Choices", "Catch"):
            yield from _in_rules(value, (*path, key))


def _in_template(template: Json, path: Path) -> _Found:
    waiting = [(template, path)]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, list):
            waiting += [(item, (*place, index)) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                if not key.endswith(".$"):
                    waiting.append((item, (*place, key)))
                elif isinstance(item, str):
                    yield (*place, key), item


def _in_rules(rules: Json, path: Path) -> _Found:
    waiting = [(rules, path)]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, list):
            waiting += [(item, (*place, index)) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                if key == "Assign":
                    yield from _in_template(item, (*place, key))
                elif isinstance(item, str) and (key == "Variable" or key.endswith("Path")):
                    yield (*place, key), item
                elif isinstance(item, dict | list):
                    waiting.append((item, (*place, key)))
