"""Scenarios: data that is read, made unique per language, and run step by step."""

import asyncio
import itertools
import json
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from flowmesh.contract.json_value import Json
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import done, pause
from sdks.conformance.match import problems
from sdks.conformance.process import Driver, DriverFailed
from sdks.conformance.stub import Stub
from tests.faults.harness.proxy import DOWN, Connection, Proxy

HERE = Path(__file__).parent
UNTIL_S = 30.0
RESTART_S = 40.0
LIST_REPEAT_S = 0.05
HALVED_BYTES_MIN = 10_000
MODIFIERS = frozenset({"expect", "error", "save", "as", "within", "after", "until"})
SAVED = re.compile(r"\$\{(~|\w+)\}")


class ScenarioFailed(AssertionError):
    """A step did not give the expected answer."""


@cache
def scenarios() -> list[Json]:
    """Return the scenarios of both files, in their order."""
    files = ("scenarios.yaml", "badinput.yaml")
    return [each for name in files for each in yaml.safe_load((HERE / name).read_text())]


@cache
def vectors(name: str) -> list[Json]:
    """Return the vectors of a file."""
    found: list[Json] = json.loads((HERE / "vectors" / f"{name}.json").read_text())
    return found


def source_of(workflows: dict[str, Json], prefix: str) -> str:
    """Return the source that declares workflows, with a task for each own type."""
    text = json.dumps(workflows)
    types = sorted(set(re.findall(rf'"taskRef": "({re.escape(prefix)}[\w.-]+)"', text)))
    resources = [_resource("WorkflowTask", name, {"type": name}) for name in types]
    resources += [_resource("Workflow", name, spec) for name, spec in workflows.items()]
    return yaml.safe_dump_all(resources, sort_keys=False)


def _resource(kind: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


@dataclass
class Run:
    """One scenario with one driver."""

    driver: Driver
    cluster: Cluster | None
    stub: Stub | None
    scenario: Json
    prefix: str
    proxy: Proxy | None = None
    # The gateway of another cell.
    other: Stub | None = None
    saved: dict[str, Json] = field(default_factory=dict)
    background: dict[str, asyncio.Task[Json]] = field(default_factory=dict)

    async def all_steps(self) -> None:
        """Run the scenario; raises ScenarioFailed at the first answer that differs."""
        given = {"stub": self.stub, "other": self.other}
        stubs = {name: stub for name, stub in given.items() if stub is not None}
        self.saved |= {name: stub.address for name, stub in stubs.items()}
        for name, stub in stubs.items():
            stub.script(self._filled(self.scenario[name]))
        if self.cluster is not None:
            proxied = self.proxy is not None and self.scenario.get("proxied")
            own = f"127.0.0.1:{self.proxy.port}" if self.proxy else ""
            self.saved["address"] = own if proxied else self.cluster.grpc_address
            self.saved["http"] = self.cluster.http_url.removeprefix("http://")
            for name, member in self.cluster.members().items():
                self.saved[name.replace("-", "_")] = member.grpc
        self.saved["hundred"] = {"items": list(range(100))}
        self.saved["thousand"] = {"items": list(range(1000))}
        address = self.saved["stub" if "stub" in self.scenario else "address"]
        try:
            if self.scenario.get("opened", True):
                await self.driver.ask("open", address=address)
            if workflows := self._filled(self.scenario.get("workflows", {})):
                await self.driver.ask("apply", source=source_of(workflows, self.prefix))
            for number, step in enumerate(self.scenario["steps"], 1):
                await self._step(f"step {number}", step)
        finally:
            for task in self.background.values():
                task.cancel()
            await asyncio.gather(*self.background.values(), return_exceptions=True)
            if self.driver.running:
                with suppress(DriverFailed):
                    await self.driver.ask("reset")

    async def _step(self, place: str, written: Json) -> None:
        verbs = [key for key in written if key not in MODIFIERS]
        assert len(verbs) == 1, f"{place} has {len(verbs)} verbs: {verbs}"
        verb = verbs[0]
        step = {key: self._filled(value) for key, value in written.items()}
        place = f"{place}, {verb}"
        members = step[verb] if isinstance(step[verb], dict) else {"argument": step[verb]}
        if "as" in step:
            asking = self._answer(verb, members)
            self.background[step["as"]] = asyncio.ensure_future(asking)
            return
        began = time.monotonic()
        answer = await self._until(verb, members, step.get("until"))
        took_ms = (time.monotonic() - began) * 1000
        self._compare(place, step, answer, took_ms)

    def _compare(self, place: str, step: Json, answer: Json, took_ms: float) -> None:
        wanted = step.get("error")
        found: list[str] = []
        if wanted is None and "error" in answer:
            found = [f"unexpected error: {json.dumps(answer['error'])[:1500]}"]
        elif wanted is not None and "error" not in answer:
            found = [f"expected the error {wanted}, got {json.dumps(answer)[:400]}"]
        elif wanted is not None:
            found = problems(wanted, answer["error"], "error")
        elif "expect" in step:
            found = problems(step["expect"], answer["value"])
        if took_ms > step.get("within", float("inf")):
            found.append(f"took {took_ms:.0f} ms, more than {step['within']}")
        if took_ms < step.get("after", 0):
            found.append(f"took {took_ms:.0f} ms, less than {step['after']}")
        if found:
            raise ScenarioFailed(f"{place}: " + "; ".join(found[:8]))
        for name, path in step.get("save", {}).items():
            value = answer["value"]
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self.saved[name] = value

    async def _until(self, verb: str, members: Json, pattern: Json) -> Json:
        deadline = time.monotonic() + UNTIL_S
        while True:
            answer = await self._answer(verb, members)
            if pattern is None or "error" in answer:
                return answer
            if not (found := problems(pattern, answer["value"])):
                return answer
            if time.monotonic() > deadline:
                raise ScenarioFailed(f"{verb}: not within {UNTIL_S:g} s: {found}")
            await pause(LIST_REPEAT_S)

    async def _answer(self, verb: str, members: Json) -> Json:
        own: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "join": self._join,
            "fault": self._fault,
            "calls": self._calls,
            "pause": self._pause,
            "retries": self._retries,
            "reasons": self._reasons,
            "rest": self._rest,
            "many": self._many,
        }
        if verb in own:
            found = await own[verb](members)
            return found if verb == "join" else {"value": found}
        try:
            return {"value": await self.driver.ask(verb, **members)}
        except DriverFailed as failed:
            return {"error": failed.error}

    def _filled(self, value: Json) -> Json:
        """Replace prefixes and saved values."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith("~"):
            return self.prefix + value[1:]
        if re.fullmatch(r"\$[a-z]\w*", value) and value[1:] in self.saved:
            return self.saved[value[1:]]
        return SAVED.sub(self._named, value)

    def _named(self, found: re.Match[str]) -> str:
        return self.prefix if found[1] == "~" else str(self.saved[found[1]])

    # --- steps of the runner ---

    async def _join(self, members: Json) -> Json:
        return await self.background.pop(members["argument"])

    async def _pause(self, members: Json) -> None:
        await pause(members["argument"] / 1000)

    async def _calls(self, members: Json) -> Json:
        stub = self.other if "other" in members else self.stub
        assert stub is not None
        return stub.calls(members.get("other", members.get("argument")))

    async def _many(self, members: Json) -> Json:
        """Send one command many times at once; return the values, and the answers of errors."""
        count = members.pop("count")
        (verb,) = members
        answers = await asyncio.gather(*(self._answer(verb, members[verb]) for _ in range(count)))
        return [answer.get("value", answer) for answer in answers]

    async def _rest(self, members: Json) -> Json:
        """Make a request of the gateway's REST, for facts that no SDK shows."""
        assert self.cluster is not None
        answer = await self.cluster.request(
            members["method"],
            members["path"],
            members.get("body"),
            headers=members.get("headers"),
        )
        return {"status": answer.status, "body": answer.json if answer.body else None}

    async def _fault(self, members: Json) -> Json:
        cluster = self.cluster
        assert cluster is not None
        if names := members.get("kill"):
            pids = {name: cluster.send(name) for name in names}

            def replaced() -> bool:
                current = cluster.members()
                return all(current[name].pid not in (0, pid) for name, pid in pids.items())

            await done(f"restart of {names}", replaced, within_s=RESTART_S)
        for _ in range(members.get("cuts", 0)):
            assert self.proxy is not None
            await pause(members["everyMs"] / 1000)
            self.proxy.cut()
        if members.get("halves"):
            await self._halve(members["halves"])
        if names := members.get("freeze"):
            for name in names:
                cluster.send(name, signal.SIGSTOP)
            try:
                await pause(members["ms"] / 1000)
            finally:
                for name in names:
                    cluster.send(name, signal.SIGCONT)
        return None

    async def _halve(self, times: int) -> None:
        """Pass half of a large read to the client and reset its connection, so many times."""
        left, over = itertools.count(times - 1, -1), asyncio.Event()

        async def half(connection: Connection, direction: str, frame: bytes) -> bool:
            if direction != DOWN or len(frame) < HALVED_BYTES_MIN or over.is_set():
                return True
            if next(left) == 0:
                over.set()
            connection.client.write(frame[: len(frame) // 2])
            connection.cut()
            return False

        assert self.proxy is not None
        self.proxy.rules.append(half)
        try:
            async with asyncio.timeout(UNTIL_S):
                await over.wait()
        finally:
            self.proxy.rules.remove(half)

    async def _retries(self, members: Json) -> None:
        """Play the vectors of these names: the answers of a server, and the tries they cause."""
        assert self.stub is not None
        names = members["argument"]
        chosen = [vector for vector in vectors("retries") if vector["name"] in names]
        assert len(chosen) == len(names), f"unknown vectors in {names}"
        for vector in chosen:
            self.stub.script({"StartExecution": vector["answers"]})
            asked = {"workflow": "any", "input": {}, **vector.get("start", {})}
            verb = vector.get("verb", "start")
            answer = await self._answer(verb, asked)
            outcome = answer["error"]["kind"] if "error" in answer else "ok"
            calls = self.stub.calls("StartExecution")
            at = [call["atMs"] for call in calls]
            gaps = [later - before for before, later in itertools.pairwise(at)]
            found = problems(vector["tries"], len(calls), "tries")
            found += problems(vector["outcome"], outcome, "outcome")
            found += problems({"$same": "requestId"}, calls, "requestId")
            for index, (least, most) in enumerate(vector.get("gapsMs", [])):
                found += problems({"$gte": least, "$lte": most}, gaps[index], f"gap {index + 1}")
            if found:
                raise ScenarioFailed(f"vector {vector['name']}: {found}")

    async def _reasons(self, _members: Json) -> None:
        """Prove that each reason has its kind in the SDK."""
        assert self.stub is not None
        wrong = []
        for row in vectors("reasons"):
            self.stub.script({"StartExecution": [{"code": row["code"], "reason": row["reason"]}]})
            # Only what is unavailable is tried again, until the deadline; a busy machine may reach
            # it within a try, so that the call ends as late.
            for timeout_ms in (1_000, 3_000) if row["kind"] == "Unavailable" else (30_000,):
                answer = await self._answer("run", {"workflow": "any", "timeoutMs": timeout_ms})
                error = answer.get("error", {})
                if error.get("reason") != "DEADLINE_EXCEEDED":
                    break
            if (error.get("kind"), error.get("reason")) != (row["kind"], row["reason"]):
                wrong.append(f"{row['reason']}: {row['kind']}, got {error}")
        if wrong:
            raise ScenarioFailed(f"{len(wrong)} reasons: {wrong[:10]}")
