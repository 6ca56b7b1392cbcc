"""The commands that `flowmesh explain` prints, run as they are printed."""

import re
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.insight.causes import TEXTS, Cause, finding
from flowmesh.sdk import Client, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import Outcome, command
from tests.features.executions.test_control import ended, held, started
from tests.features.natives import applied, workflow

WITHIN_S = 20.0
Begin = Callable[[Suite, World], Awaitable[str]]


async def explained(suite: Suite, *target: str, cause: Cause) -> list[str]:
    """Return the words of the first command that the finding of a cause prints."""
    found: list[str] = []

    async def there() -> bool:
        text = " ".join((await command(suite, "explain", *target)).out.split())
        for part in re.split(r"(?=\[[A-Z_]+\])", text)[1:]:
            if part.startswith(f"[{cause}]"):
                match = re.search("`flowmesh ([^`]+)`", part)
                found[:] = shlex.split(match[1]) if match else []
        return bool(found)

    await until(f"a command for {cause}", there, within_s=WITHIN_S)
    return found


async def obeyed(suite: Suite, *target: str, cause: Cause) -> Outcome:
    """Run the command; it succeeds."""
    words = await explained(suite, *target, cause=cause)
    outcome = await command(suite, *words)
    assert outcome.code == 0, (words, outcome.err)
    return outcome


async def _begun(suite: Suite, *tasks: Json) -> str:
    name = f"explained-{'-'.join(task['id'] for task in tasks)}"
    await applied(suite, workflow(name, *tasks))
    return await suite.begin(name)


async def paused(suite: Suite, world: World) -> str:
    execution = await _begun(suite, {"id": "nap", "taskRef": "delay", "input": {"duration": "5s"}})
    assert (await command(suite, "pause", execution)).code == 0
    return execution


async def signalled(suite: Suite, world: World) -> str:
    return await _begun(suite, {"id": "waits", "wait": {"event": "go"}})


async def asking(suite: Suite, world: World) -> str:
    return await _begun(suite, {"id": "asks", "approval": {"assignees": ["ann lee"]}})


async def on_hold(suite: Suite, world: World) -> str:
    world.answers("card", status=400, times=1)
    charge = {"id": "charge", "to": "card", "onFailure": "HOLD"}
    _, execution = await started(suite, world, charge)
    await held(suite, execution, "charge")
    return execution


async def stopped(suite: Suite, world: World) -> str:
    world.hold("a")
    second = {"id": "b", "to": "b", "dependsOn": ["a"]}
    _, execution = await started(suite, world, {"id": "a", "to": "a"}, second)
    await world.called("a")
    await suite.put(f"/api/v1/executions/{execution}/breakpoints", {"nodes": ["b"]})
    world.release("a")
    await held(suite, execution, "b")
    return execution


@pytest.mark.long
@pytest.mark.parametrize(
    ("begin", "cause"),
    [
        (paused, Cause.PAUSED),
        (signalled, Cause.SIGNAL),
        (asking, Cause.APPROVAL),
        (on_hold, Cause.ON_HOLD),
        (stopped, Cause.BREAKPOINT),
    ],
)
async def test_the_command_lets_a_waiting_execution_complete(
    suite: Suite, world: World, begin: Begin, cause: Cause
) -> None:
    """Paused, at a signal, at an approval, held after a failure, at a breakpoint."""
    execution = await begin(suite, world)
    await obeyed(suite, execution, cause=cause)
    await ended(suite, execution, "completed")
    shown = await obeyed(suite, execution, cause=Cause.ENDED)
    assert "completed" in shown.out


@pytest.mark.long
async def test_a_failed_compensation_is_retried(suite: Suite, world: World) -> None:
    """The execution ends once it has worked."""
    world.answers("refund", status=400, times=1)
    world.answers("ship", status=400)
    _, execution = await started(
        suite, world,
        {"id": "charge", "to": "charge", "undo": "refund"},
        {"id": "ship", "to": "ship", "dependsOn": ["charge"]},
    )  # fmt: skip
    await obeyed(suite, execution, cause=Cause.UNDO_FAILED)
    await ended(suite, execution, "failed")
    assert len(world.calls("refund")) == 2


@pytest.mark.long
async def test_a_failed_execution_shows_its_log_and_runs_again(suite: Suite, world: World) -> None:
    """From its failed task, once the cause is fixed."""
    world.answers("pay", status=400, times=1)
    _, execution = await started(suite, world, {"id": "pay", "to": "pay"})
    await ended(suite, execution, "failed")
    await obeyed(suite, execution, "--task", "pay", cause=Cause.NODE_ENDED)
    again = await obeyed(suite, execution, cause=Cause.ENDED)
    found = re.search(r"exec-[0-9a-z]+", again.out)
    assert found is not None, again.out
    await ended(suite, found[0], "completed")


@pytest.mark.long
async def test_the_command_shows_what_a_task_waits_for(suite: Suite, world: World) -> None:
    """A child, a worker, a limit; and the events of a task of unknown state."""
    await applied(suite, workflow("explained-inner", {"id": "waits", "wait": {"event": "go"}}))
    execution = await _begun(
        suite, {"id": "child", "subworkflow": {"workflow": "explained-inner", "wait": True}}
    )
    shown = await command(suite, *await explained(suite, execution, cause=Cause.CHILD))
    assert "it waits for the signal go" in shown.out, shown.err
    flow = Workflow("explained-unserved")
    flow.task("unserved", "nobody-serves")
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        handle = await client.start(flow.name)
    services = await obeyed(suite, handle.id, cause=Cause.NO_WORKER)
    assert "worker" in services.out
    stop = await command(suite, "stop-dispatch", "--workflow", "explained-limited")
    assert stop.code == 0, stop.err
    source = {"source": 1, "pipeline": []}
    execution = await _begun(suite, {"id": "limited", "taskRef": "transform", "input": source})
    limits = await obeyed(suite, execution, cause=Cause.LIMIT)
    assert "explained-limited" in limits.out
    assert (await command(suite, "start-dispatch", "--workflow", "explained-limited")).code == 0
    (printed,) = re.findall("`flowmesh ([^`]+)`", TEXTS[Cause.OTHER].remedy)
    words = shlex.split(printed.format(execution=execution))
    assert "WorkflowStarted" in (await command(suite, *words)).out


@pytest.mark.long
async def test_the_error_of_a_file_is_explained(suite: Suite, tmp_path: Path) -> None:
    """By its code."""
    file = tmp_path / "wrong.yaml"
    file.write_text("id: wrong\nsteps:\n- {id: a, dependencies: [nowhere]}\n")
    shown = await obeyed(suite, str(file), cause=Cause.DEFINITION_INVALID)
    assert "GRAPH_UNKNOWN_NODE" in shown.out


def test_each_command_of_a_cause_is_run_here() -> None:
    """A cause with a new command needs a test above."""
    run = {Cause.PAUSED, Cause.SIGNAL, Cause.APPROVAL, Cause.ON_HOLD, Cause.BREAKPOINT}
    run |= {Cause.UNDO_FAILED, Cause.CHILD, Cause.NO_WORKER, Cause.LIMIT, Cause.OTHER}
    run |= {Cause.DEFINITION_INVALID}
    assert {cause for cause, texts in TEXTS.items() if "`flowmesh " in texts.remedy} == run
    helped = {cause for cause, texts in TEXTS.items() if "{helps}" in texts.remedy}
    assert helped == {Cause.ENDED, Cause.NODE_ENDED}


def test_words_of_a_command_are_quoted() -> None:
    """A shell reads the id of a task of an item as a pattern."""
    found = finding(Cause.ON_HOLD, task="each[3]/pay", execution="exec-1", error="")
    assert "`flowmesh retry exec-1 'each[3]/pay'`" in found.remedy
    assert found.details["task"] == "each[3]/pay"
