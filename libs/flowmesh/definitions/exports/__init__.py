"""Writers of definitions in another format than the one they were read from.

A workflow is written whole or not at all: one refusal names every feature that the target format
cannot express. `formats.table` lists the formats.
"""

from flowmesh.definitions.exports.export import export, export_source
from flowmesh.definitions.exports.python.document import write_python
from flowmesh.definitions.exports.yaml_out import write_yaml

__all__ = ["export", "export_source", "write_python", "write_yaml"]
