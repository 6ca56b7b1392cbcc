"""The first workflow of the README, as a newcomer runs it."""

import runpy
from pathlib import Path

import pytest

from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
USERS = {"users": [{"name": "Ada", "active": True}, {"name": "Bob", "active": False}]}


@pytest.mark.feature("S0-127")
async def test_the_first_workflow_in_yaml(suite: Suite) -> None:
    """welcome.yaml is applied as it stands, its worker greets, REST answers with the greeting."""
    greet = runpy.run_path(str(QUICKSTART / "worker.py"))["greet"]
    source = (QUICKSTART / "welcome.yaml").read_bytes()
    yaml = {"content-type": "application/yaml"}
    applied = await suite.request("POST", "/api/v1/workflows", headers=yaml, data=source)
    assert applied.status == 201, applied.text

    async with Worker(suite.grpc_address, {"greet": greet}):
        ran = await suite.request("POST", "/workflows/welcome/execute", {"input": USERS})

    assert ran.status == 200, ran.text
    assert ran.json["output"] == {"greetings": ["Hello Ada"]}


@pytest.mark.feature("S0-127")
async def test_the_first_workflow_in_python(suite: Suite) -> None:
    """checkout.py registers what it defines, serves its tasks and gets the output."""
    checkout = runpy.run_path(str(QUICKSTART / "checkout.py"))["checkout"]
    async with Client(suite.grpc_address) as client:
        await client.register(checkout)
        async with Worker(client, checkout.handlers):
            output = await client.run("checkout", {"id": "A-17", "amount": 40, "boxes": 1})

    assert output == {"shipped": "2 kg on their way, receipt-A-17"}
