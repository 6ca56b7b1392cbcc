"""Values of executions of an encrypted project, as the disk and other readers see them."""

import json
from collections.abc import AsyncIterator

import pytest

from flowmesh.testing.polling import until
from tests.features.encryption.disk import (
    CANARIES,
    CANARY,
    LARGE,
    RETURNED,
    STORED,
    WITHIN_S,
    Disk,
    encrypted_disk,
)


@pytest.fixture(scope="module")
async def disk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Disk]:
    async with encrypted_disk(tmp_path_factory.mktemp("disk")) as made:
        yield made


@pytest.mark.long
@pytest.mark.feature("S5-03")
async def test_no_file_holds_a_value_of_an_encrypted_project(disk: Disk) -> None:
    """PostgreSQL's pages and its log, NATS, Redis, logs; callers read the values as before."""
    given = {"card": CANARY, "large": STORED * (LARGE // len(STORED))}
    status, body = await disk.sealed.execute(**given)
    assert status == 200, body
    for view in ("", "/history"):
        _, shown = await disk.sealed.execution(body["executionId"], view)
        assert RETURNED in json.dumps(shown), view
    status, other = await disk.plain.execute(card="canary-of-plain")
    assert status == 200, other
    await disk.sql("checkpoint")
    assert disk.found(*CANARIES) == {}
    assert disk.found("canary-of-plain") != {}


async def reasons(disk: Disk, execution_id: str) -> set[str]:
    """Return the reasons by which reads of the history of an execution are refused."""
    _, shown = await disk.sealed.execution(execution_id, "/history")
    return {shown["error"]["reason"]} if "error" in shown else set()


@pytest.mark.feature("S5-03")
async def test_bytes_that_were_changed_or_moved_are_refused_with_one_reason(disk: Disk) -> None:
    """A flipped bit, the row of another execution, and that of another project; others run on."""
    (first, second) = [(await disk.sealed.execute(card=str(n)))[1]["executionId"] for n in (1, 2)]
    (other,) = [(await disk.plain.execute(card="3"))[1]["executionId"]]
    read = "select events from history where execution_id = $1 order by seq limit 1"
    write = (
        "update history set events = $2 where execution_id = $1"
        " and seq = (select min(seq) from history where execution_id = $1)"
    )
    (intact,) = [row["events"] for row in await disk.sql(read, first)]
    (foreign,) = [row["events"] for row in await disk.sql(read, second)]
    flipped = intact[:-1] + bytes((intact[-1] ^ 1,))
    for bad in (flipped, foreign):
        await disk.sql(write, first, bad)
        assert await reasons(disk, first) == {"DATA_UNREADABLE"}
    await disk.sql(write, first, intact)
    assert await reasons(disk, first) == set()
    await disk.sql(write, other, foreign)
    _, shown = await disk.plain.execution(other, "/history")
    assert shown["error"]["reason"] == "DATA_UNREADABLE"
    assert (await disk.sealed.execute(card="4"))[0] == 200


async def test_a_rotated_key_seals_new_values_and_the_former_one_opens_its_own(disk: Disk) -> None:
    """No call fails meanwhile."""
    _, before = await disk.sealed.execute(card="before")
    status, made = await disk.sealed.encryption("POST", ":rotate")
    assert (status, made["keys"]) == (200, 2)
    statuses = set()

    async def used() -> bool:
        status, body = await disk.sealed.execute(card="meanwhile")
        statuses.add(status)
        return await disk.newest_key(body["executionId"]) == 2

    await until("the new key is used", used, within_s=WITHIN_S)
    assert statuses == {200}
    assert await reasons(disk, before["executionId"]) == set()


@pytest.mark.feature("S5-04")
async def test_destroyed_keys_leave_nothing_to_read_and_the_suite_runs_on(disk: Disk) -> None:
    """Histories, stored values and starts are refused; the other project is untouched."""
    _, body = await disk.sealed.execute(card="gone")
    status, left = await disk.sealed.encryption("POST", ":destroy")
    assert (status, left["encryption"]) == (200, "destroyed")

    async def gone() -> bool:
        return await reasons(disk, body["executionId"]) == {"DATA_UNREADABLE"}

    await until("the history is unreadable", gone, within_s=WITHIN_S)
    status, refused = await disk.sealed.execute(card="again")
    assert (status, refused["error"]["reason"]) == (409, "DATA_UNREADABLE")
    for action in ("", ":rotate", ":destroy"):
        status, refused = await disk.sealed.encryption("POST" if action else "PUT", action)
        assert refused["error"]["reason"] == "DATA_UNREADABLE", action
    status, body = await disk.plain.execute(card="lives")
    assert status == 200, body
    assert (await disk.plain.encryption())[1]["encryption"] == "off"
