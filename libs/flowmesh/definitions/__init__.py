"""Definitions of workflows and tasks: reading, checks, analysis and plans. Pure, no I/O.

read_source(source, content_type)     resources of a text
check(reading, resolve)               problems of the resources
plan_workflow(workflow, resolve, …)   the plan that executions run
analyse(workflow)                     the shape of the graph
compile_source(source, content_type, resolve)   source to plan in one call

A name is imported on first use: the SDK needs durations and references only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmesh.definitions.analysis import analyse
    from flowmesh.definitions.checks.everything import check
    from flowmesh.definitions.instantiation import TEMPLATE_LABEL, instantiate
    from flowmesh.definitions.model import (
        Dialect,
        Node,
        Task,
        Visibility,
        Workflow,
        WorkflowTemplate,
    )
    from flowmesh.definitions.planning.compile import checked, compile_source
    from flowmesh.definitions.planning.planner import plan_workflow
    from flowmesh.definitions.problems import Problem, errors_in, refuse, warnings_in
    from flowmesh.definitions.reading.reader import is_id
    from flowmesh.definitions.sources import (
        Read,
        Reading,
        Resolve,
        load_task,
        load_template,
        load_workflow,
        read_source,
    )
    from flowmesh.definitions.task_refs import TaskRef, task_ref
    from flowmesh.definitions.trigger_messages import trigger_message
else:
    HOMES = {
        "Dialect": "model",
        "Node": "model",
        "Problem": "problems",
        "Read": "sources",
        "Reading": "sources",
        "Resolve": "sources",
        "TEMPLATE_LABEL": "instantiation",
        "Task": "model",
        "TaskRef": "task_refs",
        "Visibility": "model",
        "Workflow": "model",
        "WorkflowTemplate": "model",
        "analyse": "analysis",
        "check": "checks.everything",
        "checked": "planning.compile",
        "compile_source": "planning.compile",
        "errors_in": "problems",
        "instantiate": "instantiation",
        "is_id": "reading.reader",
        "load_task": "sources",
        "load_template": "sources",
        "load_workflow": "sources",
        "plan_workflow": "planning.planner",
        "read_source": "sources",
        "refuse": "problems",
        "task_ref": "task_refs",
        "trigger_message": "trigger_messages",
        "warnings_in": "problems",
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


__all__ = [
    "TEMPLATE_LABEL",
    "Dialect",
    "Node",
    "Problem",
    "Read",
    "Reading",
    "Resolve",
    "Task",
    "TaskRef",
    "Visibility",
    "Workflow",
    "WorkflowTemplate",
    "analyse",
    "check",
    "checked",
    "compile_source",
    "errors_in",
    "instantiate",
    "is_id",
    "load_task",
    "load_template",
    "load_workflow",
    "plan_workflow",
    "read_source",
    "refuse",
    "task_ref",
    "trigger_message",
    "warnings_in",
]
