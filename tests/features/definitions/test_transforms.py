"""The transform task over REST: every operation of the catalog, as its example promises."""

import itertools
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Workflow
from flowmesh.testing.suite import Response, Suite
from flowmesh.transforms import OPERATIONS

_numbers = itertools.count(1)
USERS = [
    {"id": 3, "name": "Cid", "age": 40, "tags": ["x"], "mail": "c@a", "score": 2},
    {"id": 1, "name": "Ada", "age": None, "tags": [], "mail": "a@b", "score": 6},
    {"id": 2, "name": "Bob", "tags": ["x", "y"], "mail": "b@a", "score": 1},
]


def transform(task_id: str, *pipeline: Json) -> Json:
    given = {"source": "{{input.source}}", "pipeline": list(pipeline)}
    return {"id": task_id, "taskRef": "transform", "input": given}


async def apply(suite: Suite, *tasks: Json) -> tuple[str, Response]:
    """Registers a workflow of transforms; its name, and the answer."""
    name = f"transform-{next(_numbers)}"
    resource = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": list(tasks)},
    }
    return name, await suite.post("/api/v1/workflows", resource)


async def outputs(suite: Suite, source: Json, *tasks: Json) -> dict[str, Json]:
    """What each of the transforms makes of the source."""
    name, answer = await apply(suite, *tasks)
    assert answer.status == 201, answer.text
    ran = await suite.post(f"/workflows/{name}/execute", {"input": {"source": source}})
    assert ran.json["status"] == "completed", ran.text
    found: dict[str, Json] = ran.json["outputs"]
    return found


async def output(suite: Suite, source: Json, *pipeline: Json) -> Json:
    return (await outputs(suite, source, transform("t", *pipeline)))["t"]


async def failed(suite: Suite, source: Json, *pipeline: Json) -> Json:
    """The error of a transform that cannot work with its source."""
    name, answer = await apply(suite, transform("t", *pipeline))
    assert answer.status == 201, answer.text
    ran = await suite.post(f"/workflows/{name}/execute", {"input": {"source": source}})
    assert ran.json["status"] == "failed", ran.text
    return ran.json["tasks"]["t"]["error"]


PROMISED = [
    pytest.param("filter", marks=pytest.mark.feature("S0-48")),
    pytest.param("map", marks=pytest.mark.feature("S0-49")),
    pytest.param("sort", marks=pytest.mark.feature("S0-50")),
    pytest.param("sortBy", marks=pytest.mark.feature("S0-51")),
    pytest.param("limit", marks=pytest.mark.feature("S0-53")),
    pytest.param("select", marks=pytest.mark.feature("S0-54")),
    pytest.param("flatMap", marks=pytest.mark.feature("S0-55")),
    pytest.param("flatten", marks=pytest.mark.feature("S0-56")),
    pytest.param("unique", marks=pytest.mark.feature("S0-57")),
    pytest.param("skip", marks=pytest.mark.feature("S0-58")),
    pytest.param("reverse", marks=pytest.mark.feature("S0-59")),
    pytest.param("groupBy", marks=pytest.mark.feature("S0-60")),
    pytest.param("join", marks=pytest.mark.feature("S0-66")),
    pytest.param("uppercase", marks=pytest.mark.feature("S0-67")),
    pytest.param("lowercase", marks=pytest.mark.feature("S0-68")),
    pytest.param("trim", marks=pytest.mark.feature("S0-69")),
    pytest.param("split", marks=pytest.mark.feature("S0-70")),
    pytest.param("concat", marks=pytest.mark.feature("S0-71")),
    pytest.param("replace", marks=pytest.mark.feature("S0-72")),
    pytest.param("substring", marks=pytest.mark.feature("S0-73")),
    pytest.param("template", marks=pytest.mark.feature("S0-74")),
    pytest.param("round", marks=pytest.mark.feature("S0-75")),
    pytest.param("floor", marks=pytest.mark.feature("S0-76")),
    pytest.param("ceil", marks=pytest.mark.feature("S0-77")),
    pytest.param("abs", marks=pytest.mark.feature("S0-78")),
    pytest.param("clamp", marks=pytest.mark.feature("S0-79")),
    pytest.param("scale", marks=pytest.mark.feature("S0-80")),
    pytest.param("percentage", marks=pytest.mark.feature("S0-81")),
    pytest.param("randomOne", marks=pytest.mark.feature("S0-82")),
    pytest.param("randomN", marks=pytest.mark.feature("S0-83")),
    pytest.param("shuffle", marks=pytest.mark.feature("S0-84")),
]
OTHERS = [name for name in OPERATIONS if name not in {each.values[0] for each in PROMISED}]


@pytest.mark.long
@pytest.mark.parametrize("name", [*PROMISED, *OTHERS])
async def test_the_example_of_each_operation_runs(suite: Suite, name: str) -> None:
    """As a workflow of one transform, with the output that the catalog shows."""
    example = OPERATIONS[name].example
    step = {"operation": name, **example.parameters}
    assert await output(suite, example.input, step) == example.output


LETTERS = [{"k": "a", "n": 1}, {"k": "b", "n": 2}, {"k": "a", "n": 3}]
BEYOND: list[Any] = [
    pytest.param(
        {"operation": "limit", "count": 10}, [*range(12)], [*range(10)],
        marks=pytest.mark.feature("S0-53"),
    ),
    pytest.param(
        {"operation": "select", "field": "at.city"}, [{"at": {"city": "Rome"}}, {}], ["Rome", None],
        marks=pytest.mark.feature("S0-54"),
    ),
    pytest.param(
        {"operation": "flatMap", "field": "tags"},
        [{"tags": ["a", ["b"]]}, {"tags": "c"}],
        ["a", ["b"], "c"],
        marks=pytest.mark.feature("S0-55"),
    ),
    pytest.param(
        {"operation": "unique", "field": "k"}, LETTERS, LETTERS[:2],
        marks=pytest.mark.feature("S0-57"),
    ),
    pytest.param(
        {"operation": "join", "on": "k", "with": [{"k": "a", "x": 8}, {"k": "a", "x": 9}]},
        LETTERS[:2],
        [{"k": "a", "n": 1, "x": 8}, {"k": "a", "n": 1, "x": 9}],
        marks=pytest.mark.feature("S0-66"),
    ),
    pytest.param(
        {"operation": "reverse"}, [2, 3, 1], [1, 3, 2],
        marks=pytest.mark.feature("S0-59"),
    ),
    pytest.param(
        {"operation": "uppercase"}, ["aB", "ç"], ["AB", "Ç"],
        marks=pytest.mark.feature("S0-67"),
    ),
    pytest.param(
        {"operation": "lowercase"}, ["aB", "Ç"], ["ab", "ç"],
        marks=pytest.mark.feature("S0-68"),
    ),
    pytest.param(
        {"operation": "trim"}, " a b\n", "a b",
        marks=pytest.mark.feature("S0-69"),
    ),
    pytest.param(
        {"operation": "split", "separator": ", "}, "a, b,c, ", ["a", "b,c", ""],
        marks=pytest.mark.feature("S0-70"),
    ),
    pytest.param(
        {"operation": "template", "template": "${k}: ${n}"}, LETTERS, ["a: 1", "b: 2", "a: 3"],
        marks=pytest.mark.feature("S0-74"),
    ),
    pytest.param(
        {"operation": "template", "template": "${items[1].name}"},
        [{"items": [{"name": "a"}, {"name": "b"}]}],
        ["b"],
        marks=pytest.mark.feature("S0-30"),
    ),
    pytest.param(
        {"operation": "round"}, [2.4, -2.5, 7], [2, -3, 7],
        marks=pytest.mark.feature("S0-75"),
    ),
    pytest.param(
        {"operation": "floor"}, [-1.5, 2], [-2, 2],
        marks=pytest.mark.feature("S0-76"),
    ),
    pytest.param(
        {"operation": "ceil"}, [-1.5, 2], [-1, 2],
        marks=pytest.mark.feature("S0-77"),
    ),
    pytest.param(
        {"operation": "abs"}, [1.5, 0, -2], [1.5, 0, 2],
        marks=pytest.mark.feature("S0-78"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("step", "source", "result"), BEYOND)
async def test_what_an_example_leaves_open(
    suite: Suite, step: Json, source: Json, result: Json
) -> None:
    """The other ways to say it, and the values where another operation would agree."""
    assert await output(suite, source, step) == result


@pytest.mark.feature("S0-85")
async def test_the_catalog_lists_more_than_forty_operations(suite: Suite) -> None:
    """Each with a JSON Schema that is one, that its example fits and no other parameter does."""
    found = (await suite.get("/api/v1/transform/operations")).json["operations"]
    assert len({each["name"] for each in found}) == len(found) >= 45
    for each in found:
        Draft202012Validator.check_schema(each["parameters"])
        Draft202012Validator(each["parameters"]).validate(each["example"]["parameters"])
        assert each["example"]["parameters"].keys() <= each["parameters"]["properties"].keys()
        assert not Draft202012Validator(each["parameters"]).is_valid({"no-such": 1})
        assert each["summary"]
        assert each["category"]


@pytest.mark.feature("S0-48")
async def test_every_operator_of_filter(suite: Suite) -> None:
    """One task for each keeps the users for whom it holds, and never compares across types."""
    expected: dict[str, tuple[str, Json, list[int]]] = {
        "eq": ("id", 1, [1]),
        "ne": ("id", 1, [3, 2]),
        "gt": ("id", 1, [3, 2]),
        "gte": ("id", 2, [3, 2]),
        "lt": ("name", "Bob", [1]),
        "lte": ("id", 2, [1, 2]),
        "between": ("id", [2, 3], [3, 2]),
        "contains": ("tags", "x", [3, 2]),
        "notContains": ("name", "o", [3, 1]),
        "in": ("id", [1, 2, "3"], [1, 2]),
        "notIn": ("id", [1, 2], [3]),
        "startsWith": ("mail", "a", [1]),
        "endsWith": ("mail", "a", [3, 2]),
        "matches": ("name", "^[AB]", [1, 2]),
        "exists": ("age", None, [3]),
        "notExists": ("age", None, [1, 2]),
        "empty": ("tags", None, [1]),
        "notEmpty": ("age", None, [3]),
        "isType": ("age", "number", [3]),
    }
    parameters = OPERATIONS["filter"].parameters["properties"]
    assert sorted(expected) == sorted(parameters["operator"]["enum"])
    tasks = [
        transform(name, {"operation": "filter", "field": field, "operator": name, "value": value})
        for name, (field, value, _) in expected.items()
    ]
    kept = await outputs(suite, USERS, *tasks)
    found = {name: [user["id"] for user in users] for name, users in kept.items()}
    assert found == {name: ids for name, (_, _, ids) in expected.items()}


@pytest.mark.feature("S0-50", "S0-51")
async def test_both_names_of_sort_are_stable(suite: Suite) -> None:
    """Ascending and descending, equal ones in order, null and missing at the end."""
    rows = [{"k": 2, "n": 1}, {"k": 1, "n": 2}, {"n": 3}, {"k": 2, "n": 4}, {"k": None, "n": 5}]
    tasks = [
        transform(f"{name}-{order}", {"operation": name, "field": "k", "order": order})
        for name in ("sort", "sortBy")
        for order in ("asc", "desc")
    ]
    found = await outputs(suite, rows, *tasks)
    orders = {name: [row["n"] for row in rows] for name, rows in found.items()}
    assert orders["sort-asc"] == orders["sortBy-asc"] == [2, 1, 4, 3, 5]
    assert orders["sort-desc"] == orders["sortBy-desc"] == [1, 4, 2, 3, 5]


@pytest.mark.parametrize(
    ("function", "result"),
    [
        pytest.param("sum", 40, marks=pytest.mark.feature("S0-61")),
        pytest.param("avg", 40, marks=pytest.mark.feature("S0-62")),
        pytest.param("count", 1, marks=pytest.mark.feature("S0-63")),
        pytest.param("min", 40, marks=pytest.mark.feature("S0-64")),
        pytest.param("max", 40, marks=pytest.mark.feature("S0-65")),
    ],
)
async def test_aggregate_has_five_functions(suite: Suite, function: str, result: Json) -> None:
    """Of a field, without those that lack it; of all items, and of groups, at once."""
    aggregate = {"operation": "aggregate", "function": function}
    found = await outputs(
        suite,
        USERS,
        transform("ages", {**aggregate, "field": "age"}),
        transform("scores", {**aggregate, "field": "score"}),
        transform(
            "groups", {"operation": "groupBy", "field": "name"}, {**aggregate, "field": "id"}
        ),
    )
    scores = {"sum": 9, "avg": 3, "count": 3, "min": 1, "max": 6}[function]
    groups = {"Cid": 3, "Ada": 1, "Bob": 2} if function != "count" else dict.fromkeys(
        ("Cid", "Ada", "Bob"), 1
    )  # fmt: skip
    assert found == {"ages": result, "scores": scores, "groups": groups}


@pytest.mark.feature("S0-82", "S0-83", "S0-84")
async def test_random_operations_choose_of_what_is_there(suite: Suite) -> None:
    """Members of the source, each at most once; the same again by the same seed."""
    letters = list("abcdefghijklmnop")
    shuffle = {"operation": "shuffle", "seed": "s"}
    found = await outputs(
        suite,
        letters,
        transform("one", {"operation": "randomOne"}),
        transform("three", {"operation": "randomN", "count": 3}),
        transform("most", {"operation": "randomN", "count": 99}),
        transform("all", {"operation": "shuffle"}),
        transform("seeded", shuffle),
        transform("again", shuffle),
    )
    assert found["one"] in letters
    assert len(set(found["three"]) & set(letters)) == 3
    assert len(found["three"]) == 3
    assert sorted(found["most"]) == sorted(found["all"]) == letters
    assert found["all"] != letters
    assert found["seeded"] == found["again"] != found["all"]


@pytest.mark.feature("S1-180")
async def test_jq_and_nested_operations(suite: Suite) -> None:
    """A jq program, paths into members, pipelines in pipelines; each with the workflow's values."""
    orders = [
        {"customer": {"name": "ada"}, "lines": [{"price": 2.345}, {"price": 1}]},
        {"customer": {"name": "bob"}, "lines": []},
    ]
    prices = [{"operation": "select", "field": "lines"}, {"operation": "map", "field": "price"}]
    total = [*prices, {"operation": "reduce", "function": "sum"}, {"operation": "round"}]
    name = [{"operation": "select", "field": "customer.name"}, {"operation": "uppercase"}]
    members = {"who": name, "total": total}
    found = await outputs(
        suite,
        orders,
        transform("jq", {"operation": "jq", "program": "map(.lines | length) | add"}),
        transform(
            "variables",
            {"operation": "jq", "program": ".[$at]", "variables": {"at": 1}},
            {"operation": "pick", "fields": ["customer.name"]},
        ),
        transform("path", {"operation": "jmespath", "program": "[].lines[].price | max(@)"}),
        transform("nested", {"operation": "map", "pipeline": [{"operation": "object",
                                                               "members": members}]}),
        transform("given", {"operation": "limit", "count": 1},
                  {"operation": "template", "template": "{{input.source[1].customer.name}}"
                                                        " and ${customer.name}"}),
    )  # fmt: skip
    assert found == {
        "jq": 2,
        "variables": {"customer": {"name": "bob"}},
        "path": 2.345,
        "nested": [{"who": "ADA", "total": 3}, {"who": "BOB", "total": 0}],
        "given": ["bob and ada"],
    }


@pytest.mark.feature("S0-47")
async def test_a_wrong_pipeline_is_refused_with_every_problem(suite: Suite) -> None:
    """When it is registered, each with its place and what would be right."""
    _, answer = await apply(
        suite,
        transform(
            "t",
            {"operation": "fliter"},
            {"operation": "filter", "operator": "contain", "value": 1},
            {"operation": "map", "pipeline": [{"operation": "limit"}]},
            {"operation": "jq", "program": "map("},
        ),
    )
    assert answer.status == 400
    told = {each["field"].partition("pipeline")[2]: each["description"]
            for each in answer.json["error"]["details"]}  # fmt: skip
    assert set(told) == {
        "[0].operation", "[1].operator", "[2].pipeline[0].count", "[3].program",
    }  # fmt: skip
    assert "did you mean 'filter'" in told["[0].operation"]
    assert "did you mean 'contains'" in told["[1].operator"]
    assert told["[3].program"].startswith("not jq: syntax error")


@pytest.mark.feature("S0-47")
async def test_data_that_does_not_fit_names_operation_and_item(suite: Suite) -> None:
    """The task fails once, with a ValidationError."""
    error = await failed(suite, ["a", 1], {"operation": "reverse"}, {"operation": "uppercase"})
    assert error["class"] == "ValidationError"
    assert error["message"] == "operation 2 (uppercase): item [0]: needs texts, got a number"
    error = await failed(suite, [1, "a"], {"operation": "jq", "program": "map(. + 1)"})
    assert error["class"] == "ValidationError"
    assert error["message"].startswith('operation 1 (jq): string ("a") and number (1)')


@pytest.mark.feature("S0-47")
async def test_a_pipeline_is_written_in_python(suite: Suite) -> None:
    """`flow.transform` adds it; its operations may refer to what the workflow has."""
    flow = Workflow("transform-in-python")
    names = flow.transform("names", flow.input["rows"], {"operation": "map", "field": "name"})
    flow.transform("top", names.output, {"operation": "limit", "count": flow.input["count"]})
    async with await Client.connect(suite.grpc_address) as client:
        await client.register(flow)
        assert await client.run(flow.name, {"rows": USERS, "count": 2}) == ["Cid", "Ada"]


@pytest.mark.long
@pytest.mark.feature("S1-180")
async def test_a_program_without_end_is_stopped(suite: Suite) -> None:
    """By the time the task has, in its own process; the suite goes on."""
    task = {**transform("t", {"operation": "jq", "program": "def f: f; f"}), "timeout": "200ms"}
    name, answer = await apply(suite, task)
    assert answer.status == 201, answer.text
    ran = await suite.post(f"/workflows/{name}/execute", {"input": {"source": 1}})
    assert ran.json["status"] == "failed"
    assert ran.json["tasks"]["t"]["error"]["class"] == "Timeout"
    assert await output(suite, 1, {"operation": "jq", "program": ". + 1"}) == 2
