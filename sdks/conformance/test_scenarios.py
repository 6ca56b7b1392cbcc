"""Every scenario with the SDK of every language."""

from collections.abc import Iterator
from typing import Any

import pytest

from sdks.conformance.conftest import Drivers
from sdks.conformance.script import Run, scenarios


def marked() -> Iterator[Any]:
    """Yield the scenarios as parameters, with the mark of slow ones."""
    for scenario in scenarios():
        marks = [pytest.mark.slow] if scenario.get("slow") else []
        yield pytest.param(scenario, id=scenario["name"], marks=marks)


@pytest.fixture
def server(scenario: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """The scripted server if the scenario has a script, else the cluster."""
    aging = "aging_stub" if scenario.get("aging") else "stub"
    return request.getfixturevalue(aging if "stub" in scenario else "cluster")


@pytest.fixture
def cutting(scenario: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """The proxy before the cluster, if the scenario cuts connections."""
    return request.getfixturevalue("proxy") if scenario.get("proxied") else None


@pytest.fixture
def other(scenario: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """The gateway of another cell, if the scenario has a script for it."""
    return request.getfixturevalue("other_stub") if "other" in scenario else None


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", list(marked()))
async def test_scenario(
    language: str,
    scenario: dict[str, Any],
    repetition: int,
    drivers: Drivers,
    server: Any,
    cutting: Any,
    other: Any,
) -> None:
    """The driver gives the expected answers, under the faults of the scenario."""
    scripted = "stub" in scenario
    prefix = f"{language}-{scenario['name']}-" + (f"{repetition}-" if repetition else "")
    await Run(
        driver=await drivers.of(language),
        cluster=None if scripted else server,
        stub=server if scripted else None,
        scenario=scenario,
        prefix=prefix,
        proxy=cutting,
        other=other,
    ).all_steps()
