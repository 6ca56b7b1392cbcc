"""The list of attached workers: written when it changes, again after a lost connection."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from flowmesh.orchestrator.ownership.attached_workers import NAMES_MAX, AttachedWorkers


class Written:
    """A store that records lists; it waits for `gate` and fails `failures` times."""

    def __init__(self) -> None:
        self.lists: list[tuple[int, list[str] | None]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def record_workers(self, incarnation: int, workers: list[str] | None) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionResetError
        self.lists.append((incarnation, workers))


class Noted:
    """Attached workers with the names in `here`, and the stored lists."""

    def __init__(self) -> None:
        self.here: set[str] = set()
        written: Any = Written()
        ownership: Any = SimpleNamespace(incarnation=7, young=False)
        self.written, self.ownership = written, ownership
        self.tasks: list[asyncio.Task[None]] = []
        self.roll = AttachedWorkers(
            store=written,
            ownership=ownership,
            spawn=lambda work: self.tasks.append(asyncio.ensure_future(work)),
        )

    async def noted(self, *workers: str) -> list[tuple[int, list[str] | None]]:
        """Return all stored lists after these workers have attached."""
        self.here = set(workers)
        self.roll.note(lambda: self.here)
        await asyncio.gather(*self.tasks)
        lists: list[tuple[int, list[str] | None]] = self.written.lists
        return lists


async def test_a_list_is_written_when_it_is_another_one() -> None:
    """Also when the incarnation is: the next owner looks for the list of the last one."""
    noted = Noted()
    assert await noted.noted("b", "a") == [(7, ["a", "b"])]
    assert len(await noted.noted("a", "b")) == 1
    noted.ownership.incarnation = 8
    assert (await noted.noted("a", "b"))[1:] == [(8, ["a", "b"])]
    assert (await noted.noted())[2:] == [(8, [])]


async def test_workers_that_attach_during_a_write_are_in_the_next_list() -> None:
    """However many come: one statement at a time."""
    noted = Noted()
    noted.written.gate.clear()
    for number in range(5):
        noted.here = {f"w{each}" for each in range(number + 1)}
        noted.roll.note(lambda: noted.here)
        await asyncio.sleep(0)
    noted.written.gate.set()
    await asyncio.gather(*noted.tasks)
    assert [len(workers) for _, workers in noted.written.lists] == [1, 5]
    assert len(noted.tasks) == 1


async def test_a_list_that_could_not_be_written_is_written_with_the_next_note() -> None:
    """A lost connection is no error of the process: its lease needs the same database."""
    noted = Noted()
    noted.written.failures = 1
    assert await noted.noted("a") == []
    assert await noted.noted("a") == [(7, ["a"])]


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 129])
async def test_where_one_has_no_proper_name_none_is_named(name: str) -> None:
    """A worker service may send any text; the list holds ids."""
    noted = Noted()
    assert await noted.noted("a") == [(7, ["a"])]
    assert (await noted.noted("a", name))[1:] == [(7, None)]


async def test_a_young_owner_writes_none() -> None:
    """The one after it would not wait for those that have not found this one yet."""
    noted = Noted()
    noted.ownership.young = True
    assert await noted.noted("a") == []
    noted.ownership.young = False
    assert await noted.noted("a") == [(7, ["a"])]


async def test_of_too_many_workers_none_is_named() -> None:
    """A list that lacks some would have their tasks run twice."""
    noted = Noted()
    many = [f"w{number:05}" for number in range(NAMES_MAX)]
    assert await noted.noted(*many) == [(7, many)]
    assert (await noted.noted(*many, "one more"))[1:] == [(7, None)]
