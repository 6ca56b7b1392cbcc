"""docs/limits.md from the table of limits."""

from collections.abc import Sequence

from flowmesh.suite.limits import CALLS, DEFINITIONS, EXECUTIONS, PROCESSES, RUNS, Limit
from tools.pages import markdown

_PARTS: tuple[tuple[str, str, Sequence[Limit]], ...] = (
    ("Calls", "What one call may carry, whoever it is for.", CALLS),
    ("Definitions", "Checked before anything is stored; every problem is told with its place.",
     DEFINITIONS),
    ("Runs", "What a step may do. Beyond it the step fails with the class named; its"
     " execution goes on as its definition says.", RUNS),
    ("Executions", "What one execution may add up to, however long it lives.", EXECUTIONS),
    ("Processes", "What workers and instances may say of themselves.", PROCESSES),
)  # fmt: skip
_CHOICES = (
    "A gRPC message has room for the largest definition, and REST answers of pages of them, so it"
    " is larger than the 4 MiB that gRPC has by default.",
    "A connection of a caller has room for few calls, so that what is too much waits with those"
    " who send it; one between services carries all there is. A process that takes more calls than"
    " it can serve answers `OVERLOADED`.",
    "Conditions are bounded by what they look at and not by a clock: a condition that is accepted"
    " costs the process that evaluates it at most some 150 ms; one with JavaScript runs in a"
    " process of its own that is killed.",
    "A history of 2,000,000 events has room for a map of 600,000 tasks. When it passes 50,000 the"
    " log says so once (`history_long`), and a trace of it says that it is cut.",
    "JSON is read strictly wherever it comes in as text: bodies of REST, webhooks, options and"
    " files of the command, parameters of templates, mocks. A key that is there twice is refused"
    " with its path, a number that cannot be kept and half of a surrogate pair too. Payloads that"
    " come as bytes by gRPC are passed on as they are, and of a key that is there twice the last"
    " one counts: to look for such costs 2 to 4 µs for 100 bytes and 4 ms for 256 KiB, on the way"
    " of every start.",
    "Times that no caller sets: an attempt has 30 s for an HTTP call and 5 minutes for anything"
    " else, a drain 10 s.",
)


def page() -> str:
    lines = markdown.title("Limits", source="`flowmesh.suite.limits`")
    lines += [
        "The value is the largest that is accepted. What is beyond is refused with the reason,",
        "never cut, and a test goes to each limit, one above it and a hundred times above.",
        "",
    ]
    for heading, about, limits in _PARTS:
        lines += [f"## {heading}", "", about, ""]
        columns = ("limit", "value", "beyond", "who says so", "note")
        lines += markdown.table(columns, (_row(limit) for limit in limits))
    lines += ["## Why these", ""]
    lines += [f"- {choice}" for choice in _CHOICES]
    return markdown.join(lines)


def _row(limit: Limit) -> tuple[str, ...]:
    beyond = markdown.code(limit.reason) or "as the note says"
    return limit.what, _amount(limit), beyond, limit.where, limit.note


def _amount(limit: Limit) -> str:
    value, unit = int(limit.value), limit.unit
    if unit == "bytes":
        for size, name in ((2**20, "MiB"), (2**10, "KiB")):
            if value % size == 0:
                return f"{value // size} {name}"
    if unit == "ms":
        for size, name in ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
            if value % size == 0:
                return f"{value // size} {name}"
    return f"{value:,} {unit}"
