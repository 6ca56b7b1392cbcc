"""Bundled definitions: reusable tasks, workflows made of them, templates to start from.

They are YAML beside this module, read when they are asked for; installing them is applying them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

FOLDERS = {
    "tasks": "WorkflowTask",
    "workflows": "Workflow",
    "templates": "WorkflowTemplate",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One resource as its author wrote it."""

    kind: str
    name: str
    text: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load(self.text)
        return document

    @property
    def description(self) -> str:
        return str(self.document["spec"].get("description", "")).strip()

    @property
    def task_refs(self) -> frozenset[str]:
        """The tasks that a workflow needs to be there."""
        if self.kind != "Workflow":
            return frozenset()
        return frozenset(node["taskRef"] for node in self.document["spec"]["tasks"])


def items() -> Iterator[Item]:
    """Everything there is: tasks, workflows, templates, each by name."""
    for folder, kind in FOLDERS.items():
        found = files("flowmesh.definitions.bundled").joinpath(folder)
        for file in sorted(found.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".yaml"):
                name = file.name.removesuffix(".yaml")
                yield Item(kind, name, file.read_text("utf-8"))


def bundled_templates() -> list[dict[str, Any]]:
    """The documents of the templates."""
    return [item.document for item in items() if item.kind == "WorkflowTemplate"]


def needed(names: list[str]) -> list[Item]:
    """The tasks and workflows named, all without any, with the tasks that they need.

    Raises KeyError with a name that is not there.
    """
    there = {item.name: item for item in items() if item.kind != "WorkflowTemplate"}
    wanted: dict[str, Item] = {}
    for name in names or list(there):
        item = there[name]
        wanted |= {ref: there[ref] for ref in sorted(item.task_refs)}
        wanted[name] = item
    return list(wanted.values())
