"""Payload templates of the Amazon States Language: a member `name.$` is a lookup."""

from flowmesh.contract.json_value import Json
from flowmesh.standards.intrinsics import Call, Randomness, compile_call, is_call
from flowmesh.standards.paths import JsonPath, PathInvalid, compile_path

_SUFFIX = ".$"
Problem = tuple[tuple[str | int, ...], str]


def compile_lookup(text: str) -> Call | JsonPath:
    """Compile a path or a function call. Raises PathInvalid."""
    return compile_call(text) if is_call(text) else compile_path(text)


def paths_in(text: str) -> list[JsonPath]:
    """Return the paths of a path or of a function call; none for other texts."""
    try:
        found = compile_lookup(text)
    except PathInvalid:
        return []
    return [found] if isinstance(found, JsonPath) else list(found.paths())


def fill_template(template: Json, data: Json, context: Json, randomness: Randomness) -> Json:
    """Return the template with its lookups evaluated. Raises PathFailed."""
    if isinstance(template, list):
        return [fill_template(item, data, context, randomness) for item in template]
    if not isinstance(template, dict):
        return template
    made = {}
    for key, value in template.items():
        if key.endswith(_SUFFIX):
            made[key.removesuffix(_SUFFIX)] = look_up(value, data, context, randomness)
        else:
            made[key] = fill_template(value, data, context, randomness)
    return made


def look_up(text: str, data: Json, context: Json, randomness: Randomness) -> Json:
    lookup = compile_lookup(text)
    if isinstance(lookup, Call):
        return lookup.find(data, context, randomness)
    return lookup.find(data, context)


def problems_of(template: Json) -> list[Problem]:
    """Return the problems of a template with their paths."""
    found: list[Problem] = []
    waiting: list[tuple[Json, tuple[str | int, ...]]] = [(template, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, list):
            waiting += [(item, (*path, index)) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                place = (*path, key)
                if not key.endswith(_SUFFIX):
                    waiting.append((item, place))
                elif key.removesuffix(_SUFFIX) in value:
                    found.append((place, f"{key.removesuffix(_SUFFIX)!r} is given twice"))
                elif why := _why_not(item):
                    found.append((place, why))
    return found


def _why_not(text: Json) -> str:
    if not isinstance(text, str):
        return "the value of a name that ends in .$ is a path or a function call"
    try:
        compile_lookup(text)
    except PathInvalid as error:
        return str(error)
    return ""
