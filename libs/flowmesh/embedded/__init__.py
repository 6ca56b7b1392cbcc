"""PostgreSQL, NATS JetStream and Redis as supervised children of this process.

The servers come from wheels and keep their data in one data directory. They die with the process
that started them and restart after a crash. They are not used if addresses are given.
"""

from flowmesh.embedded.datadir import DataDir
from flowmesh.embedded.errors import DataDirLocked, EmbeddedError
from flowmesh.embedded.servers import EmbeddedServers

__all__ = ["DataDir", "DataDirLocked", "EmbeddedError", "EmbeddedServers"]
