"""Databases of tasks: named connections with their permissions."""

from flowmesh.executors.databases.calls import DatabaseCall, Databases, Rows
from flowmesh.executors.databases.connections import Connections

__all__ = ["Connections", "DatabaseCall", "Databases", "Rows"]
