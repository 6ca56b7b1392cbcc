"""Random histories stay short enough to be read many times."""

import pytest

from flowmesh.engine.decisions import progress
from tests.unit.engine import factories


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loops without work continues early in a later command."""
    monkeypatch.setattr(progress, "BEGUN_PER_STEP_MAX", 5)
    monkeypatch.setattr(factories, "SERVED_MAX", 20)
