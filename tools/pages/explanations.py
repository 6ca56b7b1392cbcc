"""Write docs/errors/ from the reasons and their explanations: a page per code, and an index."""

from collections.abc import Callable
from functools import partial

from flowmesh.errors import REASONS
from flowmesh.errors.explained import Explanation, explanations
from tools.pages import markdown

_SOURCE = "`libs/flowmesh/errors/explanations/`"


def pages() -> dict[str, Callable[[], str]]:
    """Return all pages by their path in docs/."""
    found: dict[str, Callable[[], str]] = {"errors/README.md": _index}
    for code, explanation in explanations().items():
        found[f"errors/{code}.md"] = partial(_page, code, explanation)
    return found


def _index() -> str:
    lines = markdown.title("Errors of definitions", source=_SOURCE)
    lines += [
        "`flowmesh errors CODE` prints these pages. [Errors](../errors.md) lists all reasons.",
        "Codes that begin with `LINT_` are warnings of `flowmesh lint`.",
        "",
    ]
    rows = ((f"[{code}]({code}.md)", REASONS[code].meaning) for code in explanations())
    return markdown.join([*lines, *markdown.table(("code", "meaning"), rows)])


def _page(code: str, explanation: Explanation) -> str:
    error = REASONS[code].error
    lines = markdown.title(code, source=_SOURCE)
    lines += [REASONS[code].meaning, "", explanation.text, ""]
    for heading, example in (("Wrong", explanation.wrong), ("Right", explanation.right)):
        if example:
            kind = "json" if example.startswith("{") else "yaml"
            lines += [f"## {heading}", "", f"```{kind}", example, "```", ""]
    lines += [f"HTTP {error.http_status}, gRPC `{error.grpc_code}`.", ""]
    return markdown.join([*lines, "[All errors of definitions](README.md)"])
