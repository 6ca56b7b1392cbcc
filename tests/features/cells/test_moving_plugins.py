"""`flowmesh cells move` installs the plugins of a project from the catalogue of the target."""

from collections.abc import AsyncIterator

import pytest

from tests.features.cells.three import Cells, finished, three_cells
from tests.features.plugins.market import Market, Shelf

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

HOST = {"host": "mail.example"}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A catalogue of all cells."""
    made = Market(tmp_path_factory.mktemp("market"))
    for version in ("1.0.0", "1.1.0"):
        made.greeter(version)
    return made


@pytest.fixture(scope="module")
async def cells(tmp_path_factory: pytest.TempPathFactory, market: Market) -> AsyncIterator[Cells]:
    async with three_cells(tmp_path_factory.mktemp("cells"), market.environment) as running:
        yield running


async def test_a_plugin_moves(cells: Cells) -> None:
    """With its version, configuration, permissions and pin; its agents at the source end."""
    await cells.pin("greeted", 0)
    here, there = (Shelf(cells.suites[number], "greeted") for number in (0, 1))
    body = {
        "name": "greeter",
        "version": "1.0.0",
        "configuration": {**HOST, "greeting": "Good day"},
        "accepted": ["connect mail.example:7"],
    }
    installed = await here.call("POST", "plugins", body)
    assert installed.status == 202, installed.text
    await here.call("POST", "plugins/greeter:pin", {"pinned": True})
    before = await here.settled("greeter")
    code, _, errors = await finished(cells, "move", "greeted", "--to", "us1")
    assert code == 0, errors
    after = await there.settled("greeter")
    assert (before["state"], after["state"]) == ("ready", "ready"), after
    kept = ("version", "configuration", "permissions", "pinned", "digest")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    await cells.pin("greeted", 0)
    await here.ended()
