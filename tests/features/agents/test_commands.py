"""Commands as workers: a shell script, a binary, and what goes wrong with them."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, ExecutionFailed, Retry, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew, alive
from tests.features.commands import command

SCRIPT = Path("examples/workers/commands/size.sh")
TEXT = SCRIPT.read_text()
PYTHON = """
import json, os, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if "task" in message:
        wanted = message["task"]["input"]["do"]
        attempt = message["task"]["attempt"]
        if wanted == "crash" and attempt == 1:
            print("no more memory", file=sys.stderr, flush=True)
            os.abort()
        if wanted == "noise":
            print("hello")
        if wanted == "long":
            print("x" * (9 << 20))
        if wanted == "wait":
            open(message["task"]["input"]["path"], "w").write(str(os.getpid()))
            print(json.dumps({"progress": os.getpid()}), flush=True)
            continue
        print(json.dumps({"result": [os.getpid(), attempt]}), flush=True)
    elif sys.argv[1] == "polite":
        print(json.dumps({"failure": {"message": "canceled"}}), flush=True)
"""


@asynccontextmanager
async def worker(suite: Suite, namespace: str, *run: str, slots: int = 1) -> AsyncIterator[Client]:
    """A running `worker exec`; the workflow `run` hands its input to the command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowmesh.suite", "worker", "exec"),
        *("--address", suite.grpc_address, "--namespace", namespace),
        *("--task", "work", "--slots", str(slots), "--", *run),
        stderr=asyncio.subprocess.DEVNULL,
    )
    flow = Workflow("run")
    flow.task("work", "work", retry=Retry(attempts=2, initial="50ms"))
    try:
        async with Client(suite.grpc_address, namespace) as client:
            await client.register(flow)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def result(client: Client, **given: Json) -> Any:
    """Return the output of the task."""
    return await (await client.start("run", given)).result(PATIENCE_S)


async def failure(client: Client, **given: Json) -> str:
    with pytest.raises(ExecutionFailed) as caught:
        await result(client, **given)
    return str(caught.value)


@pytest.mark.long
async def test_a_shell_script_is_a_worker(suite: Suite, crew: Crew, tmp_path: Path) -> None:
    """Its result, its failure with class, and its standard error as the log of the task."""
    async with worker(suite, crew.namespace, "sh", str(SCRIPT)) as client:
        handle = await client.start("run", {"folder": str(tmp_path)})
        assert await handle.result(PATIENCE_S) == {"kilobytes": 4}
        assert "NotFound in work: no folder /none" in await failure(client, folder="/none")
    logs = await command(suite, "logs", handle.id, "--namespace", crew.namespace)
    assert f"measuring {tmp_path}" in logs.out


@pytest.mark.long
async def test_a_binary_is_a_worker(suite: Suite, crew: Crew) -> None:
    """A filter of lines, also one that ends after each task."""
    edit = 's/.*"input":\\({[^}]*}\\).*/{"result": \\1}/'
    for run in (("sed", "-u", edit), ("sed", "-u", "-e", edit, "-e", "q")):
        async with worker(suite, crew.namespace, *run) as client:
            for number in range(3):
                assert await result(client, n=number) == {"n": number}


@pytest.mark.long
async def test_a_crash_fails_one_attempt(suite: Suite, crew: Crew) -> None:
    """The second attempt has a new process; the last words are in the failure."""
    async with worker(suite, crew.namespace, sys.executable, "-c", PYTHON, "polite") as client:
        first = await result(client, do="fine")
        assert await result(client, do="fine") == first, "a process is kept"
        handle = await client.start("run", {"do": "crash"})
        assert (await handle.result(PATIENCE_S))[1] == 2
        history = [each async for each in handle.events()]
        assert "it ended with signal 6 before a result: no more memory" in repr(history)
        assert "'hello', which is no result" in await failure(client, do="noise")
        assert "a line of more than 8 MiB" in await failure(client, do="long")
        assert (await result(client, do="fine")) != first


@pytest.mark.long
@pytest.mark.parametrize("manners", ["polite", "rude"])
async def test_a_canceled_task_leaves_its_process(
    suite: Suite, crew: Crew, tmp_path: Path, manners: str
) -> None:
    """A process that ends its task is kept; one that does not is killed."""
    async with worker(suite, crew.namespace, sys.executable, "-c", PYTHON, manners) as client:
        path = tmp_path / "pid"
        handle = await client.start("run", {"do": "wait", "path": str(path)})
        await until("the command works", lambda: _has(path), within_s=PATIENCE_S)
        pid = int(path.read_text())
        await handle.cancel()
        next_pid = (await result(client, do="fine"))[0]
        assert (next_pid == pid) == (manners == "polite")
        await until("one is left", lambda: _is(pid, manners == "polite"), within_s=PATIENCE_S)
    assert not alive(next_pid)


async def test_an_agent_is_a_command(suite: Suite, crew: Crew) -> None:
    """The fleet runs `worker exec` as an agent, which attends and takes its queue."""
    run = ["python", "-m", "flowmesh.suite", "worker", "exec", "--task", "work", "--"]
    await crew.apply(
        "scripts",
        command=[*run, "sh", "size.sh"],
        files={"size.sh": TEXT},
        queues=["sizes"],
        replicas=1,
    )
    await crew.ready(1)
    async with Client(suite.grpc_address, crew.namespace) as client:
        flow = Workflow("run")
        flow.task("work", "work", queue="sizes")
        await client.register(flow)
        assert await result(client, folder="/dev")


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--task", "work"), "name the command after --"),
        (("--", "cat"), "name the tasks by --task TYPE"),
        (("--task", "work", "--slots", "0x", "--", "cat"), "slots"),
        (("--task", "work", "--slots", "-1", "--", "cat"), "slots must be 1 to 10000"),
        (("--task", "a b", "--", "cat"), "a b"),
    ],
    ids=str,
)
async def test_wrong_commands_are_refused(suite: Suite, words: tuple[str, ...], text: str) -> None:
    """By usage, or by the suite."""
    reach = ("--address", suite.grpc_address)
    found = await command(suite, "worker", "exec", *reach, *words, addressed=False)
    assert found.code
    assert text in found.err


async def _has(path: Path) -> bool:
    return await asyncio.to_thread(lambda: path.exists() and bool(path.read_text()))


async def _is(pid: int, wanted: bool) -> bool:
    return alive(pid) == wanted
