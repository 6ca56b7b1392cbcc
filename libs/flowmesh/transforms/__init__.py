"""The transform operations: a catalogue, and pipelines of them applied to JSON values.

Deterministic, bounded, free of side effects. Nothing here runs code of users: where a pipeline
holds jq or JMESPath it yields a Request, and whoever drives it has a sandbox.
"""

from flowmesh.transforms.catalogue import OPERATIONS
from flowmesh.transforms.errors import PipelineInvalid, PipelineProblem, TransformError
from flowmesh.transforms.operation import Flow, Operation
from flowmesh.transforms.pipeline import compile_pipeline, pipeline_problems
from flowmesh.transforms.run import Pipeline, Request, Run

__all__ = [
    "OPERATIONS",
    "Flow",
    "Operation",
    "Pipeline",
    "PipelineInvalid",
    "PipelineProblem",
    "Request",
    "Run",
    "TransformError",
    "compile_pipeline",
    "pipeline_problems",
]
