"""The agents of each test, in a namespace of its own."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.testing.suite import Suite
from tests.features.agents.crew import Crew


@pytest.fixture
async def crew(suite: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Crew]:
    """The agents of this test, which end with it."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
    made = Crew(suite, name)
    yield made
    await made.end()
