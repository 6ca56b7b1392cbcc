"""Every parser, and the frames of every stream, with what nobody would write."""

import random

import grpc.aio
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2, worker_service_pb2
from tests.badinput.fuzz import MINUTES, fuzz, main
from tests.badinput.targets import TARGETS, corpus, tried
from tests.features.hostile import documented, send

COUNT, SEED = 80, 7
FRAMES = {
    "/flowmesh.api.execution.v1.ExecutionService/Session": execution_service_pb2.SessionRequest(
        starts=[
            execution_service_pb2.SessionStart(
                call_id=1,
                start=execution_service_pb2.StartExecutionRequest(
                    workflow_id="no-such-thing", request_id="r"
                ),
            )
        ],
        watches=[execution_service_pb2.SessionWatch(execution_id="no-such-thing")],
    ),
    "/flowmesh.api.worker.v1.WorkerService/Work": worker_service_pb2.WorkRequest(
        hello=worker_service_pb2.WorkHello(worker_id="fuzz", task_types=["fuzz"], slots=1)
    ),
    "/flowmesh.api.worker.v1.DispatchService/Attach": dispatch_service_pb2.AttachRequest(
        hello=dispatch_service_pb2.AttachHello(worker_service_id="fuzz"),
        grants=[dispatch_service_pb2.Grant(set_id="s", slots=1, task_types=["fuzz"])],
        lost=[dispatch_service_pb2.LostTask(token="x/a/1")],
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_answers_or_refuses(name: str) -> None:
    """Its corpus, and the same few mutations of it each time; each call soon."""
    for data in corpus(name):
        tried(name, data)
    fuzz(name, COUNT, SEED)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parsers_answer_or_refuse_for_minutes() -> None:
    """Other mutations each time; a failure prints its bytes."""
    main(MINUTES)


@pytest.mark.parametrize("path", FRAMES)
async def test_mutated_frames_are_answered(wire: grpc.aio.Channel, path: str) -> None:
    """Of the streams: served or refused with a documented reason, and the next one is served."""
    chance = random.Random(path)
    valid = FRAMES[path].SerializeToString()
    for _ in range(40):
        data = bytearray(valid)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 4))
        outcome = await send(wire, path, bytes(data), open_s=0.1)
        assert documented(outcome), (outcome, bytes(data))
    assert documented(await send(wire, path, valid, open_s=0.1))
