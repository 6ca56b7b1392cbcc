"""docs/limits.md from the table of limits."""

from collections.abc import Sequence

from flowmesh.suite.limits import (
    APPS,
    CALLS,
    DEFINITIONS,
    EXECUTIONS,
    IDENTITY,
    MESSAGES,
    PROCESSES,
    RUNS,
    Limit,
)
from tools.pages import markdown

_PARTS: tuple[tuple[str, str, Sequence[Limit]], ...] = (
    ("Calls", "Limits of a single call to any service.", CALLS),
    ("Definitions", "Checked before anything is stored; every problem has its position.",
     DEFINITIONS),
    ("Runs", "Limits of a step. Above them the step fails with the class given; the definition"
     " determines the effect on its execution.", RUNS),
    ("Executions", "Totals over the lifetime of one execution.", EXECUTIONS),
    ("Processes", "Limits of registrations of workers and instances.", PROCESSES),
    ("Identity", "Limits of users, tenants, API keys and logins.", IDENTITY),
    ("Messages", "Limits of messages, and of the queues and exchanges of a namespace.", MESSAGES),
    ("Applications", "Limits of hosted applications and their releases.", APPS),
)  # fmt: skip
_CHOICES = (
    "A gRPC message has room for the largest definition, and REST responses for pages of them, so"
    " the limit is above the gRPC default of 4 MiB.",
    "A connection of a caller allows few concurrent calls, so excess calls wait at the caller;"
    " connections between services have no such limit. A process with more calls than it can serve"
    " responds with `OVERLOADED`.",
    "Conditions have a step limit instead of a time limit: an accepted condition takes at most"
    " about 150 ms of CPU time. Conditions in JavaScript run in a separate process, which is killed"
    " at its time limit.",
    "A history of 2,000,000 events has room for a map of 600,000 tasks. At 50,000 events a log line"
    " warns once (`history_long`), and traces are truncated.",
    "JSON text is read strictly: REST bodies, webhooks, options and files of the command line,"
    " template parameters, mocks. Duplicate keys, numbers that cannot be kept exactly and unpaired"
    " surrogates are rejected with their path. Payloads received as bytes over gRPC are not"
    " checked, and the last of duplicate keys counts: the check would cost every start 2 to 4 µs"
    " for 100 bytes and 4 ms for 256 KiB.",
    "Default times: 30 s for an attempt of an HTTP call, 5 minutes for any other attempt, 10 s for"
    " a drain.",
)


def page() -> str:
    lines = markdown.title("Limits", source="`flowmesh.suite.limits`")
    lines += [
        "The value is the largest accepted one. Larger input is rejected with the reason and never",
        "truncated. Tests try each limit, one above it, and a hundred times the limit.",
        "",
    ]
    for heading, about, limits in _PARTS:
        lines += [f"## {heading}", "", about, ""]
        columns = ("limit", "value", "reason", "enforced by", "note")
        lines += markdown.table(columns, (_row(limit) for limit in limits))
    lines += ["## Rationale", ""]
    lines += [f"- {choice}" for choice in _CHOICES]
    return markdown.join(lines)


def _row(limit: Limit) -> tuple[str, ...]:
    beyond = markdown.code(limit.reason) or "see note"
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
