"""Operations on the members of objects, or of each object of an array."""

from collections.abc import Mapping

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import MERGE_DEPTH_MAX
from flowmesh.transforms.operation import Example, Operation, Parameter, Parameters, Prepared, Step
from flowmesh.transforms.operations.conditions import exists
from flowmesh.transforms.texts import compile_text
from flowmesh.transforms.values import (
    MISSING,
    Read,
    TextMeter,
    array,
    as_object,
    each,
    field_path,
    group_name,
    on_objects,
    reader,
)

Path = tuple[str, ...]

_ADA = {"id": 1, "name": "Ada", "address": {"city": "London", "zip": "W1"}}


def _member_path(field: str) -> Path:
    """Return a path through objects only. Raises ValueError."""
    path = field_path(field)
    names = tuple(step for step in path if isinstance(step, str))
    if len(names) < len(path):
        raise ValueError(f"{field!r} has an index; a path through objects is needed")
    return names


def _pick(parameters: Parameters) -> Step:
    wanted = [(_member_path(field), reader(field)) for field in parameters["fields"]]

    def pick(element: Json) -> Json:
        as_object(element)
        result: dict[str, Json] = {}
        for path, read in wanted:
            value = read(element)
            if value is not MISSING:
                _put(result, path, value)
        return result

    return on_objects(pick)


def _put(target: dict[str, Json], path: Path, value: Json) -> None:
    """Set a value in a new object, creating nested objects along the path."""
    for name in path[:-1]:
        inner = target.get(name)
        target[name] = target = {**inner} if isinstance(inner, dict) else {}
    target[path[-1]] = value


def _omit(parameters: Parameters) -> Step:
    paths = [_member_path(field) for field in parameters["fields"]]

    def omit(element: Json) -> Json:
        result = as_object(element)
        for path in paths:
            result = _without(result, path)
        return result

    return on_objects(omit)


def _without(value: dict[str, Json], path: Path) -> dict[str, Json]:
    name = path[0]
    if name not in value:
        return value
    if len(path) == 1:
        return {key: member for key, member in value.items() if key != name}
    inner = value[name]
    return {**value, name: _without(inner, path[1:])} if isinstance(inner, dict) else value


def _merge(parameters: Parameters) -> Prepared:
    other, deep, winner = parameters["with"], parameters["deep"], parameters["wins"]

    def both(first: Json, second: Json) -> Json:
        ours, theirs = as_object(first), as_object(second)
        return _merged(ours, theirs, 1) if deep else {**ours, **theirs}

    def one(element: Json) -> Json:
        return both(other, element) if winner == "element" else both(element, other)

    def merge(value: Json) -> Json:
        if other is not None:
            return on_objects(one)(value)
        result: dict[str, Json] = {}
        for index, item in enumerate(array(value)):
            try:
                result = both(result, item)
            except TransformError as error:
                raise error.at(index) from error
        return result

    return Prepared(merge, grows=True)


def _merged(first: dict[str, Json], second: dict[str, Json], depth: int) -> dict[str, Json]:
    if depth > MERGE_DEPTH_MAX:
        raise TransformError(f"merges objects of at most {MERGE_DEPTH_MAX} levels")
    result = {**first}
    for name, value in second.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            value = _merged(before, value, depth + 1)
        result[name] = value
    return result


def _rename(parameters: Parameters) -> Step:
    new_names: dict[str, str] = {}
    for target, source in parameters["mappings"].items():
        (*outer, old) = _member_path(source)
        if outer or old in new_names:
            raise ValueError(f"{source!r} must be the name of a member, named once")
        new_names[old] = target

    def rename(element: Json) -> Json:
        return {new_names.get(name, name): value for name, value in as_object(element).items()}

    return on_objects(rename)


def _default(parameters: Parameters) -> Prepared:
    values = parameters["values"]

    def default(element: Json) -> Json:
        lacking = {name: v for name, v in values.items() if not exists(element.get(name))}
        return {**element, **lacking} if lacking else element

    return Prepared(on_objects(lambda element: default(as_object(element))), grows=True)


def _keys(_parameters: Parameters) -> Step:
    return lambda value: list(as_object(value))


def _values(_parameters: Parameters) -> Step:
    return lambda value: list(as_object(value).values())


def _entries(_parameters: Parameters) -> Step:
    return lambda value: [{"key": key, "value": v} for key, v in as_object(value).items()]


def _from_entries(parameters: Parameters) -> Step:
    read_key, read_value = reader(parameters["key"]), reader(parameters["value"])

    def pair(item: Json) -> tuple[str, Json]:
        value = read_value(item)
        return group_name(read_key(item)), None if value is MISSING else value

    return lambda value: dict(each(pair, value))


def _enrich(parameters: Parameters) -> Prepared:
    read = _looking_up(parameters)
    values: Mapping[str, Json] = parameters["values"] or {}
    sources = [(name, reader(field)) for name, field in (parameters["mappings"] or {}).items()]
    texts = [(name, compile_text(text)) for name, text in (parameters["texts"] or {}).items()]
    target, keep = parameters["target"], parameters["keep"]
    if not (values or sources or texts or read):
        raise ValueError("it needs 'values', 'mappings', 'texts' or 'from'")

    def run(value: Json) -> Json:
        meter = TextMeter()

        def enrich(element: Json) -> Json:
            added = {**values}
            for name, source in sources:
                found = source(element)
                added[name] = None if found is MISSING else found
            for name, write in texts:
                added[name] = write(element, meter)
            if read is not None:
                found = read(element)
                added |= {target: found} if target is not None else found or {}
            return {**added, **element} if keep else {**element, **added}

        return on_objects(lambda element: enrich(as_object(element)))(value)

    return Prepared(run, grows=True)


def _looking_up(parameters: Parameters) -> Read | None:
    """Return a lookup of an element in the table, null if absent."""
    table = parameters["from"]
    if table is None:
        return None
    if parameters["field"] is None:
        raise ValueError("'from' needs 'field', whose value names a member of it")
    if parameters["target"] is None:
        for name, row in table.items():
            if not isinstance(row, dict):
                message = f"'from' holds {kind_of(row)} under {name!r}, so 'target' must be given"
                raise ValueError(message)
    read = reader(parameters["field"])

    def look_up(element: Json) -> Json:
        key = read(element)
        return table.get(group_name(key)) if exists(key) else None

    return look_up


_FIELDS = Parameter("fields", "fields", "Their paths; one inside another as `a.b`.", required=True)

OPERATIONS = (
    Operation(
        "pick",
        "objects",
        "Keeps the named members at their paths; missing members stay missing.",
        (_FIELDS,),
        Example(_ADA, {"fields": ["id", "address.city"]}, {"id": 1, "address": {"city": "London"}}),
        _pick,
    ),
    Operation(
        "omit",
        "objects",
        "Removes the named members.",
        (_FIELDS,),
        Example(
            [_ADA], {"fields": ["id", "address.zip"]},
            [{"name": "Ada", "address": {"city": "London"}}],
        ),
        _omit,
    ),
    Operation(
        "merge",
        "objects",
        "Joins the members of each object and of another one, or those of all objects of an array.",
        (
            Parameter("with", "object", "The other object; without it the items become one."),
            Parameter("deep", "boolean", "Merges nested objects too.", default=False),
            Parameter(
                "wins",
                "string",
                "The side whose member is kept if both have one.",
                default="with",
                choices=("with", "element"),
            ),
        ),
        Example([{"id": 1, "tier": None}], {"with": {"tier": "gold"}}, [{"id": 1, "tier": "gold"}]),
        _merge,
    ),
    Operation(
        "rename",
        "objects",
        "Gives members new names and keeps the others.",
        (Parameter("mappings", "mappings", "The old name by the new one.", required=True),),
        Example([{"id": 1, "n": "Ada"}], {"mappings": {"name": "n"}}, [{"id": 1, "name": "Ada"}]),
        _rename,
    ),
    Operation(
        "default",
        "objects",
        "Adds members that are missing or null.",
        (Parameter("values", "object", "The values by name.", required=True),),
        Example([{"a": None}, {"a": 1}], {"values": {"a": 0}}, [{"a": 0}, {"a": 1}]),
        _default,
    ),
    Operation("keys", "objects", "The names of the members.", (),
              Example({"a": 1, "b": 2}, {}, ["a", "b"]), _keys),
    Operation("values", "objects", "The values of the members.", (),
              Example({"a": 1, "b": 2}, {}, [1, 2]), _values),
    Operation("entries", "objects", "The members as objects of key and value.", (),
              Example({"a": 1}, {}, [{"key": "a", "value": 1}]), _entries),
    Operation(
        "fromEntries",
        "objects",
        "Makes an object of items with a key and a value; the last of equal keys is kept.",
        (
            Parameter("key", "field", "The field of the key.", default="key"),
            Parameter("value", "field", "The field of the value.", default="value"),
        ),
        Example([{"key": "a", "value": 1}, {"key": "b", "value": 2}], {}, {"a": 1, "b": 2}),
        _from_entries,
    ),
    Operation(
        "enrich",
        "objects",
        "Adds members to each object: constants, its own fields, texts, or values of a table.",
        (
            Parameter("values", "object", "Constants by name."),
            Parameter("mappings", "mappings", "The source field of each new member."),
            Parameter("texts", "texts", "Texts with fields, as in `Dear ${name}`."),
            Parameter("from", "object", "A table: what to add, by the value of 'field'."),
            Parameter("field", "field", "The field whose value is looked up in 'from'."),
            Parameter("target", "string", "The member for the entry; without it, it is merged."),
            Parameter(
                "keep", "boolean", "Keeps existing members.", default=False
            ),
        ),
        Example(
            [{"id": 1, "country": "DE"}],
            {
                "values": {"source": "crm"},
                "texts": {"label": "#${id}"},
                "from": {"DE": {"currency": "EUR"}},
                "field": "country",
            },
            [{"id": 1, "country": "DE", "source": "crm", "label": "#1", "currency": "EUR"}],
        ),
        _enrich,
    ),
)  # fmt: skip
