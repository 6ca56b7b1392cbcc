"""The audit of ownership finds what must not be."""

from flowmesh.testing.audit import Commit, Owned, check_epochs


def owned(moment: int, epoch: int, incarnation: int | None, partition: int = 3) -> Owned:
    return Owned(moment, partition, epoch, incarnation)


def commit(moment: int, incarnation: int, position: int, *partitions: int) -> Commit:
    return Commit(moment, moment, incarnation, position, (), partitions)


OWNERS = [owned(1, 1, 10), owned(4, 2, 20)]


def test_a_hand_over_is_fine() -> None:
    """Each commits while it owns; positions follow each other per incarnation."""
    commits = [commit(2, 10, 1, 3), commit(3, 10, 2, 3), commit(5, 20, 1, 3)]
    assert check_epochs(OWNERS, commits) == []


def test_a_commit_of_the_former_owner_is_found() -> None:
    """A zombie's commit comes behind the new owner's epoch."""
    found = check_epochs(OWNERS, [commit(2, 10, 1, 3), commit(5, 10, 2, 3)])
    assert len(found) == 1
    assert found[0].startswith("I5")


def test_an_epoch_that_falls_is_found() -> None:
    """A take-over must not be undone."""
    assert len(check_epochs([*OWNERS, owned(6, 1, 10)], [])) == 1


def test_a_position_that_is_missing_or_there_twice_is_found() -> None:
    """The statement sent again must apply once."""
    assert len(check_epochs(OWNERS, [commit(2, 10, 1), commit(3, 10, 1)])) == 1
    assert len(check_epochs(OWNERS, [commit(2, 10, 1), commit(3, 10, 3)])) == 1
