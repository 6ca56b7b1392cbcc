"""The election by a Lease: taken, renewed, lost, and given back."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from lightkube import AsyncClient

from flowmesh.operator.leader import NAME, Leader
from flowmesh.operator.limits import LEASE_RENEW_S, LEASE_S
from tests.api_server import SYSTEM, ApiServer, Refused, api_server


class Election:
    """Replicas of one cluster, whose clock a test sets."""

    def __init__(self, server: ApiServer, client: AsyncClient) -> None:
        self.server, self._client = server, client
        self.now_s = 1_000.0

    def replica(self, identity: str) -> Leader:
        return Leader(
            client=self._client,
            namespace=SYSTEM,
            identity=identity,
            monotonic_s=lambda: self.now_s,
        )

    @property
    def lease(self) -> dict[str, Any]:
        found = self.server.get("leases", NAME, SYSTEM)
        assert found is not None
        spec: dict[str, Any] = found["spec"]
        return spec


@pytest.fixture
async def election() -> AsyncIterator[Election]:
    async with api_server() as (server, client):
        yield Election(server, client)


async def test_the_first_replica_leads_and_renews(election: Election) -> None:
    """In each round, without another transition."""
    one = election.replica("one")
    await one.run_once()
    assert one.leading.is_set()
    assert (election.lease["holderIdentity"], election.lease["leaseTransitions"]) == ("one", 0)
    election.server.requests.clear()
    await one.run_once()
    assert election.server.requests == [
        f"GET leases/{SYSTEM}/{NAME}",
        f"PUT leases/{SYSTEM}/{NAME}",
    ]
    assert one.leading.is_set()
    assert election.lease["leaseTransitions"] == 0


async def test_another_replica_leads_once_the_lease_has_ended(election: Election) -> None:
    """Measured by its own clock, from the last change it has seen."""
    one, two = election.replica("one"), election.replica("two")
    await one.run_once()
    for passed in (0, LEASE_S - 1, 1):
        election.now_s += passed
        await two.run_once()
        assert not two.leading.is_set()
    election.now_s += 1
    await two.run_once()
    assert two.leading.is_set()
    assert (election.lease["holderIdentity"], election.lease["leaseTransitions"]) == ("two", 1)
    await one.run_once()
    assert not one.leading.is_set()


async def test_a_leader_without_an_answer_steps_down_before_its_lease_ends(
    election: Election,
) -> None:
    """So that there are never two."""
    one = election.replica("one")
    await one.run_once()
    election.server.failures["GET leases"] = Refused(500, "etcd is away")
    election.now_s += LEASE_RENEW_S - 1
    await one.run_once()
    assert one.leading.is_set()
    election.now_s += 2
    await one.run_once()
    assert not one.leading.is_set()


async def test_of_two_replicas_that_take_a_lease_one_leads(election: Election) -> None:
    """The other's version is too old."""
    one = election.replica("one")
    election.server.failures["POST leases"] = Refused(409, "it exists")
    await one.run_once()
    assert not one.leading.is_set()


@pytest.mark.parametrize("holder", ["one", "two"])
async def test_a_released_lease_is_free_at_once(election: Election, holder: str) -> None:
    """It is given back by its holder only; one that never led releases nothing."""
    one, two = election.replica("one"), election.replica("two")
    await two.release()
    await one.run_once()
    lease = election.server.get("leases", NAME, SYSTEM)
    assert lease is not None
    election.server.put("leases", {**lease, "spec": {**lease["spec"], "holderIdentity": holder}})
    await one.release()
    assert not one.leading.is_set()
    assert election.lease.get("holderIdentity", "") == ("" if holder == "one" else "two")
    await two.run_once()
    assert two.leading.is_set()
    assert election.lease["renewTime"] <= datetime.now(UTC).isoformat().replace("+00:00", "Z")


async def test_an_api_server_that_is_away_does_not_keep_a_drain(election: Election) -> None:
    """The lease ends by itself."""
    one = election.replica("one")
    await one.run_once()
    election.server.failures["GET leases"] = Refused(500, "etcd is away")
    await one.release()
    assert not one.leading.is_set()
