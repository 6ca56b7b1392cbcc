"""The table of built-in task types in docs/executors.md, from their records."""

from pathlib import Path
from typing import Final

from flowmesh.tasktypes import TASK_TYPES, TaskType
from tools.pages import markdown

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "executors.md"
_BEGIN: Final = "<!-- task types -->\n"
_END: Final = "<!-- end -->\n"
_COLUMNS: Final = ("type", "block", "action", "summary", "output", "attempt limit")


def page() -> str:
    """Return the page as it stands, with a fresh table."""
    before, rest = PAGE.read_text().split(_BEGIN)
    _, after = rest.split(_END, 1)
    rows = [_row(each) for each in TASK_TYPES.values() if each.block]
    return f"{before}{_BEGIN}\n{markdown.join(markdown.table(_COLUMNS, rows))}\n{_END}{after}"


def _row(task_type: TaskType) -> tuple[str, ...]:
    action = task_type.name if task_type.action == "read" else ""
    limit = f"{task_type.timeout_ms // 1000} s" if task_type.is_run_by_worker else ""
    output = task_type.output or {}
    members = ", ".join(output.get("properties", ()))
    return (
        markdown.code(task_type.native),
        markdown.code(task_type.block),
        markdown.code(action),
        task_type.summary,
        markdown.code(f"{{{members}}}" if members else output.get("type", "")),
        limit,
    )
