"""Agents of a running suite: real processes that take tasks."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import pause, until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew, alive, kill, tasks

OWN_USER = """#!/bin/sh
grep -E "^(Uid|Groups|NoNewPrivs|CapEff)" /proc/self/status
stat -c "folder %a %u" .
ls "$1" || echo "other refused"
kill -0 $PPID || echo "supervisor refused"
echo kept > "$HOME/kept" && cat ./kept
echo END
"""


@pytest.mark.long
@pytest.mark.feature("S4-14", "S4-18", "S4-20", "S4-24")
async def test_agents_work_and_are_replaced(suite: Suite, crew: Crew) -> None:
    """Two agents take the tasks of a workflow; one that is killed is replaced."""
    assert (await crew.apply("packers", replicas=2)).status == 201
    first = await crew.ready(2)
    async with Client(suite.grpc_address, crew.namespace) as client:
        handles = await tasks(client, 6, 0.3)
        by = {(await each.result())["by"] for each in handles}
        assert by == {each["agentId"] for each in first}
    kill(first[0]["pid"])
    await until("the agent is gone", lambda: _gone(crew, first[0]["agentId"]), within_s=PATIENCE_S)
    second = await crew.ready(2)
    assert len({each["agentId"] for each in second} & {each["agentId"] for each in first}) == 1
    failed = await crew.agents("failed", ended=True)
    assert [each["reason"] for each in failed] == ["ended with signal 9"]
    spawned = (await crew.call("POST", "agents", {"spec": "packers"})).json["agents"]
    assert spawned[0]["agentId"] in {each["agentId"] for each in await crew.ready(3)}
    await crew.call("POST", f"agents/{spawned[0]['agentId']}:stop")
    left = await crew.ready(2)
    assert spawned[0]["agentId"] not in {each["agentId"] for each in left}
    assert (await crew.spec("packers"))["spec"]["replicas"] == 2
    metrics = (await suite.request("GET", "/metrics")).text
    assert "\ntotal_agents 2.0" in metrics


@pytest.mark.feature("S4-73")
async def test_the_metric_counts_the_agents(suite: Suite, crew: Crew) -> None:
    """`total_agents` is the number of agents of all namespaces."""
    await crew.apply("sleepers", command=["sleep", "600"], health="process", replicas=3)
    await crew.ready(3)

    async def counted() -> bool:
        return "\ntotal_agents 3.0" in (await suite.request("GET", "/metrics")).text

    await until("the metric has the count", counted, within_s=PATIENCE_S)


@pytest.mark.long
@pytest.mark.feature("S4-74")
async def test_the_metric_counts_the_running_workflows(suite: Suite, crew: Crew) -> None:
    """`active_workflows` rises with those that wait for an agent, and falls once it has run."""

    async def counted() -> float:
        metrics = (await suite.request("GET", "/metrics")).text
        return float(re.findall(r"^active_workflows (\S+)", metrics, re.MULTILINE)[0])

    async with Client(suite.grpc_address, crew.namespace) as client:
        before = await counted()
        handles = await tasks(client, 5, 0.1)

        async def risen() -> bool:
            return await counted() == before + 5

        await until("the running ones are counted", risen, within_s=PATIENCE_S)
        await crew.apply("packers", replicas=1)
        for each in handles:
            await each.result()

        async def fallen() -> bool:
            return await counted() == before

        await until("the ended ones are not", fallen, within_s=PATIENCE_S)


@pytest.mark.long
async def test_a_silent_agent_is_replaced(crew: Crew) -> None:
    """An agent that is stopped by a signal misses its heartbeats, and another one replaces it."""
    await crew.apply("packers", replicas=1)
    (first,) = await crew.ready(1)
    kill(first["pid"], signal.SIGSTOP)
    await until("the agent is gone", lambda: _gone(crew, first["agentId"]), within_s=PATIENCE_S)
    await crew.ready(1)
    assert not alive(first["pid"])
    (failed,) = await crew.agents("failed", ended=True)
    assert failed["reason"].startswith("HEARTBEAT_LOST")


@pytest.mark.long
async def test_a_crash_loop_is_told_with_its_last_words(crew: Crew) -> None:
    """The spec names the exit code and the last line; the diagnosis names the cause."""
    await crew.apply("broken", files={"worker.py": "raise SystemExit('no such thing')"}, replicas=1)

    async def looping() -> bool:
        found = (await crew.spec("broken")).get("problem", "")
        return bool(re.fullmatch(r"CRASH_LOOP.*exit code 1: no such thing", found, re.DOTALL))

    await until("the crash loop is told", looping, within_s=PATIENCE_S)
    (finding,) = (await crew.call("GET", "agent-findings?spec=broken")).json["findings"]
    assert (finding["spec"], finding["cause"]) == ("broken", "CRASH_LOOP")


@pytest.mark.long
async def test_a_broken_version_goes_back(crew: Crew) -> None:
    """The agents of the version before stay; the new one is left after three failed starts."""
    await crew.apply("packers", replicas=2)
    before = {each["agentId"] for each in await crew.ready(2)}
    await until("all agents have the version", lambda: _stable(crew, 1), within_s=PATIENCE_S)
    broken = await crew.apply("packers", replicas=2, files={"worker.py": "1/0"})
    assert (broken.status, broken.json["version"]) == (201, 2)

    async def back() -> bool:
        found = await crew.spec("packers")
        return found["version"] == 1 and "ZeroDivisionError" in found.get("problem", "")

    await until("the version goes back", back, within_s=PATIENCE_S)
    assert {each["agentId"] for each in await crew.ready(2)} == before
    good = await crew.apply("packers", replicas=2, environment={"COLOR": "blue"})
    assert good.json["version"] == 3
    await until("all agents have the version", lambda: _stable(crew, 3), within_s=PATIENCE_S)
    assert {each["version"] for each in await crew.ready(2)} == {3}


@pytest.mark.long
@pytest.mark.feature("S4-19", "S4-57")
async def test_limits_hold(crew: Crew) -> None:
    """An agent above its memory, its processes or its folder is killed; its processor is shared."""
    hungry = {
        "memory": "x = []\nwhile True: x.append(bytearray(4 << 20)); x[-1][::4096] = b'1' * 1024",
        "pids": "import subprocess, signal\n[subprocess.Popen(['sleep', '60']) for _ in range(8)]\n"
        "signal.pause()",
        "disk": "import signal\nopen('a', 'wb').write(bytes(3 << 19))\n"
        "open('b', 'wb').write(bytes(3 << 19))\nsignal.pause()",
    }
    bounds = {
        "memory": {"memoryBytes": 200 << 20},
        "pids": {"pids": 4},
        "disk": {"diskBytes": 2 << 20},
    }
    for name, text in hungry.items():
        await crew.apply(
            name, files={"worker.py": text}, limits=bounds[name], health="process", replicas=1
        )
    await crew.apply(
        "busy",
        files={"worker.py": "while True: pass"},
        limits={"cpu": 0.25, "files": 64},
        health="process",
        replicas=1,
    )
    for name in hungry:

        async def killed(name: str = name) -> bool:
            found = await crew.agents("failed", ended=True)
            reasons = [each["reason"] for each in found if each["spec"] == name]
            return any(each.startswith(f"LIMIT_{name.upper()}") for each in reasons)

        await until("the limit kills an agent", killed, within_s=PATIENCE_S)
        await crew.call("DELETE", f"agent-specs/{name}?stopAgents=true")
    await pause(4)
    (busy,) = [each for each in await crew.agents("ready") if each["spec"] == "busy"]
    assert 0.15 < busy["cpu"] < 0.32
    assert busy["enforcement"] == {"cpu": "supervisor", "files": "kernel"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"command": []}, "command"),
        ({"command": ["no-such-program"]}, "command"),
        ({"limits": {"cpu": -1}}, "cpu"),
        ({"limits": {"memoryBytes": 5}}, "memory"),
        ({"replicas": -1}, "replicas"),
        ({"replicas": 501}, "replicas"),
        ({"environment": {"FLOWMESH_POSTGRES": "x"}}, "environment"),
        ({"files": {"../x": ""}}, "files"),
        ({"queues": ["a b"]}, "queues"),
        ({"isolation": "jail"}, "isolation"),
    ],
    ids=str,
)
async def test_bad_specs_are_refused(crew: Crew, body: dict[str, object], field: str) -> None:
    """The message names the field, and nothing is stored."""
    answer = await crew.apply("bad", **body)
    assert answer.status == 400, answer.text
    assert field in answer.json["error"]["message"]
    assert (await crew.call("GET", "agent-specs/bad")).status == 404


async def test_wrong_changes_are_refused(crew: Crew) -> None:
    """Bounds of policies, a second policy of a spec, counts that a policy decides, quotas."""
    sleeping = {"command": ["sleep", "600"], "health": "process"}
    for spec in ("one", "two"):
        await crew.apply(spec, replicas=1, **sleeping)
    await crew.ready(2)

    async def put(policy: str, **body: object) -> tuple[int, str]:
        given = {"strategy": "workload_based", "max": 3, **body}
        answer = await crew.call("PUT", f"scaling-policies/{policy}", given)
        return answer.status, answer.json.get("error", {}).get("reason", "")

    invalid = (400, "SCALING_POLICY_INVALID")
    assert await put("p", spec="one", min=4) == invalid
    assert await put("p", spec="none") == (404, "AGENT_SPEC_NOT_FOUND")
    assert await put("p", spec="one", min=1) == (200, "")
    assert await put("p", spec="two") == invalid
    assert await put("q", spec="one") == invalid
    scaled = await crew.call("POST", "agent-specs/one:scale", {"replicas": 2})
    assert scaled.json["error"]["reason"] == "AGENTS_SCALED_BY_POLICY"
    running = await crew.call("DELETE", "agent-specs/two")
    assert (running.status, running.json["error"]["reason"]) == (409, "AGENTS_RUNNING")
    assert (await crew.call("PUT", "agent-quota", {"agents": 3})).status == 200
    over = await crew.call("POST", "agent-specs/two:scale", {"replicas": 3})
    assert (over.status, over.json["error"]["reason"]) == (429, "AGENT_QUOTA_EXCEEDED")
    assert (await crew.call("POST", "agents/agent-0:stop")).status == 404
    await crew.call("PUT", "agent-quota", {"agents": 0})


async def _gone(crew: Crew, agent_id: str) -> bool:
    return agent_id not in {each["agentId"] for each in await crew.agents()}


async def _stable(crew: Crew, version: int) -> bool:
    return bool((await crew.spec("packers"))["stableVersion"] == version)


async def test_an_agent_has_a_user_of_its_own(suite: Suite, crew: Crew) -> None:
    """No privileges, no folder of another agent, no signal to its supervisor."""
    assert os.geteuid() == 0, "needs root"
    sleeping = {"command": ["sleep", "600"], "health": "process", "isolation": "user"}
    assert (await crew.apply("sleepers", replicas=1, **sleeping)).status == 201
    (other,) = await crew.ready(1)
    folder = suite.data_dir.absolute() / "agents" / other["agentId"]
    await crew.apply(
        "curious",
        command=["curious.sh", str(folder)],
        files={"curious.sh": OWN_USER},
        health="process",
        isolation="user",
        replicas=1,
    )
    words = await _last_words(crew, "curious")
    uid = words.split("Uid:")[1].split()[0]
    assert int(uid) >= 1000
    assert words.split("Uid:")[1].split()[:4] == [uid] * 4
    assert f"folder 700 {uid}" in words
    assert re.search(r"Groups:\s*\n", words)
    assert re.search(r"CapEff:\s0+\nNoNewPrivs:\s1", words)
    for each in ("other refused", "supervisor refused", "kept"):
        assert f"{each}\n" in words
    closed = await asyncio.to_thread(_closed)
    answer = await crew.apply("python", isolation="user")
    assert (answer.status == 409) == closed, answer.text
    if closed:
        assert answer.json["error"]["reason"] == "AGENT_ISOLATION_UNAVAILABLE"


def _closed() -> bool:
    """Return whether other users cannot reach the interpreter."""
    return any(not each.stat().st_mode & 1 for each in Path(sys.executable).resolve().parents)


async def _last_words(crew: Crew, spec: str) -> str:
    """Return what an agent wrote, once it has ended."""
    told: list[str] = []

    async def reported() -> bool:
        found = await crew.agents(ended=True)
        told[:] = [each.get("lastWords", "") for each in found if each["spec"] == spec]
        return any("END" in each for each in told)

    await until("the agent reports", reported, within_s=PATIENCE_S)
    return next(each for each in told if "END" in each)
