"""Settings of a process on the servers of the tests."""

from pathlib import Path

import pytest

from flowmesh.embedded import EmbeddedServers
from flowmesh.runtime import Settings


@pytest.fixture
def settings(servers: EmbeddedServers, tmp_path: Path) -> Settings:
    return Settings(
        postgres=servers.postgres,
        nats=servers.nats,
        redis=servers.redis,
        grpc_port=0,
        http_port=0,
        data_dir=str(tmp_path),
    )
