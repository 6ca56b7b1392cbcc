"""PostgreSQL for services: pools, migrations and named queries, independent of any table."""

from flowmesh.storage.durability import DURABLE, durability, unsafe
from flowmesh.storage.errors import DatabaseUnreachable, MigrationError, StorageError
from flowmesh.storage.migrations import migrate
from flowmesh.storage.pool import open_database
from flowmesh.storage.queries import load_queries, queries_of

__all__ = [
    "DURABLE",
    "DatabaseUnreachable",
    "MigrationError",
    "StorageError",
    "durability",
    "load_queries",
    "migrate",
    "open_database",
    "queries_of",
    "unsafe",
]
