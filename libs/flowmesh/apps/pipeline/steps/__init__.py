"""The step types: each function compiles the configuration of a step to a call."""

from collections.abc import Callable

from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import StepCall
from flowmesh.apps.pipeline.steps import (
    calls,
    database,
    executions,
    machines,
    modules,
    requests,
    values,
)

CompileStep = Callable[[StepContext], StepCall]

STEP_TYPES: dict[str, CompileStep] = {
    "step.validate": values.validate,
    "step.transform": values.transform,
    "step.conditional": values.conditional,
    "step.set": values.set_values,
    "step.log": values.log,
    "step.jq": values.jq,
    "step.request_parse": requests.request_parse,
    "step.json_response": requests.json_response,
    "step.raw_response": requests.raw_response,
    "step.db_query": database.db_query,
    "step.db_exec": database.db_exec,
    "step.http_call": calls.http_call,
    "step.delegate": calls.delegate,
    "step.publish": calls.publish,
    "step.pipeline": calls.pipeline,
    "step.foreach": calls.foreach,
    "step.cache": calls.cache,
    "step.workflow": executions.workflow,
    "step.statemachine": machines.statemachine,
}
"""The step types that this version runs."""

FLOW_STEPS: dict[str, CompileStep] = {**STEP_TYPES, "step.module": modules.call_module}
"""Those, and the step that only flows of modules have."""
