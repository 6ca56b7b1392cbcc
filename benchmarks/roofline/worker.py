"""The minimal worker: it completes the tasks of a frame in the next frame."""

import asyncio
import sys
from typing import Any

import grpc.aio
import uvloop

from benchmarks.answering import wait_for_stop
from benchmarks.suite.worker import SLOTS
from benchmarks.unary import OPTIONS
from flowmesh.api.worker.v1 import task_pb2, worker_service_pb2, worker_service_pb2_grpc

WORKER_ID = "worker-1"


async def work(address: str) -> None:
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        stream: Any = worker_service_pb2_grpc.WorkerServiceStub(channel).Work()
        hello = worker_service_pb2.WorkHello(worker_id=WORKER_ID, slots=SLOTS)
        await stream.write(worker_service_pb2.WorkRequest(hello=hello))
        number = 0
        while (frame := await stream.read()) is not grpc.aio.EOF:
            if not frame.tasks:
                continue
            number += 1
            results = [
                task_pb2.TaskResult(token=task.token, output=task.input, worker_id=WORKER_ID)
                for task in frame.tasks
            ]
            await stream.write(
                worker_service_pb2.WorkRequest(results_frame=number, results=results)
            )


async def main(address: str) -> None:
    working = asyncio.create_task(work(address))
    stopped = asyncio.create_task(wait_for_stop())
    await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
    working.cancel()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
