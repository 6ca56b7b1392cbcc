"""Failures that the orchestrator itself reports."""

from flowmesh.api.common.v1 import failure_pb2


def failure(class_: str, message: str) -> failure_pb2.Failure:
    """Return a failure of this class; set by `setattr` because `class` is a keyword."""
    made = failure_pb2.Failure(message=message)
    setattr(made, "class", class_)
    return made
