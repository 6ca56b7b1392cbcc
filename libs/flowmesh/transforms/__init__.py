"""The transform operations: a catalogue, and pipelines of them applied to JSON values.

Deterministic by a seed, bounded, free of side effects. `Pipeline.apply` computes at once;
`transformed` uses a sandbox for jq and JMESPath, which are code of users.
"""

from flowmesh.transforms.catalogue import OPERATIONS
from flowmesh.transforms.driving import transformed
from flowmesh.transforms.errors import PipelineInvalid, PipelineProblem, TransformError
from flowmesh.transforms.operation import Operation
from flowmesh.transforms.pipeline import compile_pipeline, pipeline_problems
from flowmesh.transforms.run import Pipeline, Request, Run

__all__ = [
    "OPERATIONS",
    "Operation",
    "Pipeline",
    "PipelineInvalid",
    "PipelineProblem",
    "Request",
    "Run",
    "TransformError",
    "compile_pipeline",
    "pipeline_problems",
    "transformed",
]
