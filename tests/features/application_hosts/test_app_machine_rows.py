"""Rows of state machines: versions, times, locks across hosts, random commands, kills."""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from flowmesh.apps.data.locks import LocalLocks, PostgresLocks
from flowmesh.apps.data.sqlite import SqliteDatabase
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.definition import Definition, DefinitionReader
from flowmesh.apps.machines.engine import Hook, HookEvent, MachineEngine, Next
from flowmesh.apps.machines.step import AUTOMATIC_IN_A_ROW_MAX
from flowmesh.apps.machines.store import MachineStore
from flowmesh.contract.json_value import Json
from tests.features.application_hosts.test_app_machines import ORDER
from tests.features.apps import eventually

pytestmark = pytest.mark.long


def definition(raw: Json = None) -> Definition:
    findings = Findings()
    found = DefinitionReader(findings).read(raw or ORDER, SourcePath())
    assert found is not None, findings.found
    return found


def engine_of(database: SqliteDatabase, *, most: int = 0, locks: Any = None) -> MachineEngine:
    made = MachineEngine(
        name="m",
        store=MachineStore(machine="m", database=database),
        locks=locks or LocalLocks(),
        instances_max=most,
        log=lambda *_, **__: None,
    )
    made.add(definition())
    return made


async def test_a_state_has_its_time(tmp_path: Path) -> None:
    """A timeout fires its transition, unless the instance has moved on."""
    raw = json.loads(json.dumps(ORDER))
    raw["states"]["new"]["timeout"] = {"after": "50ms", "transition": "expire"}
    database = SqliteDatabase(name="d", path="t.db", folder=tmp_path)
    await database.start()
    made = engine_of(database)
    made.add(definition(raw))
    await made.start()
    await made.open_effects()
    await made.open(workflow="order", instance="late", data={})
    await made.open(workflow="order", instance="early", data={})
    await made.fire(workflow="order", instance="early", transition="start", data={})

    async def stale() -> bool:
        return (await made.get("late")).state == "stale"

    assert await eventually(stale)
    assert (await made.get("early")).state == "checking"
    await made.close()
    await database.stop()


async def test_two_at_once_are_one_success_and_one_refusal(tmp_path: Path) -> None:
    """The version of the row decides; the other re-reads and is refused by the state."""
    database = SqliteDatabase(name="d", path="t.db", folder=tmp_path)
    await database.start()
    made, other = engine_of(database), engine_of(database)
    await made.start()
    await made.open(workflow="order", instance="a", data={})
    fire: dict[str, Any] = {"workflow": "order", "instance": "a", "transition": "start", "data": {}}
    results = await asyncio.gather(made.fire(**fire), other.fire(**fire), return_exceptions=True)
    assert sorted(str(getattr(each, "status", each)) for each in results) == ["409", "checking"]
    assert len(await made.store.history("a")) == 2
    await database.stop()


async def test_limits_cycles_and_large_data(tmp_path: Path) -> None:
    """503 beyond the open instances, an end of automatic cycles, 413 for data beyond 1 MiB."""
    raw = {
        "name": "loop",
        "initialState": "a",
        "states": {"a": {}, "b": {}},
        "transitions": {
            "ab": {"fromState": "a", "toState": "b", "autoTransform": True},
            "ba": {"fromState": "b", "toState": "a", "autoTransform": True},
        },
    }
    database = SqliteDatabase(name="d", path="t.db", folder=tmp_path)
    await database.start()
    made = engine_of(database, most=1)
    made.add(definition(raw))
    await made.start()
    await made.open_effects()
    await made.open(workflow="loop", instance="x", data={})

    async def dead() -> Json:
        return await made.store.dead()

    letters = await eventually(dead)
    assert letters[0].reason.startswith("AUTO_CYCLE")
    assert (await made.get("x")).version == AUTOMATIC_IN_A_ROW_MAX + 1
    with pytest.raises(HttpProblem) as full:
        await made.open(workflow="loop", instance="y", data={})
    assert full.value.status == 503
    with pytest.raises(HttpProblem) as large:
        await made.fire(workflow="loop", instance="x", transition="ab", data={"v": "x" * (1 << 20)})
    assert large.value.status in (409, 413)
    await made.close()
    await database.stop()


@pytest.mark.feature("S1-171")
async def test_an_advisory_lock_is_one_hosts_and_ends_with_it(database: str) -> None:
    """A lock of another connection is refused, and free once that connection has died."""
    first, second = (PostgresLocks(name="n", dsn=database) for _ in range(2))
    assert await first.take("m/1")
    assert not await first.take("m/1")
    assert not await second.take("m/1")
    assert await second.take("m/2")
    await first.stop()

    async def taken() -> bool:
        return await second.take("m/1")

    assert await eventually(taken)
    await second.release("m/1")
    assert await second.take("m/1")
    await second.stop()


@pytest.mark.feature("S1-171", "S1-32")
async def test_two_hosts_share_the_effects_of_one_database(database: str) -> None:
    """Each hook runs on one of two hosts, once for each change."""
    from flowmesh.apps.data.postgres import PostgresDatabase

    ran: list[str] = []

    def host() -> MachineEngine:
        async def hook(event: HookEvent) -> Next | None:
            ran.append(event.key)
            return Next("passed", {}) if event.transition == "start" else None

        made = engine_of(databases[-1], locks=PostgresLocks(name="n", dsn=database))
        made.add_hook(Hook(name="h", run=hook))
        return made

    databases: list[Any] = []
    hosts: list[MachineEngine] = []
    for _ in range(2):
        databases.append(
            PostgresDatabase(
                name="p",
                dsn=database,
                connections_max=8,
                connections_idle=1,
                statement_timeout_s=10,
            )
        )
        await databases[-1].start()
        hosts.append(host())
        await hosts[-1].start()
        await hosts[-1].open_effects()
    ids = [f"o{number}" for number in range(20)]
    for number, id in enumerate(ids):
        one = hosts[number % 2]
        await one.open(workflow="order", instance=id, data={"amount": 500})
        await hosts[(number + 1) % 2].fire(
            workflow="order", instance=id, transition="start", data={}
        )

    async def all_checked() -> bool:
        return len(await hosts[0].store.instances(state="checked")) == len(ids)

    assert await eventually(all_checked)

    async def none_left() -> bool:
        return await hosts[0].store.next_due() is None

    assert await eventually(none_left)
    assert len(ran) == len(set(ran)) == 3 * len(ids)
    for each in hosts:
        await each.close()
    for one_of_them in databases:
        await one_of_them.stop()


COMMANDS = ("start", "passed", "refused", "pay", "done", "cancel", "expire", "fly")


def model_step(machine: Definition, state_: str, command: str) -> str:
    """The state after a command, or the same one if it is refused."""
    transition = machine.transitions.get(command)
    if transition is None or not transition.leaves(machine.states[state_]):
        return state_
    if transition.condition is not None and not transition.condition({"amount": 1}):
        return state_
    return transition.target


@pytest.mark.feature("S1-171")
async def test_random_commands_agree_with_a_model(tmp_path: Path) -> None:
    """Any order of commands gives the state and history that the definition says."""
    machine = definition()
    for seed in range(20):
        draw = random.Random(seed)
        database = SqliteDatabase(name="d", path=f"{seed}.db", folder=tmp_path)
        await database.start()
        made = engine_of(database)
        await made.start()
        await made.open(workflow="order", instance="a", data={"amount": 1})
        expected, changes = "new", 1
        for _ in range(30):
            command = draw.choice(COMMANDS)
            following = model_step(machine, expected, command)
            try:
                got = await made.fire(workflow="order", instance="a", transition=command, data={})
                changes += 1
            except HttpProblem:
                got = (await made.get("a")).state
            assert got == following, (seed, command, expected)
            expected = following
        history = await made.store.history("a")
        assert [each.version for each in history] == list(range(1, changes + 1))
        assert all(a.target == b.source for a, b in itertools.pairwise(history))
        await database.stop()


CHILD = """
import asyncio, sys
from pathlib import Path
from flowmesh.apps.data.sqlite import SqliteDatabase
from flowmesh.apps.machines.engine import Hook, Next
from tests.features.application_hosts.test_app_machine_rows import engine_of

async def main():
    folder = Path(sys.argv[1])
    database = SqliteDatabase(name="d", path="k.db", folder=folder)
    await database.start()
    made = engine_of(database)
    log = (folder / "ran").open("a")

    async def hook(event):
        log.write(event.key + "\\n")
        log.flush()
        return Next("passed", {}) if event.transition == "start" else None

    made.add_hook(Hook(name="h", run=hook))
    await made.start()
    await made.open_effects()
    for number in range(int(sys.argv[2]), 10_000):
        id = f"o{number}"
        await made.open(workflow="order", instance=id, data={"amount": 500})
        await made.fire(workflow="order", instance=id, transition="start", data={})
        print(id, flush=True)

asyncio.run(main())
"""


async def killed_run(folder: Path, begin: int, answers: int) -> list[str]:
    """Run the child until it has answered this often, then kill it; return the answered ids."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(folder), str(begin)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "FLOWMESH_CORE": "pure"},
    )
    assert process.stdout is not None
    found = []
    for _ in range(answers):
        found.append((await process.stdout.readline()).decode().strip())
    process.send_signal(signal.SIGKILL)
    rest = (await process.stdout.read()).decode().split()
    await process.wait()
    return [*found, *rest]


@pytest.mark.slow
@pytest.mark.feature("S1-171")
async def test_kills_lose_no_answered_change_and_make_none_twice(tmp_path: Path) -> None:
    """After five kills every answered order is checked once, and every hook has run."""
    answered: list[str] = []
    for turn in range(5):
        answered += await killed_run(tmp_path, 1_000 * turn, 10 + 7 * turn)
    database = SqliteDatabase(name="d", path="k.db", folder=tmp_path)
    await database.start()
    made = engine_of(database)
    ran = set((tmp_path / "ran").read_text().split())

    async def hook(event: HookEvent) -> Next | None:
        ran.add(event.key)
        return Next("passed", {}) if event.transition == "start" else None

    made.add_hook(Hook(name="h", run=hook))
    await made.start()
    await made.open_effects()

    async def none_left() -> bool:
        return await made.store.next_due() is None

    assert await eventually(none_left)
    for id in answered:
        history = await made.store.history(id)
        assert [each.transition for each in history] == ["(open)", "start", "passed"], id
        assert {f"{id}:{version}:hook:h" for version in (1, 2, 3)} <= ran
    await made.close()
    await database.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initialState": "nowhere"}, "initialState"),
        ({"states": []}, "states is an object"),
        ({"transitions": {"x": {"fromState": "new", "toState": "gone"}}}, "no state 'gone'"),
        ({"transitions": {"x": {"fromState": "new", "toState": "paid", "condition": "1 +"}}}, ""),
        ({"states": {"new": {"timeout": {"after": "x", "transition": "y"}}}}, "timeout"),
    ],
)
def test_wrong_definitions_are_findings(change: dict[str, Json], message: str) -> None:
    """Each names what is wrong; a definition without a start is not used."""
    findings = Findings()
    DefinitionReader(findings).read({**ORDER, **change}, SourcePath())
    errors = [each for each in findings.found if not each.warning]
    assert any(message in each.message for each in errors)
