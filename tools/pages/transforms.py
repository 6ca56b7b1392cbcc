"""docs/transforms.md from the catalogue of transform operations."""

from itertools import groupby

import orjson

from flowmesh.transforms import OPERATIONS, Operation, limits
from tools.pages import markdown

_TITLES = {
    "data": "Arrays",
    "objects": "Objects",
    "aggregation": "Aggregation",
    "strings": "Texts",
    "math": "Numbers",
    "random": "Random",
    "control": "Pipelines inside",
    "programs": "jq and JMESPath",
}
_ABOUT = """\
The built-in task `transform` needs no definition. Its input is a `source`, any JSON value, and a
`pipeline`: operations that are applied to it one after another.

```yaml
- id: transform-users
  taskRef: transform
  input:
    source: "{{tasks.fetch-users.output}}"
    pipeline:
      - {operation: filter, field: active, value: true}
      - {operation: map, mappings: {userId: id, fullName: name}}
      - {operation: sort, field: fullName}
      - {operation: limit, count: 10}
```

A step of type `transform` and a `WorkflowTask` of that type have the same `pipeline`.
`GET /api/v1/transform/operations` answers what stands here, with a JSON Schema of the parameters;
`flowmesh list operations` and `flowmesh get operation filter` print it;
`flowmesh transform @pipeline.json --input @rows.json` tries a pipeline without a suite.
In Python, `flowmesh.transforms.compile_pipeline([...]).apply(rows)` does the same in a worker of
your own.

**Fields** are paths: `name`, `address.city`, `lines[0].price`, `["a b"].c`. Where an operation has
a `field` it works on that member of each object, and on the items themselves without it. Text
and number operations take an array or a single value; `target` puts the result under another name.

**Texts** in `template` and `enrich` hold fields as `${name}`, the element itself as `${}`; `$${`
writes `${`. They are not the templates of workflows: `{{input.greeting}} ${name}` is rendered by
the workflow first, then for each item.

**Values** compare as JSON does: 1 equals 1.0, `true` is not 1, numbers are in order with numbers
and texts with texts. Nothing is converted unless `convert` is told to.

**Pipelines inside**: `map`, `flatMap`, `reduce`, `object` and `when` hold pipelines, which may hold
further ones.

**Random** operations choose the same again for the same `seed`; without one each task has a seed of
its own, so that a retry of the task chooses the same.

**Errors**: a pipeline is checked when it is registered, all problems at once, each with its place
(`pipeline[2].operator`). Data that an operation cannot work with fails the task with a
`ValidationError` that names the operation and the item, as in `operation 2 (uppercase): item [3]:
needs texts, got a number`. What stands in a template is checked once it is rendered.

**Speed**: a million rows of five fields go through `filter`, `map`, `sort` and `groupBy` in 1.6 s
of one core, with 180 MiB beside the rows. Pipelines inside cost about 1 µs for each item and
operation, jq and JMESPath 2 ms for each call: apply them to all items at once, not inside `map`.
"""
_GRAPHS = """\
A transformation node of graph JSON is one operation over its input:

| `transformationType` | operation | `transformationConfig` |
|---|---|---|
| `map` | `map` | `mappings`, `field` or `pipeline` |
| `filter` | `filter` | `field`, `operator`, `value`, `all`, `any` |
| `reduce` | `reduce` | `function` with `field` and `initial`, or `pipeline` with `initial` |
| `enrichment` | `enrich` | `values`, `mappings`, `texts`, or `from` with `field` and `target` |

Its `template` is the `template` of the operation of that name, applied after it.
`reduce` with a `pipeline` applies it to `{accumulator, item, index}` for each item; what it makes
is the next accumulator:

```yaml
- operation: reduce
  initial: 0
  pipeline:
    - {operation: calculate, left: accumulator, operator: "+", right: item.price, target: sum}
    - {operation: select, field: sum}
```
"""


def page() -> str:
    lines = markdown.title("Transforms", source="the catalogue in `flowmesh.transforms`")
    lines += [
        _ABOUT,
        "## Operations",
        "",
        "Examples show the operation, a value, and the result.",
        "",
    ]
    by_category = groupby(OPERATIONS.values(), key=lambda operation: operation.category)
    for category, operations in by_category:
        lines += [f"### {_TITLES[category]}", ""]
        for operation in operations:
            lines += _operation(operation)
    lines += ["## Transformation nodes", "", _GRAPHS, "## Limits", ""]
    return markdown.join([*lines, *_limits()])


def _operation(operation: Operation) -> list[str]:
    lines = [f"#### {operation.name}", "", operation.summary, ""]
    lines += markdown.table(
        ("parameter", "type", "meaning"),
        (
            (markdown.code(each.name), markdown.code(each.usage), each.summary)
            for each in operation.accepts
        ),
    )
    if operation.one_of:
        names = ", ".join(markdown.code(name) for name in operation.one_of)
        lines += [f"Exactly one of {names}.", ""]
    example = operation.example
    given = {"operation": operation.name, **example.parameters}
    shown = (orjson.dumps(value).decode() for value in (given, example.input, example.output))
    return [*lines, "```json", *shown, "```", ""]


def _limits() -> list[str]:
    rows = (
        ("operations of a pipeline, inner ones counted", f"{limits.OPERATIONS_MAX:,}"),
        ("pipelines in each other", f"{limits.PIPELINE_DEPTH_MAX:,}"),
        ("items of the source and of each result", f"{limits.ITEMS_MAX:,}"),
        ("text that one operation writes", f"{limits.TEXT_CHARACTERS_MAX:,} characters"),
        ("a result as JSON, where values may stand in it twice",
         f"{limits.VALUE_BYTES_MAX // 2**20} MiB"),
        ("items that all operations yield together", f"{limits.WORK_ITEMS_MAX:,}"),
    )  # fmt: skip
    return markdown.table(("what", "at most"), rows)
