"""The suite is killed between what fired and what it starts; nothing is lost or started twice."""

import uuid
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

PATIENCE_S = 30


@pytest.mark.slow
@pytest.mark.parametrize("point", ["event.published", "event.started"])
async def test_a_kill_around_a_start_neither_loses_nor_repeats_it(
    tmp_path: Path, point: str
) -> None:
    """kill -9 of the whole suite at the point, then a start on the same data."""
    armed = tmp_path / "points"
    environment = {"FLOWMESH_FAILPOINTS": f"@{armed}"}
    name = f"crash-{uuid.uuid4().hex[:8]}"
    trigger = {"id": "on", "event": {"type": name, "input": "{{event.data}}"}}
    suite = Suite(tmp_path / "data", environment=environment)

    async def executions() -> int:
        answer = await suite.get(f"/api/v1/executions?workflow={name}")
        return len(answer.json["executions"])

    async def triggers() -> int:
        answer = await suite.get(f"/api/v1/workflows/{name}/triggers")
        return len(answer.json["triggers"])

    armed.write_text(f"{point}=kill9")
    async with suite:
        task = {"id": "done", "taskRef": "noop"}
        await applied(suite, workflow(name, task, triggers=[trigger], output="{{input}}"))
        await until("the trigger", triggers, within_s=PATIENCE_S)
        event = {"type": name, "id": "e-1", "data": {"n": 1}}
        with suppress(aiohttp.ClientError):
            await suite.post("/api/v1/events", event)
        await suite.kill()
        await suite.start()
        await until("an execution", executions, within_s=PATIENCE_S)
        again = await suite.post("/api/v1/events", event)
        assert (again.status, again.json["created"]) == (200, False), again.text

        async def settled() -> bool:
            answer = await suite.get(f"/api/v1/workflows/{name}/triggers")
            return bool(answer.json["triggers"][0]["fired"] == 1)

        await until("the end of the firing", settled, within_s=PATIENCE_S)
        assert await executions() == 1
