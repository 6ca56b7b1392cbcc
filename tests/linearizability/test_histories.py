"""Histories of a running cluster under kills, checked for linearizability by porcupine.

A history is linearizable if its operations can be put into one order, each between its call and its
response, in which the model allows every response. The models are those of checker/models.go.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import pause
from tests.linearizability import clients, history
from tests.linearizability.clients import CAPACITIES, Driver
from tests.linearizability.history import History, Operation
from tools.breaks import Break, copied

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SEED = int(os.environ.get("LINEARIZABILITY_SEED", "11"))
RUN_S = float(os.environ.get("LINEARIZABILITY_RUN_S", "15"))
PLANTED_RUN_S = 4.0
KILL_EVERY_S = 2.5
VICTIMS = ("orchestrator-1", "event", "orchestrator-2")
OPERATIONS_LEAST = {"execution": 200, "permits": 50, "stream": 200}


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, compiled once."""
    return history.build(tmp_path_factory.mktemp("checker"))


async def drive(cluster: Cluster, *, run_s: float, victims: Sequence[str] = ()) -> History:
    """Call a cluster from several clients while members of it are killed in turn."""
    noted = History()
    await clients.define(cluster)
    async with Client(cluster.grpc_address) as client:
        driver = Driver(client, noted, SEED)
        running = [
            *(driver.executions(group, 4) for group in range(3)),
            *(driver.lock(100 + n, CAPACITIES[n % 2]) for n in range(7)),
            *(driver.append(200 + n, 2) for n in range(4)),
        ]
        tasks = [asyncio.create_task(each) for each in running]
        loop = asyncio.get_running_loop()
        end, kills = loop.time() + run_s, 0
        while (left_s := end - loop.time()) > 0:
            await pause(min(left_s, KILL_EVERY_S))
            victim = victims[kills % len(victims)] if victims else ""
            if victim and cluster.member(victim).pid:
                cluster.send(victim)
            kills += 1
        driver.stopped.set()
        await asyncio.gather(*tasks)
    return noted


def outcomes(noted: History, model: str) -> Counter[str]:
    return Counter(f"{each.op} {each.outcome}" for each in noted.of(model))


async def test_histories_under_kills_are_linearizable(checker: Path, tmp_path: Path) -> None:
    """Starts, signals, cancellations, reads, permits and appends, while owners are killed."""
    async with Cluster(tmp_path / "data") as cluster:
        noted = await drive(cluster, run_s=RUN_S, victims=VICTIMS)
    (tmp_path / "history.jsonl").write_text(noted.text())
    verdict = history.check(checker, noted.text())
    for model, least in OPERATIONS_LEAST.items():
        print(model, dict(outcomes(noted, model)))
        assert len(noted.of(model)) >= least
    assert verdict.code == 0, verdict.printed


# Each break takes away the check on which one model relies, in a copy of its package.
BREAKS = {
    "stream": Break(
        "appends with expected versions",
        "An append is stored whatever the version of its stream",
        "services/flowmesh/eventstore/decisions.py",
        "            _check_expected(request, known)\n",
        "",
    ),
    "permits": Break(
        "starts beside others of their key",
        "A start is admitted beside more executions than its policy permits",
        "services/flowmesh/orchestrator/model/concurrency_groups.py",
        "group.size < policy.concurrency:",
        "group.size <= policy.concurrency:",
    ),
    "execution": Break(
        "calls for ended executions",
        "A signal or cancellation of an ended execution is answered as if it had an effect",
        "services/flowmesh/orchestrator/model/verdicts.py",
        "        return _ended(execution_id, status_name(ended.status), command)\n",
        "        return False\n",
    ),
}


@pytest.mark.parametrize("model", BREAKS)
async def test_a_broken_guarantee_is_found(checker: Path, tmp_path: Path, model: str) -> None:
    """A cluster without the check makes a history that no order explains."""
    copied(BREAKS[model], tmp_path / "broken")
    environment = {"PYTHONPATH": str(tmp_path / "broken"), "FLOWMESH_CORE": "pure"}
    async with Cluster(tmp_path / "data", environment=environment) as cluster:
        noted = await drive(cluster, run_s=PLANTED_RUN_S)
    verdict = history.check(checker, "".join(f"{each.line()}\n" for each in noted.of(model)))
    assert verdict.code == 1, verdict.printed
    assert "has no place" in verdict.printed


def line(model: str, op: str, outcome: str, value: str = "", **more: Any) -> Operation:
    """Return an operation whose times `followed` sets."""
    return Operation(model, "k", more.pop("client", 0), op, value, outcome=outcome, **more)


def followed(*operations: Operation) -> str:
    """Return a history in which each call is made after the response to the one before."""
    for number, each in enumerate(operations):
        each.call, each.returned = 2 * number, 2 * number + 1
    return "".join(f"{each.line()}\n" for each in operations)


start, first, second = (
    partial(line, "execution", "start", "ok", "id"),
    partial(line, "execution", "signal", "ok", "a"),
    partial(line, "execution", "signal", "ok", "b"),
)
acquire = partial(line, "permits", "acquire", "ok", capacity=1)
release = partial(line, "permits", "release", "ok", capacity=1)
append = partial(line, "stream", "append", "ok")
read = partial(line, "stream", "read", "ok")

LEGAL = {
    "the first signal is the output": lambda: [
        start(),
        first(),
        second(),
        line("execution", "result", "completed", "a"),
    ],
    "a start without a response": lambda: [line("execution", "start", "unknown"), start()],
    "a signal without a response completes it": lambda: [
        start(),
        line("execution", "signal", "unknown", "a"),
        line("execution", "get", "completed"),
    ],
    "a permit is handed over": lambda: [acquire("x"), release("x"), acquire("y")],
    "two holders of two permits": lambda: [acquire("x", capacity=2), acquire("y", capacity=2)],
    "an append without a response is stored": lambda: [
        line("stream", "append", "unknown", "a"),
        read(seen=["a"]),
    ],
    "an append without a response is not stored": lambda: [
        line("stream", "append", "unknown", "a"),
        read(),
        append("b"),
        read(seen=["b"]),
    ],
}
ILLEGAL = {
    "two ids for one request id": lambda: [start(), line("execution", "start", "ok", "other")],
    "the second signal is the output": lambda: [
        start(), first(), second(), line("execution", "result", "completed", "b"),
    ],
    "an ended execution runs again": lambda: [
        start(), first(),
        line("execution", "get", "completed"), line("execution", "get", "running"),
    ],
    "a canceled execution completes": lambda: [
        start(), line("execution", "cancel", "ok"), first(),
    ],
    "a signal has no effect": lambda: [start(), line("execution", "get", "completed")],
    "two holders of one permit": lambda: [acquire("x"), acquire("y")],
    "a free permit is refused": lambda: [
        acquire("x"), release("x"), line("permits", "acquire", "refused", "y", capacity=1),
    ],
    "a permit is released twice": lambda: [acquire("x"), release("x"), release("x")],
    "an acknowledged event is lost": lambda: [append("a"), read()],
    "an event is stored twice": lambda: [append("a"), read(seen=["a", "a"])],
    "two appends at one version": lambda: [append("a"), append("b")],
    "a conflict without a cause": lambda: [
        append("a"), line("stream", "append", "conflict", "b", expected=1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", [*LEGAL, *ILLEGAL])
def test_the_models_permit_what_the_reference_promises(checker: Path, name: str) -> None:
    """Short histories that are linearizable, and short ones that are not."""
    verdict = history.check(checker, followed(*(LEGAL | ILLEGAL)[name]()))
    assert verdict.code == (0 if name in LEGAL else 1), verdict.printed
    assert ("has no place" in verdict.printed) == (name in ILLEGAL)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "an empty history proves nothing"),
        ("{}\n", "line 1: no model has"),
        (line("stream", "read", "seen").line(), "ends with one of ok"),
        (line("stream", "read", "ok", call=2, returned=1).line(), "returns before it is made"),
        ('{"modell": "stream"}', "unknown field"),
    ],
)
def test_a_wrong_history_is_refused(checker: Path, text: str, problem: str) -> None:
    """The checker reads no operation differently from how it was written."""
    verdict = history.check(checker, text)
    assert verdict.code == 2
    assert problem in verdict.printed
