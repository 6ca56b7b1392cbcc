"""PostgreSQL for services: pools, migrations and named queries. Knows no table of anybody."""

from flowmesh.storage.migrations import MigrationError, migrate
from flowmesh.storage.pool import open_database
from flowmesh.storage.queries import load_queries

__all__ = ["MigrationError", "load_queries", "migrate", "open_database"]
