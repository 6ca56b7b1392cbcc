"""Turns of namespaces at the children of the sandbox, and their CPU time."""

import asyncio
from collections.abc import Callable

import pytest

from flowmesh.errors import Overloaded
from flowmesh.sandbox import CpuLedger, Sandbox, SandboxFailure, on_behalf_of, turns
from flowmesh.sandbox.turns import Account, Turns


class Calls:
    """Calls that hold their turn until they are ended; `held` lists them in order."""

    def __init__(self, regular: int, spare: int = 0) -> None:
        self.turns = Turns(regular, spare)
        self.held: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str) -> None:
        """Begin calls named by their namespace and a number, as in `a1`."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._hold(name))
        await self._settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await self._settle()

    async def _hold(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            self.held.append(name)
            await self._ends[name].wait()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_namespaces_take_turns() -> None:
    """A call of a namespace does not wait for all calls that came before it."""
    calls = Calls(1)
    await calls.begin("a1", "a2", "a3", "b1", "c1", "b2")
    for name in ("a1", "b1", "c1", "a2", "b2"):
        await calls.end(name)
    assert calls.held == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_namespace_alone_has_all_turns_and_one_while_others_wait() -> None:
    """The second turn goes to the namespace that has none."""
    calls = Calls(2)
    await calls.begin("a1", "a2", "a3", "b1", "b2")
    assert calls.held == ["a1", "a2"]
    await calls.end("a1")
    assert calls.held[2:] == ["b1"]
    await calls.end("a2")
    assert calls.held[3:] == ["a3"]
    await calls.end("b1")
    assert calls.held[4:] == ["b2"]


async def test_a_namespace_without_a_turn_gets_a_spare_one_at_once() -> None:
    """Long calls of another namespace cannot keep it waiting."""
    calls = Calls(2, spare=1)
    await calls.begin("a1", "a2", "a3", "b1", "b2", "c1")
    assert calls.held == ["a1", "a2", "b1"]
    await calls.end("b1")
    assert calls.held[3:] == ["c1"]


async def test_queues_are_bounded_by_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue of one namespace refuses its calls only; all queues have a bound together."""
    monkeypatch.setattr(turns, "WAITING_OF_ONE_MAX", 2)
    monkeypatch.setattr(turns, "WAITING_MAX", 3)
    calls = Calls(1)
    await calls.begin("a1", "a2", "a3", "b1")
    with pytest.raises(Overloaded, match="2 calls of the namespace"):
        async with calls.turns.turn("a"):
            pass
    with pytest.raises(Overloaded, match="3 calls already wait"):
        async with calls.turns.turn("c"):
            pass
    await calls.end("a1")
    assert calls.held == ["a1", "b1"]


async def test_a_canceled_call_gives_its_turn_back() -> None:
    """While it waits, while it runs, and in the moment between the two."""
    calls = Calls(1)
    await calls.begin("a1", "a2", "b1", "b2")
    await calls.cancel("b1")
    await calls.cancel("a1")
    assert calls.held == ["a1", "b2"]
    await calls.begin("c1")
    calls._ends["b2"].set()
    await asyncio.sleep(0)
    await calls.cancel("a2")
    assert calls.turns.waiting == 0
    await calls.end("c1")
    await calls.begin("d1")
    assert calls.held[-1] == "d1"


async def test_endless_code_leaves_a_child_to_another_namespace() -> None:
    """The call of the other one ends while two endless ones run and more wait."""
    async with Sandbox(children_max=2) as sandbox:
        with on_behalf_of("a"):
            endless = [
                asyncio.create_task(sandbox.run("while (true) {}", {}, 3_000)) for _ in range(6)
            ]
        with on_behalf_of("b"):
            assert await sandbox.run("return 1", {}, 3_000) == 1
        assert not any(each.done() for each in endless)
        for each in endless:
            each.cancel()
        await asyncio.gather(*endless, return_exceptions=True)


def ledger(now_ms: Callable[[], float], execution: int = 0, namespace: int = 0) -> CpuLedger:
    return CpuLedger(execution_ms_max=execution, namespace_ms_max=namespace, monotonic_ms=now_ms)


def test_an_execution_has_so_much_cpu_time() -> None:
    """Beyond it its calls fail with the reason; other executions of the namespace do not."""
    counted = ledger(lambda: 0.0, execution=1_000)
    counted.spend(Account("a", "one"), 1_000)
    with pytest.raises(SandboxFailure, match="1 s of CPU time") as caught:
        counted.check(Account("a", "one"))
    assert (caught.value.class_, caught.value.reason) == ("ResourceLimit", "CPU_LIMIT")
    counted.check(Account("a", "two"))


def test_a_namespace_has_so_much_cpu_time_in_a_minute() -> None:
    """Beyond it its calls are put off until some is there again."""
    now_ms = 0.0
    counted = ledger(lambda: now_ms, namespace=30_000)
    counted.spend(Account("a"), 31_000)
    with pytest.raises(Overloaded, match="30 s of CPU time per minute") as caught:
        counted.check(Account("a"))
    assert (caught.value.reason, caught.value.retry_after_ms) == ("CPU_LIMIT", 2_003)
    counted.check(Account("b"))
    now_ms = 2_003.0
    counted.check(Account("a"))


async def test_calls_of_children_are_counted() -> None:
    """With the CPU time that the child reports."""
    counted = ledger(lambda: 0.0, execution=200)
    async with Sandbox(cpu=counted) as sandbox:
        with on_behalf_of("a", "one"):
            with pytest.raises(SandboxFailure, match="Timeout"):
                await sandbox.run("while (true) {}", {}, 300)
            with pytest.raises(SandboxFailure, match="CPU time"):
                await sandbox.run("return 1", {})
        with on_behalf_of("a", "two"):
            assert await sandbox.run("return 1", {}) == 1
