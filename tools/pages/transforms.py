"""docs/transforms.md from the catalog of transform operations."""

from itertools import groupby

import orjson

from flowmesh.transforms import OPERATIONS, Operation, limits
from tools.pages import markdown

_TITLES = {
    "data": "Arrays",
    "objects": "Objects",
    "aggregation": "Aggregation",
    "strings": "Strings",
    "math": "Numbers",
    "random": "Random",
    "control": "Nested pipelines",
    "programs": "jq and JMESPath",
}
_ABOUT = """\
The built-in task `transform` needs no definition. Its input is a `source`, any JSON value, and a
`pipeline`: operations that are applied in order.

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
Instead of one they may name the function of a [plugin](plugins.md#transforms):
`function: plugin:iban-check`.
`GET /api/v1/transform/operations` returns this catalog with a JSON Schema of the parameters;
`flowmesh list operations` and `flowmesh get operation filter` print it.
`flowmesh transform @pipeline.json --input @rows.json` runs a pipeline without a suite.
In Python workers, use `flowmesh.transforms.compile_pipeline([...]).apply(rows)`.

**Fields** are paths: `name`, `address.city`, `lines[0].price`, `["a b"].c`. Where an operation has
a `field`, it works on that member of each object, otherwise on the items themselves. String and
number operations accept an array or a single value; `target` stores the result by another name.

**Strings** in `template` and `enrich` refer to fields as `${name}` and to the element as `${}`;
`$${` is a literal `${`. They are not workflow templates: `{{input.greeting}} ${name}` is rendered
by the workflow first, then for each item.

**Values** compare as in JSON: 1 equals 1.0, `true` differs from 1, numbers are ordered among
numbers and strings among strings. Only `convert` converts values.

**Nested pipelines**: `map`, `flatMap`, `reduce`, `object` and `when` contain pipelines, at any
depth within the limits.

**Random** operations repeat their choices for the same `seed`. By default each task has its own
seed, so a retry of the task makes the same choices.

**Errors**: a pipeline is checked at registration; every problem has its position
(`pipeline[2].operator`). Unsuitable data fails the task with a `ValidationError` that names the
operation and the item, such as `operation 2 (uppercase): item [3]: needs texts, got a number`.
Templates are checked after they are rendered.

**Speed**: `filter`, `map`, `sort` and `groupBy` of a million rows with five fields take 1.6 s on
one core and 180 MiB in addition to the rows. Nested pipelines cost about 1 µs per item and
operation, jq and JMESPath 2 ms per call: apply them to all items at once, not inside `map`.
"""
_GRAPHS = """\
A transformation node of graph JSON is one operation over its input:

| `transformationType` | operation | `transformationConfig` |
|---|---|---|
| `map` | `map` | `mappings`, `field` or `pipeline` |
| `filter` | `filter` | `field`, `operator`, `value`, `all`, `any` |
| `reduce` | `reduce` | `function` with `field` and `initial`, or `pipeline` with `initial` |
| `enrichment` | `enrich` | `values`, `mappings`, `texts`, or `from` with `field` and `target` |

Its `template` is applied afterwards, as the operation `template`.
`reduce` with a `pipeline` applies it to `{accumulator, item, index}` of each item; the result is
the next accumulator:

```yaml
- operation: reduce
  initial: 0
  pipeline:
    - {operation: calculate, left: accumulator, operator: "+", right: item.price, target: sum}
    - {operation: select, field: sum}
```
"""


def page() -> str:
    lines = markdown.title("Transforms", source="the catalog in `flowmesh.transforms`")
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
        ("operations of a pipeline, including nested ones", f"{limits.OPERATIONS_MAX:,}"),
        ("nesting depth of pipelines", f"{limits.PIPELINE_DEPTH_MAX:,}"),
        ("items of the source and of each result", f"{limits.ITEMS_MAX:,}"),
        ("characters that one operation writes", f"{limits.TEXT_CHARACTERS_MAX:,} characters"),
        ("size of a result as JSON, including repeated values",
         f"{limits.VALUE_BYTES_MAX // 2**20} MiB"),
        ("items that all operations produce in total", f"{limits.WORK_ITEMS_MAX:,}"),
    )  # fmt: skip
    return markdown.table(("limit", "value"), rows)
