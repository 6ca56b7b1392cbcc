"""Which tasks are held, and of which epoch."""

from flowmesh.worker.leases import UNKNOWN_PARTITION, Lease, Leases


def lease(token: str, partition: int = UNKNOWN_PARTITION) -> Lease:
    return Lease(token, "w", None, None, partition)


def test_leases_are_found_by_partition() -> None:
    """One of unknown partition may belong to any of them."""
    leases = Leases()
    one, two, unknown = lease("1", 1), lease("2", 2), lease("3")
    for item in (one, two, unknown):
        leases.add(item)
    assert leases.of_partitions({1, 5}) == {1: [one, unknown], 5: [unknown]}


def test_a_lower_epoch_is_refused_with_the_highest_epoch() -> None:
    """Per partition; the same and a higher one are fine."""
    leases = Leases()
    assert leases.newer_epoch(1, 5) == 0
    assert leases.newer_epoch(1, 5) == 0
    assert leases.newer_epoch(1, 4) == 5
    assert leases.newer_epoch(2, 4) == 0
    assert leases.newer_epoch(1, 6) == 0
    assert leases.newer_epoch(1, 5) == 6
