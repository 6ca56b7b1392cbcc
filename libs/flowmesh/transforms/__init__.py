"""The transform operations: a catalogue, and pipelines of them applied to JSON values.

Deterministic, bounded, free of side effects; nothing here runs code of users.
"""

from flowmesh.transforms.errors import PipelineInvalid, PipelineProblem, TransformError
from flowmesh.transforms.operation import Operation
from flowmesh.transforms.pipeline import (
    OPERATIONS,
    Pipeline,
    compile_pipeline,
    pipeline_problems,
)

__all__ = [
    "OPERATIONS",
    "Operation",
    "Pipeline",
    "PipelineInvalid",
    "PipelineProblem",
    "TransformError",
    "compile_pipeline",
    "pipeline_problems",
]
