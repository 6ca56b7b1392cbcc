"""Definitions written in another format than they came in: all of what they say, or not at all.

Step JSON, graph JSON, native resources and Serverless Workflow are written. What has no place there
is refused by name, with all the rest that has none.
"""

from flowmesh.definitions.exports.export import TARGETS, export, export_source
from flowmesh.definitions.exports.yaml_out import write_yaml

__all__ = ["TARGETS", "export", "export_source", "write_yaml"]
