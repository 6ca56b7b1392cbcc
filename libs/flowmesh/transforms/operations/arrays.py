"""Operations on arrays: choose, rename, order, cut."""

from collections.abc import Callable, Sequence

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import FLATTEN_DEPTH_MAX
from flowmesh.transforms.operation import (
    Example,
    Flow,
    Operation,
    Parameter,
    Parameters,
    Prepared,
    Step,
)
from flowmesh.transforms.operations.conditions import (
    CONDITION,
    compile_comparison,
    compile_condition,
    exists,
    is_empty,
)
from flowmesh.transforms.run import Run, each_item
from flowmesh.transforms.values import (
    MISSING,
    array,
    bounded,
    column,
    each,
    field_path,
    identity,
    or_null,
    order_key,
    reader,
)

_FIELD = Parameter("field", "field", "The field that counts; the element itself without one.")
_PIPELINE = Parameter("pipeline", "pipeline", "Operations that make the result of each item.")
_PEOPLE = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]


def _filter(parameters: Parameters) -> Step:
    if parameters["all"] or parameters["any"]:
        test = compile_condition(parameters)
        return lambda value: [item for item in array(value) if test(item)]
    read, test = column(parameters["field"]), compile_comparison(parameters)

    def keep(value: Json) -> Json:
        items = array(value)
        return [item for item, key in zip(items, read(items), strict=True) if test(key)]

    return keep


def _partition(parameters: Parameters) -> Step:
    test = compile_condition(parameters)

    def partition(value: Json) -> Json:
        matching: list[Json] = []
        rest: list[Json] = []
        for item in array(value):
            (matching if test(item) else rest).append(item)
        return {"matching": matching, "rest": rest}

    return partition


def _overlap(fields: Sequence[str]) -> bool:
    """Return whether two of the fields can contain the same value."""
    paths = [field_path(field) for field in fields]
    known = set(paths)
    return len(known) < len(paths) or any(
        path[:length] in known for path in paths for length in range(1, len(path))
    )


def _projection(fields: list[str]) -> Step:
    readers = []
    for field in fields:
        names = [step for step in field_path(field) if isinstance(step, str)]
        readers.append((names[-1] if names else field, reader(field)))
    if len({name for name, _ in readers}) < len(readers):
        raise ValueError("two fields end in the same name; 'map' gives them names of their own")

    def project(element: Json) -> Json:
        if not isinstance(element, dict | list):
            raise TransformError(f"needs objects, got {kind_of(element)}")
        found = ((name, read(element)) for name, read in readers)
        return {name: value for name, value in found if value is not MISSING}

    return project


def _select(parameters: Parameters) -> Prepared:
    if parameters["field"] is not None:
        read = reader(parameters["field"])
        one: Step = lambda element: or_null(read(element))  # noqa: E731
        grows = False
    else:
        one, grows = _projection(parameters["fields"]), _overlap(parameters["fields"])
    return Prepared(
        lambda value: each(one, value) if isinstance(value, list) else one(value), grows=grows
    )


def _map(parameters: Parameters) -> Prepared:
    inner = parameters["pipeline"]
    if inner is not None:
        return Prepared(flow=lambda value, run: each_item(inner, value, run), grows=True)
    if parameters["field"] is not None:
        read = reader(parameters["field"])
        return Prepared(lambda value: [or_null(read(item)) for item in array(value)])
    one = _mapping(parameters["mappings"])
    grows = _overlap([*parameters["mappings"].values()])
    return Prepared(lambda value: [one(item) for item in array(value)], grows=grows)


def _mapping(mappings: dict[str, str]) -> Step:
    names = [(target, field_path(source)) for target, source in mappings.items()]
    readers = [(target, reader(source)) for target, source in mappings.items()]

    def by_path(item: Json) -> Json:
        return {target: or_null(read(item)) for target, read in readers}

    if any(len(path) > 1 or not isinstance(path[0], str) for _, path in names):
        return by_path
    members = [(target, path[0]) for target, path in names]

    def by_name(item: Json) -> Json:
        if item.__class__ is not dict:
            return by_path(item)
        get = item.get
        return {target: get(name) for target, name in members}

    return by_name


def _flat_map(parameters: Parameters) -> Step | Prepared:
    inner, read = parameters["pipeline"], reader(parameters["field"])
    if inner is not None and parameters["field"] is not None:
        raise ValueError("it takes 'field' or 'pipeline', not both")

    def joined(found: list[Json]) -> Json:
        result: list[Json] = []
        for one in found:
            if isinstance(one, list):
                result.extend(one)
            elif one is not MISSING:
                result.append(one)
            bounded(result)
        return result

    def flow(value: Json, run: Run) -> Flow:
        return joined((yield from each_item(inner, value, run)))

    if inner is not None:
        return Prepared(flow=flow, grows=True)
    return lambda value: joined([read(item) for item in array(value)])


def _flatten(parameters: Parameters) -> Step:
    def flatten(value: Json) -> Json:
        items = array(value)
        for _ in range(parameters["depth"]):
            if not any(isinstance(item, list) for item in items):
                break
            flat: list[Json] = []
            for item in items:
                if isinstance(item, list):
                    flat.extend(item)
                else:
                    flat.append(item)
                bounded(flat)
            items = flat
        return items

    return flatten


def _unique(parameters: Parameters) -> Step:
    read = column(parameters["field"])

    def unique(value: Json) -> Json:
        items = array(value)
        first: dict[object, Json] = {}
        for key, item in zip(read(items), items, strict=True):
            first.setdefault(key if key.__class__ is str else identity(key), item)
        return list(first.values())

    return unique


def _sort(parameters: Parameters) -> Step:
    if parameters["field"] is not None and parameters["fields"] is not None:
        raise ValueError("it takes 'field' or 'fields', not both")
    fields = parameters["fields"] or [parameters["field"]]
    readers = [column(field) for field in reversed(fields)]
    descending = parameters["order"] == "desc"

    def sort(value: Json) -> Json:
        items = array(value)
        for read in readers:
            items = _ordered(items, read, descending=descending)
        return items

    return sort


def _ordered(
    items: list[Json], read: Callable[[list[Json]], list[Json]], *, descending: bool
) -> list[Json]:
    """Order by the field; items without it come last in both directions."""
    keys = read(items)
    absent = [index for index, key in enumerate(keys) if key is None or key is MISSING]
    kinds = set(map(type, keys)) - {type(None), type(MISSING)}
    if not (kinds <= {int, float} or kinds == {str}):
        keys = [order_key(key) for key in keys]
    if absent:
        left_out = set(absent)
        present = [index for index in range(len(keys)) if index not in left_out]
    else:
        present = list(range(len(keys)))
    present.sort(key=keys.__getitem__, reverse=descending)
    return [items[index] for index in (*present, *absent)]


def _limit(parameters: Parameters) -> Step:
    return lambda value: array(value)[: parameters["count"]]


def _skip(parameters: Parameters) -> Step:
    return lambda value: array(value)[parameters["count"] :]


def _slice(parameters: Parameters) -> Step:
    part = slice(parameters["start"], parameters["end"])
    return lambda value: array(value)[part]


def _reverse(_parameters: Parameters) -> Step:
    return lambda value: array(value)[::-1]


def _first(_parameters: Parameters) -> Step:
    return lambda value: array(value)[0] if value else _none_of(value)


def _last(_parameters: Parameters) -> Step:
    return lambda value: array(value)[-1] if value else _none_of(value)


def _none_of(value: Json) -> None:
    array(value)


def _compact(parameters: Parameters) -> Step:
    read = reader(parameters["field"])
    if parameters["empty"]:
        return lambda value: [item for item in array(value) if not is_empty(read(item))]
    return lambda value: [item for item in array(value) if exists(read(item))]


def _sorting(name: str) -> Operation:
    return Operation(
        name,
        "data",
        "Orders the items; equal ones stay in order. Numbers come before texts, null is last.",
        (
            _FIELD,
            Parameter("fields", "fields", "Several fields: where one is equal the next counts."),
            Parameter("order", "string", "The direction.", default="asc", choices=("asc", "desc")),
        ),
        Example(_PEOPLE, {"field": "name", "order": "desc"}, _PEOPLE[::-1]),
        _sort,
    )


_COUNT = Parameter("count", "integer", "How many items.", required=True, minimum=0)
_DEPTH = Parameter(
    "depth", "integer", "How many levels.", default=1, minimum=1, maximum=FLATTEN_DEPTH_MAX
)

OPERATIONS = (
    Operation(
        "select",
        "data",
        "Keeps the named fields of an object or of each item, or the value of one field.",
        (
            Parameter("fields", "fields", "The fields to keep, each under its last name."),
            Parameter("field", "field", "The one field whose value takes the place of the object."),
        ),
        Example(_PEOPLE, {"fields": ["name"]}, [{"name": "Ada"}, {"name": "Bob"}]),
        _select,
        one_of=("fields", "field"),
    ),
    Operation(
        "filter",
        "data",
        "Keeps the items for which a comparison holds; values of other types never compare.",
        CONDITION,
        Example(
            [{"id": 1, "active": True}, {"id": 2, "active": False}],
            {"field": "active", "operator": "eq", "value": True},
            [{"id": 1, "active": True}],
        ),
        _filter,
    ),
    Operation(
        "partition",
        "data",
        "Parts the items in those for which a comparison holds and the rest.",
        CONDITION,
        Example([1, 5, 9], {"operator": "gt", "value": 4}, {"matching": [5, 9], "rest": [1]}),
        _partition,
    ),
    Operation(
        "map",
        "data",
        "Makes a new object of each item, or takes one field of it; what is missing is null.",
        (
            Parameter("mappings", "mappings", "The new name of each field, and where it is read."),
            Parameter("field", "field", "The one field whose value takes the place of the item."),
            _PIPELINE,
        ),
        Example(
            _PEOPLE,
            {"mappings": {"userId": "id", "fullName": "name"}},
            [{"userId": 1, "fullName": "Ada"}, {"userId": 2, "fullName": "Bob"}],
        ),
        _map,
        one_of=("mappings", "field", "pipeline"),
    ),
    Operation(
        "flatMap",
        "data",
        "Joins the arrays in a field of the items, or those a pipeline makes, into one array.",
        (_FIELD, _PIPELINE),
        Example([{"tags": ["a", "b"]}, {"tags": ["c"]}], {"field": "tags"}, ["a", "b", "c"]),
        _flat_map,
    ),
    Operation(
        "flatten",
        "data",
        "Puts the items of inner arrays in their place.",
        (_DEPTH,),
        Example([[1, 2], [3, [4]]], {}, [1, 2, 3, [4]]),
        _flatten,
    ),
    Operation(
        "unique",
        "data",
        "Keeps the first of equal items, or of items with an equal field.",
        (_FIELD,),
        Example([1, 2, 1.0, "1", True], {}, [1, 2, "1", True]),
        _unique,
    ),
    _sorting("sort"),
    _sorting("sortBy"),
    Operation(
        "limit",
        "data",
        "Keeps the first items.",
        (_COUNT,),
        Example([1, 2, 3], {"count": 2}, [1, 2]),
        _limit,
    ),
    Operation(
        "skip",
        "data",
        "Drops the first items.",
        (_COUNT,),
        Example([1, 2, 3], {"count": 2}, [3]),
        _skip,
    ),
    Operation(
        "slice",
        "data",
        "Keeps the items from one place to before another, counted from 0 or, below 0, the end.",
        (
            Parameter("start", "integer", "The first place.", default=0),
            Parameter("end", "integer", "The place before which it ends; the end without it."),
        ),
        Example([1, 2, 3, 4], {"start": 1, "end": -1}, [2, 3]),
        _slice,
    ),
    Operation(
        "reverse", "data", "Turns the order round.", (), Example([1, 2], {}, [2, 1]), _reverse
    ),
    Operation("first", "data", "The first item, or null.", (), Example([1, 2], {}, 1), _first),
    Operation("last", "data", "The last item, or null.", (), Example([1, 2], {}, 2), _last),
    Operation(
        "compact",
        "data",
        "Drops null, or items whose field is null or missing.",
        (
            _FIELD,
            Parameter(
                "empty", "boolean", "Whether empty texts, arrays, objects go too.", default=False
            ),
        ),
        Example([0, None, "", "a"], {}, [0, "", "a"]),
        _compact,
    ),
)
