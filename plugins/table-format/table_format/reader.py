"""A reader of tables with the columns workflow, step, task, after, and input members."""

import csv
import io
import json
import re

NEEDED = ("workflow", "step", "task")
OWN = (*NEEDED, "after")


def read(text: str) -> list[dict]:
    """Return a workflow for each name of the column `workflow`; an empty cell repeats the last.

    `after` has the steps before, separated by spaces. Every other column is a member of the input
    of its steps; a cell that is JSON is that value, and any other is a text.
    """
    sample = text.partition("\n")[0]
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in sample else ","))
    columns = set(rows[0]) if rows else set()
    if missing := [each for each in NEEDED if each not in columns]:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs {', '.join(NEEDED)}")
    workflows: dict[str, list[dict]] = {}
    name = ""
    for number, row in enumerate(rows, 2):
        name = (row["workflow"] or "").strip() or name
        if not name or not row["step"] or not row["task"]:
            raise ValueError(f"line {number} has no workflow, step or task")
        workflows.setdefault(name, []).append(_task(row))
    return [
        {
            "apiVersion": "workflow.io/v1",
            "kind": "Workflow",
            "metadata": {"name": name},
            "spec": {"tasks": tasks},
        }
        for name, tasks in workflows.items()
    ]


def _task(row: dict[str, str]) -> dict:
    task: dict = {"id": row["step"].strip(), "taskRef": row["task"].strip()}
    if before := re.findall(r"[^\s,]+", row.get("after") or ""):
        task["dependsOn"] = before
    given = {key: _value(cell) for key, cell in row.items() if key and key not in OWN and cell}
    if given:
        task["input"] = given
    return task


def _value(cell: str) -> object:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def self_test() -> None:
    """Raise unless a small table is read."""
    (found,) = read("workflow,step,task\nwelcome,greet,noop\n")
    if found["metadata"]["name"] != "welcome":
        raise RuntimeError("the table was read wrongly")
