"""Failures the orchestrator itself reports."""

from flowmesh.api.common.v1 import failure_pb2


def failure(class_: str, message: str) -> failure_pb2.Failure:
    """A failure of this class; `class` is a keyword, hence the detour."""
    made = failure_pb2.Failure(message=message)
    setattr(made, "class", class_)
    return made
