"""docs/functions.md from the catalog of functions, each example with what it yields."""

import orjson

from flowmesh.expressions import MOMENT, Moment, compile_template
from flowmesh.expressions.functions import GROUPS
from tools.pages import markdown

_SCOPE = {MOMENT: Moment("execution/task", 1_767_225_600_000_000)}


def page() -> str:
    lines = markdown.title("Template functions", source="`flowmesh.expressions.functions`")
    lines += [
        "[Expressions](expressions.md) describes the syntax of templates.",
        "A parameter with `?` is optional; one with `...` can be repeated.",
        "Literal arguments are checked at registration, other arguments when the task starts.",
        "",
    ]
    for heading, functions in GROUPS.items():
        lines += [f"## {heading}", ""]
        rows = (
            (
                markdown.code(function.signature),
                function.summary,
                markdown.code(function.example),
                markdown.code(_result(function.example)),
            )
            for function in functions
        )
        lines += markdown.table(("function", "value", "example", "result"), rows)
    return markdown.join(lines)


def _result(example: str) -> str:
    return orjson.dumps(compile_template(f"{{{{{example}}}}}", ()).render(_SCOPE)).decode()
