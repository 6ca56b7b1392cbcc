"""Ids carry their partition, sort by time and are never made twice."""

import pytest

from flowmesh.cells import CELLS_MAX, cell_of
from flowmesh.orchestrator.model.ids import (
    PARTITION_COUNT,
    ExecutionIds,
    first_id_of,
    is_digest,
    parse_token,
    partition_of,
    partition_of_request,
    token_of,
)


def test_an_id_gives_its_partition_back() -> None:
    """For every partition there is."""
    ids = ExecutionIds(1)
    for partition in range(PARTITION_COUNT):
        assert partition_of(ids.make(1_795_000_000_000_000, partition)) == partition


def test_ids_carry_the_cell_that_made_them() -> None:
    """Cell k has the partitions 64 k to 64 k + 63; the ids of cell 0 are those of one suite."""
    for cell in range(CELLS_MAX):
        ids = ExecutionIds(1, cell)
        for partition in (0, 31, 32, PARTITION_COUNT - 1):
            made = ids.make(1_795_000_000_000_000, partition)
            assert (cell_of(made), partition_of(made)) == (cell, partition)
    assert ExecutionIds(1, 0).make(5, 7) == ExecutionIds(1).make(5, 7)
    assert cell_of("exec-" + "0" * 18 + "zz|node|1") == CELLS_MAX - 1
    assert cell_of("/api/v1/executions/exec-1/events") is None


def test_ids_sort_by_the_time_they_were_made() -> None:
    """Later milliseconds sort behind, independent of the partition."""
    ids = ExecutionIds(1)
    made = [
        ids.make(time_us, 63 - n) for n, time_us in enumerate(range(10**15, 10**15 + 50_000, 1_000))
    ]
    assert made == sorted(made)
    assert first_id_of(10**15) <= made[0] < first_id_of(10**15 + 1_000)


def test_ids_of_one_millisecond_differ() -> None:
    """Between processes and within one."""
    one, other = ExecutionIds(1), ExecutionIds(2)
    made = {ids.make(5, 1) for ids in (one, other) for _ in range(10_000)}
    assert len(made) == 20_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exec-",
        "exec-" + "u" * 20,
        "exec-" + "\0" * 18 + "00",
        "exec-" + "0" * 20 + "\n",
        "x" * 25,
    ],
)
def test_what_is_no_id_has_no_partition(text: str) -> None:
    """Wrong letters and lengths."""
    assert partition_of(text) is None


def test_a_digest_is_lower_case_hex() -> None:
    """64 digits; nothing else can name a stored payload."""
    assert is_digest("0af" + "1" * 61)
    for text in ("", "0" * 63, "0" * 65, "A" * 64, "\0" * 64, "0" * 64 + "\n"):
        assert not is_digest(text)


def test_equal_request_ids_meet_in_one_partition() -> None:
    """And namespaces do not share them."""
    assert partition_of_request("a", "r") == partition_of_request("a", "r")
    spread = {partition_of_request("a", str(n)) for n in range(2_000)}
    assert len(spread) == PARTITION_COUNT


def test_a_token_names_one_attempt() -> None:
    """Anything else is not a token."""
    assert parse_token(token_of("exec-1", "node.a:b", 3)) == ("exec-1", "node.a:b", 3)
    assert parse_token("exec-1|a") is None
    assert parse_token("exec-1|a|-1") is None
