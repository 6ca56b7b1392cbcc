"""A plan, compiled: what the engine walks and the orchestrator renders from.

`compile_plan` turns the message that an execution pins into objects with indices, successor lists
and compiled templates. It holds no state of any execution and does no I/O.
"""

from flowmesh.expressions import RenderError
from flowmesh.plan.compiled import (
    ITEM_ROOTS,
    PAGE_ROOTS,
    STATE_ROOTS,
    Follow,
    Graph,
    Plan,
    PlanNode,
    compile_plan,
    single_task,
)
from flowmesh.plan.policies import StartPolicy
from flowmesh.plan.schemas import SchemaProblem
from flowmesh.plan.scope import (
    NO_NAMES,
    FetchNeeded,
    ItemsNeeded,
    PayloadNeeded,
    PayloadReader,
    context_of,
    decode,
    decode_if_json,
    inline,
    moment_of,
    next_page,
    payload_reader,
    render_input,
    render_items,
    render_names,
    values_of,
)

__all__ = [
    "ITEM_ROOTS",
    "NO_NAMES",
    "PAGE_ROOTS",
    "STATE_ROOTS",
    "FetchNeeded",
    "Follow",
    "Graph",
    "ItemsNeeded",
    "PayloadNeeded",
    "PayloadReader",
    "Plan",
    "PlanNode",
    "RenderError",
    "SchemaProblem",
    "StartPolicy",
    "compile_plan",
    "context_of",
    "decode",
    "decode_if_json",
    "inline",
    "moment_of",
    "next_page",
    "payload_reader",
    "render_input",
    "render_items",
    "render_names",
    "single_task",
    "values_of",
]
