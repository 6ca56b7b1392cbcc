"""Workflows and executions by the path of their project."""

from flowmesh.gateway.routes import triggers
from flowmesh.gateway.routes.definitions import resources
from flowmesh.gateway.routes.executions import (
    control,
    events,
    execute,
    executions,
    insights,
    records,
    searches,
)
from flowmesh.gateway.routes.projects.within import mirrored

_MIRRORED = frozenset(
    {
        "listWorkflows",
        "applyResources",
        "validateWorkflow",
        "getWorkflow",
        "applyWorkflow",
        "deleteWorkflow",
        "listVersions",
        "getWorkflowVersion",
        "listWorkflowTriggers",
        "start",
        "execute",
        "listExecutions",
        "countExecutions",
        "getExecution",
        "getResults",
        "getHistory",
        "getState",
        "getNodes",
        "getNode",
        "getTrace",
        "executionEvents",
        "cancelExecution",
        "terminate",
        "pause",
        "resume",
        "signal",
        "rerun",
    }
)
_TABLES = (resources, triggers, execute, executions, records, searches, insights, events, control)
ROUTES = tuple(
    mirrored(route)
    for table in _TABLES
    for route in table.ROUTES
    if route.operation_id in _MIRRORED
)
