"""Runs make many objects that go in circles; they are collected between tests, not within."""

import gc
from collections.abc import Iterator

import pytest

from tests.integration.orchestrator.conftest import store  # noqa: F401 (a fixture)


@pytest.fixture
def schema() -> str:
    """The service that runs simulate."""
    return "orchestrator"


@pytest.fixture(autouse=True)
def collected_afterwards() -> Iterator[None]:
    """Collecting garbage during a run would cost a third of its time."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()
