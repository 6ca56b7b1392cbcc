"""The driver of the Python SDK: reads commands, makes calls, writes answers (see protocol.md)."""

import asyncio
import json
import os
import sys
import threading
import time
from contextlib import AsyncExitStack
from typing import Any

from flowmesh import errors
from flowmesh.contract.json_value import Json
from flowmesh.sdk import (
    Client,
    SealingKeys,
    Service,
    ServiceEndpoint,
    Session,
    TaskCancelled,
    TaskContext,
    TaskFailure,
    Tls,
    Worker,
)
from flowmesh.sdk.values.payloads import encode
from sdks.conformance.values import error_json, events_json, execution_json, expanded, shortened

LINE_BYTES_MAX = 64 * 1024 * 1024
CALLS_SHOWN_MAX = 1_000
PROVIDER_SLOW_S = 0.5
POLL_S = 0.02


# Handlers -------------------------------------------------------------------------------------


class Thrown(BaseException):
    """An exception that is no error, as `panic` raises it."""


class Ledger:
    """The calls of the handlers of one worker, and their behaviors."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self.calls: list[Json] = []
        self.ended = 0
        self.began = 0.0

    def handler(self, behavior: str) -> Any:
        """Return the handler of a behavior, which notes its calls."""
        act = getattr(self, f"_{behavior}")

        async def handle(input: Json, context: TaskContext) -> Json:
            call = {
                "taskType": context.task_type,
                "execution": context.execution_id,
                "node": context.node,
                "attempt": context.attempt,
                "key": context.idempotency_key,
                "state": "running",
            }
            self.began = self.began or time.monotonic()
            self.calls.append(call)
            try:
                output = await act(input, context)
                call["state"] = "ended"
            except (asyncio.CancelledError, TaskCancelled):
                call["state"] = "canceled"
                raise
            except BaseException:
                call["state"] = "ended"
                raise
            finally:
                self.ended += 1
            return output

        return handle

    def summary(self) -> Json:
        states = [call["state"] for call in self.calls]
        return {
            "calls": self.calls if len(states) <= CALLS_SHOWN_MAX else [],
            "count": len(states),
            "distinct": len({(c["execution"], c["node"], c["attempt"]) for c in self.calls}),
            **{state: states.count(state) for state in ("running", "canceled", "ended")},
        }

    async def _echo(self, input: Json, context: TaskContext) -> Json:
        return input

    async def _nothing(self, input: Json, context: TaskContext) -> None:
        return None

    async def _context(self, input: Json, context: TaskContext) -> Json:
        return {
            "attempt": context.attempt,
            "key": context.idempotency_key,
            "execution": context.execution_id,
            "workflow": context.workflow_id,
            "namespace": context.namespace,
            "node": context.node,
            "taskType": context.task_type,
            "traceparent": context.traceparent,
            "timeoutMs": context.timeout_ms,
        }

    async def _fail(self, input: Json, context: TaskContext) -> Json:
        retry_ms, details = input.get("retryAfterMs", 0), input.get("details")
        raise TaskFailure(input["class"], input.get("message", ""), retry_ms, details)

    async def _final(self, input: Json, context: TaskContext) -> Json:
        raise TaskFailure("NonRetryable", input["message"])

    async def _error(self, input: Json, context: TaskContext) -> Json:
        raise RuntimeError(input["message"])

    async def _panic(self, input: Json, context: TaskContext) -> Json:
        raise Thrown("panic on purpose")

    async def _flaky(self, input: Json, context: TaskContext) -> Json:
        if context.attempt < input["attempts"]:
            raise TaskFailure(input["class"], f"attempt {context.attempt}")
        return {"attempt": context.attempt, "key": context.idempotency_key}

    async def _sleep(self, input: Json, context: TaskContext) -> Json:
        await asyncio.sleep(input["ms"] / 1000)
        return {"ms": input["ms"]}

    async def _stubborn(self, input: Json, context: TaskContext) -> Json:
        until = time.monotonic() + input["ms"] / 1000
        while (left_s := until - time.monotonic()) > 0:
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError:
                self.calls[-1]["state"] = "canceled"
        return {"ms": input["ms"]}

    async def _beat(self, input: Json, context: TaskContext) -> Json:
        for n in range(1, input["count"] + 1):
            try:
                context.heartbeat("x" * input["bytes"] if "bytes" in input else {"n": n})
            except (ValueError, errors.FlowmeshError) as error:
                raise TaskFailure("Refused", str(error)) from error
            await asyncio.sleep(input.get("everyMs", 0) / 1000)
        return {"beats": input["count"]}

    async def _big(self, input: Json, context: TaskContext) -> Json:
        return "x" * input["bytes"]

    async def _unencodable(self, input: Json, context: TaskContext) -> Json:
        if isinstance(input, dict) and input.get("nested"):
            return {"sums": [1, float("-inf")]}
        return float("nan")

    async def _call(self, input: Json, context: TaskContext) -> Json:
        output = await self._client.run(input["workflow"], input.get("input"))
        return {"traceparent": context.traceparent, "output": output}

    async def _close(self, input: Json, context: TaskContext) -> None:
        await self._client.close()

    async def _exit(self, input: Json, context: TaskContext) -> None:
        os._exit(3)


# Verbs ----------------------------------------------------------------------------------------


class Driver:
    """The named objects of the driver, and one method per verb that takes its members."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.workers: dict[str, tuple[Worker, Ledger]] = {}
        self.sessions: dict[str, Session] = {}
        self.services: dict[str, AsyncExitStack] = {}

    def client(self, c: Json) -> Client:
        return self.clients[c.get("client", "main")]

    async def hello(self, c: Json) -> Json:
        return {"language": "python", "features": []}

    async def open(self, c: Json) -> Json:
        async def provided() -> str:
            if c["provider"] == "throws":
                raise RuntimeError("no token today")
            await asyncio.sleep(PROVIDER_SLOW_S if c["provider"] == "slow" else 0)
            return "a\r\nb" if c["provider"] == "crlf" else str(c["token"])

        tls = Tls(c["ca"], c.get("certificate", ""), c.get("key", "")) if "ca" in c else None
        token = provided if "provider" in c else c.get("token")
        key, space = c.get("apiKey", ""), c.get("namespace", "")
        keys = SealingKeys.read(c["sealing"], c.get("only", ())) if "sealing" in c else None
        made = Client(c["address"], space, api_key=key, token=token, tls=tls, codec=keys)
        try:
            await made.ready(c.get("timeoutMs", 5_000) / 1000)
        except BaseException:
            await made.close()
            raise
        self.clients[c.get("client", "main")] = made
        return {}

    async def close(self, c: Json) -> Json:
        if "worker" in c:
            await self.workers[c["worker"]][0].stop()
        elif "session" in c:
            await self.sessions[c["session"]].close()
        else:
            await self.client(c).close()
        return {}

    async def drain(self, c: Json) -> Json:
        await self.workers[c.get("worker", "main")][0].stop()
        return {}

    async def reset(self, c: Json) -> Json:
        for stack in self.services.values():
            await stack.aclose()
        for worker, _ in self.workers.values():
            await worker.stop()
        for session in self.sessions.values():
            await session.close(flush=False)
        for client in self.clients.values():
            await client.close()
        self.__init__()  # type: ignore[misc]
        return {}

    async def leaks(self, c: Json) -> Json:
        # The reader of commands and this command run.
        return {"open": len(asyncio.all_tasks()) - 2}

    async def apply(self, c: Json) -> Json:
        applied = await self.client(c).apply(c["source"])
        keys = ("kind", "name", "version", "created")
        return {"resources": [{k: getattr(r, k) for k in keys} for r in applied.resources]}

    async def start(self, c: Json) -> Json:
        handle = await self.client(c).start(
            c["workflow"],
            expanded(c.get("input")),
            request_id=c.get("requestId", ""),
            version=c.get("version", 0),
            wait=c.get("waitMs", 0) / 1000,
            labels=c.get("labels"),
        )
        return {"id": handle.id, "created": handle.created}

    async def run(self, c: Json) -> Json:
        output = await self.client(c).run(
            c["workflow"],
            expanded(c.get("input")),
            request_id=c.get("requestId", ""),
            timeout=c.get("timeoutMs", 30_000) / 1000,
        )
        return {"output": output}

    async def wait(self, c: Json) -> Json:
        handle = self.client(c).handle(c["execution"])
        return {"output": await handle.result(c.get("timeoutMs", 30_000) / 1000)}

    async def describe(self, c: Json) -> Json:
        return execution_json(await self.client(c).handle(c["execution"]).describe())

    async def outputs(self, c: Json) -> Json:
        return {"outputs": await self.client(c).handle(c["execution"]).outputs()}

    async def events(self, c: Json) -> Json:
        handle = self.client(c).handle(c["execution"])
        events = handle.events(after=c.get("after", 0), types=c.get("types", ()))
        return await events_json(events, c.get("delayMs", 0))

    async def history(self, c: Json) -> Json:
        return await events_json(self.client(c).history(c["execution"], after=c.get("after", 0)))

    async def list(self, c: Json) -> Json:
        found = self.client(c).list_executions(
            workflow_id=c.get("workflow", ""),
            statuses=c.get("statuses", ()),
            page_size=c.get("pageSize", 100),
            filter=c.get("filter", ""),
        )
        return {"ids": [execution.id async for execution in found]}

    async def signal(self, c: Json) -> Json:
        handle, payload = self.client(c).handle(c["execution"]), expanded(c.get("payload"))
        sent = await handle.signal(c["name"], payload, request_id=c.get("requestId", ""))
        return {"sequence": sent}

    async def control(self, c: Json) -> Json:
        handle = self.client(c).handle(c["execution"])
        await getattr(handle, c["action"])(c.get("reason", ""))
        return {}

    async def put(self, c: Json) -> Json:
        payload = await self.client(c).payloads.put(encode(expanded(c["value"])))
        return {"digest": payload.reference.digest, "size": payload.reference.size_bytes}

    async def get(self, c: Json) -> Json:
        return {"value": await self.client(c).payloads.fetch(c["digest"])}

    async def abandon(self, c: Json) -> Json:
        payloads = self.client(c).payloads
        digest, value = c.get("digest"), c.get("value")
        work = payloads.fetch(digest) if digest else payloads.put(encode(expanded(value)))
        try:
            async with asyncio.timeout(c["afterMs"] / 1000):
                await work
        except TimeoutError:
            return {"left": True}
        return {"left": False}

    async def serve(self, c: Json) -> Json:
        client = self.client(c)
        ledger = Ledger(client)
        worker = Worker(
            client,
            {task_type: ledger.handler(name) for task_type, name in c["tasks"].items()},
            slots=c.get("slots", 100),
            queues=c.get("queues", ()),
            labels=c.get("labels"),
            worker_id=c.get("workerId", ""),
            drain_s=c.get("drainMs", 10_000) / 1000,
        )
        await worker.start()
        self.workers[c.get("worker", "main")] = worker, ledger
        return {}

    async def ledger(self, c: Json) -> Json:
        return self.workers[c.get("worker", "main")][1].summary()

    async def session(self, c: Json) -> Json:
        session = self.client(c).session()
        self.sessions[c.get("session", "main")] = await session.__aenter__()
        return {}

    async def submit(self, c: Json) -> Json:
        session, results = self.sessions[c.get("session", "main")], c.get("results", True)
        inputs = c.get("inputs") or [{"n": n} for n in range(c.get("count", 0))]
        ids = c.get("requestIds") or [""] * len(inputs)

        async def one(input: Json, request_id: str) -> tuple[Json, Json, Json]:
            execution = None
            try:
                call = await session.start(
                    c["workflow"], expanded(input), request_id=request_id, want_result=results
                )
                execution = call.execution_id
                return execution, await call.result() if results else None, None
            except Exception as error:  # noqa: BLE001 - each start has an outcome of its own
                return execution, None, error_json(error)

        rows = await asyncio.gather(*map(one, inputs, ids))
        return dict(
            zip(("ids", "outputs", "errors"), map(list, zip(*rows, strict=True)), strict=True)
        )

    async def service(self, c: Json) -> Json:
        registry, action, name = self.client(c).registry, c["action"], c["name"]
        if action == "register":
            endpoint = ServiceEndpoint.parse(c["endpoint"])
            service = Service(name, "API", endpoint, c.get("capabilities", ()))
            stack = self.services[name + c["endpoint"]] = AsyncExitStack()
            await stack.enter_async_context(registry.registered(service))
            return {}
        if action == "deregister":
            await self.services.pop(name + c["endpoint"]).aclose()
            return {}
        chosen = {"name": name, "capability": c.get("capability", ""), "statuses": ["HEALTHY"]}
        while True:
            found = sorted([each.endpoint async for each in registry.list(**chosen)])
            if action != "watch" or len(found) == c["count"]:
                break
            await asyncio.sleep(POLL_S)
        turns = [found[n % len(found)] for n in range(c.get("picks", 0))]
        return {"endpoints": {e: turns.count(e) for e in found} if turns else found}

    async def bench(self, c: Json) -> Json:
        client, count, workflow = self.client(c), c["count"], c.get("workflow", "")
        cpu_s, began, took = time.process_time(), time.monotonic(), []
        if c["kind"] == "latency":
            for n in range(count):
                at = time.monotonic()
                await client.run(workflow, {"n": n})
                took.append((time.monotonic() - at) * 1000)
            took.sort()
            return {"p50Ms": took[count // 2], "p99Ms": took[count * 99 // 100]}
        if c["kind"] == "starts":
            async with client.session() as session:
                calls = [await session._send(workflow, {"n": n}, "", 0, True) for n in range(count)]
                await asyncio.gather(*(call.result() for call in calls))
        else:
            ledger = self.workers[c.get("worker", "main")][1]
            while ledger.ended < count:  # noqa: ASYNC110 - handlers end on this loop
                await asyncio.sleep(POLL_S)
            began = ledger.began
        took_s = time.monotonic() - began
        return {"perSecond": count / took_s, "cpuSeconds": time.process_time() - cpu_s}


async def answered(driver: Driver, command: Json) -> Json:
    try:
        value = await getattr(driver, command["verb"])(command)
    except BaseException as error:  # noqa: BLE001 - every error is an answer
        return {"id": command["id"], "error": error_json(error)}
    return {"id": command["id"], "value": shortened(value)}


async def main() -> None:
    driver, running = Driver(), set()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)

    async def serve(line: bytes) -> None:
        answer = await answered(driver, json.loads(line))
        print(json.dumps(answer, ensure_ascii=False), flush=True)

    async for line in reader:
        task = asyncio.create_task(serve(line))
        running.add(task)
        task.add_done_callback(running.discard)
    for task in running:
        task.cancel()
    await driver.reset({})


if __name__ == "__main__":
    asyncio.run(main())
