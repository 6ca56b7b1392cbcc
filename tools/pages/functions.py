"""docs/functions.md from the catalogue of functions, each example with what it yields."""

import orjson

from flowmesh.expressions import MOMENT, Moment, compile_template
from flowmesh.expressions.functions import GROUPS
from tools.pages import markdown

_SCOPE = {MOMENT: Moment("execution/task", 1_767_225_600_000_000)}


def page() -> str:
    lines = markdown.title("Functions of templates", source="`flowmesh.expressions.functions`")
    lines += [
        "How they are called, and what else stands between the braces: "
        "[expressions](expressions.md).",
        "A parameter with `?` may be left out, one with `...` be given again and again.",
        "What an argument must be is checked at registration where it is written out,",
        "and when the task begins where it is data.",
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
        lines += markdown.table(("function", "what it yields", "example", "result"), rows)
    return markdown.join(lines)


def _result(example: str) -> str:
    return orjson.dumps(compile_template(f"{{{{{example}}}}}", ()).render(_SCOPE)).decode()
