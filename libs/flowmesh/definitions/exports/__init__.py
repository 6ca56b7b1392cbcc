"""Definitions written in another format than they came in: all of what they say, or not at all.

What has no place in the format asked for is refused by name, with all the rest that has none.
"""

from flowmesh.definitions.exports.export import TARGETS, export, export_source
from flowmesh.definitions.exports.python.document import write_python
from flowmesh.definitions.exports.yaml_out import write_yaml

__all__ = ["TARGETS", "export", "export_source", "write_python", "write_yaml"]
