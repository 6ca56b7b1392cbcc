"""The transform operations: a catalog, and pipelines of them applied to JSON values.

Deterministic by a seed, bounded, free of side effects. `Pipeline.apply` computes at once;
`transformed` uses a sandbox for jq and JMESPath, which are code of users, and for costly runs.
"""

from flowmesh.transforms.catalog import OPERATIONS
from flowmesh.transforms.driving import transformed, transformed_inline, transformed_remotely
from flowmesh.transforms.errors import PipelineInvalid, PipelineProblem, TransformError
from flowmesh.transforms.operation import Operation
from flowmesh.transforms.pipeline import compile_pipeline, has_many_patterns, pipeline_problems
from flowmesh.transforms.remote import RemoteRun, member_of, pipeline_of
from flowmesh.transforms.run import Pipeline, Request, Run, TooCostly

__all__ = [
    "OPERATIONS",
    "Operation",
    "Pipeline",
    "PipelineInvalid",
    "PipelineProblem",
    "RemoteRun",
    "Request",
    "Run",
    "TooCostly",
    "TransformError",
    "compile_pipeline",
    "has_many_patterns",
    "member_of",
    "pipeline_of",
    "pipeline_problems",
    "transformed",
    "transformed_inline",
    "transformed_remotely",
]
