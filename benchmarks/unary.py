"""Workloads by unary calls (a start that waits for its result), of the suite and its roofline."""

import asyncio
import json
import os
from functools import partial
from itertools import cycle

import grpc
import grpc.aio

from benchmarks.answering import Handlers
from benchmarks.load import (
    Metrics,
    closed_loop,
    latencies,
    median,
    one_by_one,
    open_loop,
    percentile,
    throughput,
    warm_seconds,
)
from benchmarks.workloads import CHAIN, FAN_OUT_ONCE, IN_FLIGHT, OPEN_LOOP_PER_S, PAYLOAD
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.sdk.values.ids import new_request_id

WAIT_MS = 170_000
WARM_COUNT = 500
WARM_W2 = 100
WAITING_ONE_IN = 10
REFUSED_RETRY_S = 0.1
"""The retry delay of a refused start. Its latency counts from the first attempt."""
COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
MESSAGE_BYTES_MAX = 64 << 20
CONNECTIONS = 3
"""The suite accepts 100 concurrent calls on each."""
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
]


class UnaryLoad:
    """The workloads of a plain gRPC client."""

    def __init__(self, address: str) -> None:
        self._channels = [
            grpc.aio.insecure_channel(address, options=OPTIONS) for _ in range(CONNECTIONS)
        ]
        self.channel = self._channels[0]
        self._stubs = cycle([pb_grpc.ExecutionServiceStub(each) for each in self._channels])
        self._refused = 0
        # The credential of a closed installation.
        key = os.environ.get("FLOWMESH_API_KEY")
        self.metadata = (("authorization", f"Bearer {key}"),) if key else None
        self.payload = payload_pb2.Payload(data=json.dumps(PAYLOAD).encode())

    def input_of(self, workflow_id: str) -> payload_pb2.Payload:
        """Return the input of the executions of a workflow."""
        del workflow_id
        return self.payload

    async def start(self, workflow_id: str, wait_ms: int = 0) -> pb.StartExecutionResponse:
        request = pb.StartExecutionRequest(
            workflow_id=workflow_id,
            input=self.input_of(workflow_id),
            request_id=new_request_id(),
            wait_ms=wait_ms,
            without_nodes=True,
        )
        stub = next(self._stubs)
        while True:
            try:
                response: pb.StartExecutionResponse = await stub.StartExecution(
                    request, metadata=self.metadata
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                self._refused += 1
                await asyncio.sleep(REFUSED_RETRY_S)
            else:
                return response

    def _refusals(self) -> Metrics:
        """Return and reset the number of refused starts, each of which was retried."""
        refused, self._refused = self._refused, 0
        return {"refused": refused}

    async def run(self, workflow_id: str) -> str:
        """Start an execution, wait for its completion and return its id."""
        response = await self.start(workflow_id, WAIT_MS)
        if response.execution.status != COMPLETED:
            raise AssertionError(f"{workflow_id} ended as {response.execution}")
        return response.execution_id

    async def warm(self, workload: str) -> None:
        del workload
        await throughput(lambda: self.run("chain-3"), WARM_COUNT, IN_FLIGHT)

    async def w1(self, count: int) -> Metrics:
        self._refusals()
        done = await throughput(lambda: self.run("chain-3"), count, IN_FLIGHT)
        return {**done, **self._refusals()}

    async def w2(self, count: int) -> Metrics:
        await one_by_one(lambda: self.run("chain-1"), WARM_W2)
        return latencies(await one_by_one(lambda: self.run("chain-1"), count))

    async def w3(self, widths: list[int], repeats: int) -> Metrics:
        found: Metrics = {}
        for width in widths:
            name = f"fan-{width}"
            once = width >= FAN_OUT_ONCE
            if not once:
                await self.run(name)
            taken_ms = await one_by_one(partial(self.run, name), 1 if once else repeats)
            found[f"fan_{width}_ms"] = median(taken_ms)
        return found

    async def w4(self, steps: int, chain: str = CHAIN) -> Metrics:
        (taken_ms,) = await one_by_one(lambda: self.run(f"{chain}-{steps}"), 1)
        return {"steps_per_s": steps / (taken_ms / 1_000)}

    async def w6(self, count: int) -> Metrics:
        rate, _ = await closed_loop(lambda: self.start("sleeper"), count, IN_FLIGHT)
        return {"starts_per_s": rate}

    async def w9(self, seconds: float) -> Metrics:
        """Run an open loop in which every tenth start waits for its result in the same call."""
        self._refusals()
        waits = [number % WAITING_ONE_IN == 0 for number in range(int(OPEN_LOOP_PER_S * seconds))]

        async def call(number: int) -> None:
            await (self.run("chain-3") if waits[number] else self.start("chain-3"))

        taken_ms, per_s = await open_loop(call, len(waits), OPEN_LOOP_PER_S)
        starts = [taken for taken, wait in zip(taken_ms, waits, strict=True) if not wait]
        ends = [taken for taken, wait in zip(taken_ms, waits, strict=True) if wait]
        return {
            "start_p50_ms": percentile(starts, 0.5),
            "start_p99_ms": percentile(starts, 0.99),
            **latencies(ends),
            "answered_per_s": per_s,
            **self._refusals(),
        }

    async def w8(self, steps: int, repeats: int, chain: str = CHAIN) -> Metrics:
        return await warm_seconds(lambda: self.run(f"{chain}-{steps}"), repeats)

    def handlers(self) -> Handlers:
        return {
            "warm": self.warm,
            "W1": self.w1,
            "W2": self.w2,
            "W3": self.w3,
            "W4": self.w4,
            "W6": self.w6,
            "W8": self.w8,
            "W9": self.w9,
        }

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        await asyncio.sleep(0)
