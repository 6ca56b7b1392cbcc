"""JSON Schemas (2020-12) of the documents people write, for completion and checks in editors.

What the reader of a format accepts, its schema accepts; names, types and ranges are the reader's.
"""

from flowmesh.definitions.editor.graph import graph_schema
from flowmesh.definitions.editor.native import task_schema, template_schema, workflow_schema
from flowmesh.definitions.editor.serverless import serverless_schema
from flowmesh.definitions.editor.states import states_schema
from flowmesh.definitions.editor.steps import steps_schema

__all__ = [
    "graph_schema",
    "serverless_schema",
    "states_schema",
    "steps_schema",
    "task_schema",
    "template_schema",
    "workflow_schema",
]
