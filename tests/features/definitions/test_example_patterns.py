"""The examples of events, messages and service discovery against the running suite."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from flowmesh.testing.suite import Suite

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
ENDS_WITHIN_S = 40


async def ran(name: str, suite: Suite) -> Any:
    return await runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](suite.grpc_address)


@pytest.mark.feature("S4-04")
@pytest.mark.timeout(ENDS_WITHIN_S)
async def test_the_event_driven_pipeline_runs(suite: Suite) -> None:
    """An event starts the first stage, whose own event starts the second, which stores it."""
    assert await ran("sdk_event_driven", suite) == {"sensor": "roof", "celsius": 21.5}


@pytest.mark.feature("S4-04")
@pytest.mark.timeout(ENDS_WITHIN_S)
async def test_discovered_services_are_called(suite: Suite) -> None:
    """A workflow finds both services by their capability and gets an answer of each."""
    assert await ran("sdk_service_discovery", suite) == [{"words": 4}, {"words": 4}]


@pytest.mark.feature("S4-51", "S4-68", "S4-40")
@pytest.mark.timeout(ENDS_WITHIN_S)
async def test_a_message_goes_over_an_exchange(suite: Suite) -> None:
    """Declared, bound, published and handled as the requirements write it."""
    assert await ran("sdk_messages", suite) == {"data": "process_this"}


@pytest.mark.feature("S4-31", "S4-50")
@pytest.mark.timeout(ENDS_WITHIN_S)
async def test_the_saga_of_the_requirements_provisions_an_agent(suite: Suite) -> None:
    """As the requirements write it; the agent runs its initial task."""
    assert await ran("sdk_saga", suite) == "COMPLETED"


@pytest.mark.feature("S4-26")
@pytest.mark.timeout(ENDS_WITHIN_S)
async def test_an_account_is_kept_as_events(suite: Suite) -> None:
    """Changed by decisions, and projected to its balance."""
    assert await ran("sdk_event_store", suite) == 70
