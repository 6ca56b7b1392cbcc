"""Connectors: sources and sinks of records outside of Flowmesh, and bridges between them.

A connector is a module with a class `Source`, a class `Sink`, or both. Packages add theirs by an
entry point of the group `flowmesh.connectors`, whose name is the `type` in bridge files.
"""

from flowmesh.connectors.records import (
    Batch,
    ConnectorError,
    Context,
    Record,
    RecordsRefused,
    Sink,
    Source,
)

__all__ = ["Batch", "ConnectorError", "Context", "Record", "RecordsRefused", "Sink", "Source"]
