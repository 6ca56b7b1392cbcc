"""The databases that tasks work on: connections by name, each with what may be done over it."""

from flowmesh.executors.databases.calls import DatabaseCall, Databases, Rows
from flowmesh.executors.databases.connections import Connections

__all__ = ["Connections", "DatabaseCall", "Databases", "Rows"]
