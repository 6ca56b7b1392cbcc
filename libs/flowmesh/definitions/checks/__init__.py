"""Everything that is wrong with a source beyond its single documents, in one pass."""

from flowmesh.definitions.checks.everything import check

__all__ = ["check"]
