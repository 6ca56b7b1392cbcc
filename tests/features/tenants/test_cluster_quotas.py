"""Quotas that several orchestrators share: each second they divide what is left."""

from pathlib import Path

import pytest

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from tests.features.closed import closed_suite
from tests.features.tenants.test_quotas import WITHIN_S, limited


@pytest.mark.long
@pytest.mark.feature("S1-110")
async def test_orchestrators_of_a_cluster_share_a_quota(tmp_path: Path) -> None:
    """Floods of starts on all orchestrators exceed it by at most 1 %, and reach it."""
    async with closed_suite(tmp_path, "--orchestrators", "3", kind=Cluster) as closed:
        made = await limited(closed, "quota-cluster")
        begun = await made.enforce("executionsPerDay", 300)
        limit = begun - 1 + 300

        async def reached() -> bool:
            nonlocal begun
            begun += await made.starts(200)
            return begun >= limit

        await until("reached", reached, within_s=6 * WITHIN_S)
        assert await made.starts(1_000) == 0
        assert limit <= begun <= limit * 1.01
        assert await made.used("executionsPerDay") == begun
