"""Any sequence of calls is answered as the reference model answers it."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from flowmesh.testing.suite import Suite
from tests.model.machine import Api

COMMON: Any = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "print_blob": True,
}
SHORT = settings(max_examples=25, stateful_step_count=30, derandomize=True, **COMMON)
LONG = settings(max_examples=300, stateful_step_count=60, **COMMON)


async def follow(suite: Suite, profile: settings) -> None:
    machine = type("SuiteApi", (Api,), {"address": suite.grpc_address})
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=profile)


async def test_the_api_does_what_the_model_does(suite: Suite) -> None:
    """The same few hundred calls each time."""
    await follow(suite, SHORT)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_the_api_does_what_the_model_does_for_long(suite: Suite) -> None:
    """Other calls each time; a failure prints how to repeat it."""
    await follow(suite, LONG)
