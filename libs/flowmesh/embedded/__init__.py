"""PostgreSQL, NATS JetStream and Redis as supervised children of this process.

The real servers from wheels, with their data under one data directory. They die with the
process that started them and are restarted when they crash. Not used where addresses are given.
"""

from flowmesh.embedded.datadir import DataDir
from flowmesh.embedded.errors import DataDirLocked, EmbeddedError
from flowmesh.embedded.servers import EmbeddedServers

__all__ = ["DataDir", "DataDirLocked", "EmbeddedError", "EmbeddedServers"]
