"""The rows of `make bench-scale` have the form of the rows of executions that ran."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale.costs import payload, workflow
from benchmarks.scale.filling import ORDER, SLEEPER, fill, stored_bytes_of
from flowmesh.cli.operations.sizing import cost_of, measured_costs
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

pytestmark = pytest.mark.long

ENDED = 2_000
SLEEPING = 200
DUE = 20
WITHIN_S = 20
STEPS = 2
PAYLOAD_BYTES = 200
"""PostgreSQL compresses rows of 2 KB or more, whose payloads repeat if steps share a commit."""
COPIES = 5_000


async def test_copies_are_read_searched_resumed_and_rebuilt(tmp_path: Path) -> None:
    """Like executions that the orchestrator started itself."""
    async with Suite(tmp_path / "data") as suite:
        postgres = str(suite.about["postgres"])
        filled = await fill(suite.grpc_address, postgres, ended=ENDED, sleeping=SLEEPING, due=DUE)
        await suite.stop()
        await suite.start()
        async with Client(suite.grpc_address) as client:
            before = await client.get_execution(filled.originals[0])
            for execution_id in filled.examples:
                copy = await client.get_execution(execution_id)
                assert (copy.output, copy.status) == (before.output, before.status)
                events = [event.type async for event in client.history(execution_id)]
                assert events == [event.type async for event in client.history(before.id)]
                rest: Any = (await suite.get(f"/api/v1/executions/{execution_id}")).json
                assert rest["search"]["label.team"].startswith("team-")
            found = [
                each.id
                async for each in client.list_executions(
                    filter=f'workflow = "{ORDER}"', order_by="attr.amount desc"
                )
            ]
            assert len(found) == ENDED + 1

            async def resumed() -> bool:
                ended = f'workflow = "{SLEEPER}" AND status = completed'
                ids = {each.id async for each in client.list_executions(filter=ended)}
                return ids == set(filled.due)

            await until("resumed", resumed, within_s=WITHIN_S)
            rebuilt = await client.archive.rebuild(verify=True)
            assert rebuilt.checked == ENDED + DUE + 1
            assert not rebuilt.differences


async def test_the_predicted_size_of_rows_is_that_of_written_rows(tmp_path: Path) -> None:
    """Within a quarter, for a workflow that the costs were not measured with."""
    async with Suite(tmp_path / "data") as suite:
        async with Client(suite.grpc_address) as client:
            await client.register(workflow(STEPS))
            run = await client.start(f"cost-{STEPS}", payload(PAYLOAD_BYTES))
            await run.result(WITHIN_S)
        stored = await stored_bytes_of(str(suite.about["postgres"]), run.id, COPIES)
    predicted = cost_of(measured_costs(), STEPS, PAYLOAD_BYTES).stored_bytes
    assert predicted == pytest.approx(stored, rel=0.25)
