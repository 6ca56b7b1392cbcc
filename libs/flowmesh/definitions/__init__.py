"""Definitions of workflows and tasks: read, checked, analysed and planned. Pure, no I/O.

reading = read_source(source, content_type)     what a text holds
check(reading, resolve)                         everything that is wrong with it
plan_workflow(workflow, resolve, …)             what executions run
analyse(workflow)                               what its graph looks like
compile_source(source, content_type, resolve)   all of it, for whoever needs no server
"""

from flowmesh.definitions.analysis import analyse
from flowmesh.definitions.checks import check
from flowmesh.definitions.compile import checked, compile_source
from flowmesh.definitions.instantiation import TEMPLATE_LABEL, instantiate
from flowmesh.definitions.model import (
    Dialect,
    Node,
    Task,
    Visibility,
    Workflow,
    WorkflowTemplate,
)
from flowmesh.definitions.planner import plan_workflow
from flowmesh.definitions.problems import Problem, errors_in, refuse, warnings_in
from flowmesh.definitions.reader import is_id
from flowmesh.definitions.reading import (
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
