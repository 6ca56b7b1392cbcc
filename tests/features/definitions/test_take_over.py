"""Definitions that a cluster manages, taken over at every door."""

from pathlib import Path

import grpc.aio
import orjson
import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.contract.json_value import Json
from flowmesh.errors import WrongState
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import workflow


def saying(name: str, word: str) -> Json:
    return workflow(name, {"id": "a", "taskRef": "noop"}, output={"word": word})


async def manage(channel: grpc.aio.Channel, name: str, word: str) -> None:
    """Store a workflow as a cluster does."""
    source = orjson.dumps(saying(name, word))
    request = pb.ApplyRequest(source=source, owner="kubernetes/c1/default")
    await DefinitionServiceStub(channel).Apply(request)


@pytest.mark.long
@pytest.mark.parametrize("door", ["rest", "sdk", "command"])
async def test_a_managed_definition_is_taken_over_on_request_only(
    suite: Suite, channel: grpc.aio.Channel, tmp_path: Path, door: str
) -> None:
    """And belongs to nobody then."""
    name = f"taken-{door}"
    await manage(channel, name, "first")
    file = tmp_path / "w.json"
    file.write_bytes(orjson.dumps(saying(name, "second")))
    if door == "rest":
        path = "/api/v1/workflows"
        refused = await suite.post(path, saying(name, "second"))
        assert (refused.status, "OWNED_ELSEWHERE" in refused.text) == (409, True)
        taken = await suite.post(f"{path}?takeOver=true", saying(name, "second"))
        assert taken.json["version"] == 2
    elif door == "sdk":
        async with Client(suite.grpc_address) as client:
            with pytest.raises(WrongState, match="managed by kubernetes/c1"):
                await client.apply(file.read_text())
            taken_here = await client.apply(file.read_text(), take_over=True)
        assert taken_here.resources[0].version == 2
    else:
        failed = await command(suite, "apply", "-f", str(file))
        assert failed.code == 1
        assert "managed by kubernetes/c1" in failed.err
        done = await command(suite, "apply", "-f", str(file), "--take-over")
        assert done.code == 0, done.err
    after = await suite.put(f"/api/v1/workflows/{name}", saying(name, "third"))
    assert after.status == 201, after.text
