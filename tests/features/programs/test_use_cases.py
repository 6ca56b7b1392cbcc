"""The five use cases: the commands of each README, run as written, do what the README says."""

import csv
import json
import re
import runpy
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client, Handle, NodeStatus, Status
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.terminal import Terminal, commands

pytestmark = pytest.mark.long

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "use-cases"
NAMES = ("cicd-pipeline", "data-science", "etl-pipeline", "integration", "order-flow")
README_LINES_MAX = 30
CODE_LINES_MAX = 120
APPROVAL_WITHIN_S = 20
# The ports that the stub systems of an example listen on.
PORTS = ("8101", "8102", "8103")
EXECUTION = re.compile(r"\bexec-\w+")


@dataclass(frozen=True)
class Example:
    """A copy of an example whose first command is running, and what the others printed."""

    folder: Path
    terminal: Terminal
    printed: str

    @property
    def executions(self) -> list[str]:
        """The ids of the executions, in the order in which they were first printed."""
        return list(dict.fromkeys(EXECUTION.findall(self.printed)))

    def module(self, name: str) -> dict[str, Json]:
        return runpy.run_path(str(self.folder / name))


Use = Callable[[str], AbstractAsyncContextManager[Example]]


def copied(name: str, folder: Path) -> Path:
    """Copy an example with other ports in place of its own, which may be taken here."""
    generated = shutil.ignore_patterns("build", "__pycache__", "*.db", "ledger.txt", "model.json")
    target = Path(shutil.copytree(FOLDER / name, folder / name, ignore=generated))
    ports = {port: str(free_port()) for port in PORTS}
    for file in (*target.glob("*.yaml"), *target.glob("*.py")):
        text = re.sub("|".join(PORTS), lambda found: ports[found[0]], file.read_text())
        file.write_text(text)
    return target


@pytest.fixture
def use(suite: Suite, tmp_path: Path) -> Use:
    """Run an example as its README says; its first command keeps running inside the block."""

    @asynccontextmanager
    async def running(name: str) -> AsyncIterator[Example]:
        folder = copied(name, tmp_path)
        terminal = Terminal(folder, suite)
        server, *others = commands((folder / "README.md").read_text())
        async with terminal.serving(server):
            yield Example(folder, terminal, await terminal.output(*others))

    return running


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


@pytest.mark.feature("S2-57")
async def test_the_etl_pipeline_loads_the_revenue_of_a_day_once(use: Use, suite: Suite) -> None:
    """Parallel extracts; two loads leave one row per country, with the sum of its paid orders."""
    async with use("etl-pipeline") as example:
        events = await suite.events(example.executions[0])
        data = example.folder / "data"
        customers = csv.DictReader((data / "customers.csv").read_text().splitlines())
        orders = csv.DictReader((data / "orders.csv").read_text().splitlines())
        country = {customer["id"]: customer["country"] for customer in customers}
        revenue: dict[str, float] = defaultdict(float)
        for order in orders:
            if (order["day"], order["status"]) == ("2026-03-01", "paid"):
                revenue[country[order["customer"]]] += float(order["amount"])

    report = [f"2026-03-01 {name} {revenue[name]:.2f}" for name in sorted(revenue)]
    assert len(example.executions) == 2
    assert_parallel(events, "orders", "customers")
    assert example.printed.splitlines()[-len(report) :] == report
    assert example.printed.count("2026-03-01 ") == len(report) == 2


def assert_parallel(events: list[Json], *nodes: str) -> None:
    """All of them begin before one of them completes."""
    begun = [sequences(events, "TaskScheduled", node)[0] for node in nodes]
    assert max(begun) < min(sequences(events, "TaskCompleted", node)[0] for node in nodes)


def sequences(events: list[Json], kind: str, node: str) -> list[int]:
    """The sequences of the events of a type about a node."""
    found = [each for each in events if each["type"] == kind and each.get("taskId") == node]
    return [each["sequence"] for each in found]


@pytest.mark.feature("S2-58", "S4-04")
async def test_the_order_flow_compensates_a_failed_shipment(use: Use, client: Client) -> None:
    """One order ships; of the other the charge, then the reservation is undone."""
    async with use("order-flow") as example:
        shipped, failed = [await client.handle(each).describe() for each in example.executions[:2]]

    assert shipped.status is Status.COMPLETED
    assert failed.status is Status.FAILED
    assert "AddressUnknown in ship: no carrier delivers to Atlantis" in example.printed
    assert example.printed.splitlines()[-7:] == [
        "A-1 reserved",
        "A-1 charged",
        "A-1 shipped",
        "A-2 reserved",
        "A-2 charged",
        "A-2 refunded",
        "A-2 released",
    ]


@pytest.mark.feature("S2-59")
async def test_the_cicd_pipeline_deploys_what_was_approved(
    use: Use, suite: Suite, client: Client
) -> None:
    """Parallel checks, an upload that is retried, an approval; then the program runs."""
    async with use("cicd-pipeline") as example:
        handle = client.handle(example.executions[0])
        execution = await handle.describe()
        events = await suite.events(handle.id)
        program = example.folder / "build" / "production" / "app.pyz"
        deployed = program.read_bytes()
        await rejected(client)

        assert program.read_bytes() == deployed

    assert example.printed.splitlines()[-1] == "Hello Ada"
    assert execution.status is Status.COMPLETED
    assert_parallel(events, "compile", "unit-tests")
    assert len(sequences(events, "TaskRetrying", "upload")) == 1
    (decided,) = sequences(events, "ApprovalDecided", "approve-production")
    assert sequences(events, "TaskScheduled", "deploy-production")[0] > decided


async def rejected(client: Client) -> None:
    """Run another release up to its approval, and reject it."""
    handle = await client.start("release", {"version": "1.1.0"})
    await until("the approval", lambda: asks(handle), within_s=APPROVAL_WITHIN_S)
    assert await handle.decide("approve-production", by="ops", approved=False) == "rejected"
    assert (await handle.wait(30)).status is Status.FAILED


async def asks(handle: Handle) -> bool:
    nodes = {node.id: node.status for node in (await handle.describe()).nodes}
    return nodes["approve-production"] is NodeStatus.RUNNING


@pytest.mark.feature("S2-60")
async def test_the_data_science_pipeline_trains_and_deploys_the_best_model(use: Use) -> None:
    """The deployed model classifies flowers it has not seen; one that learned nothing is not."""
    async with use("data-science") as example:
        model = json.loads((example.folder / "model.json").read_text())
        training = example.module("training.py")

    unseen = training["measured"](400, seed=99)
    assert training["accuracy"](model["weights"], unseen) >= 0.9
    assert training["accuracy"]([1.0, 0.0, 0.0], unseen) <= 0.6
    assert model["rate"] in (0.1, 0.5)
    printed = example.printed.splitlines()
    assert printed.index("setosa") < printed.index("versicolor")
    assert '"accuracy": 0.5' in example.printed.partition("versicolor")[2]


@pytest.mark.feature("S2-62")
async def test_the_integration_coordinates_three_systems(use: Use, suite: Suite) -> None:
    """The CRM ends up with the numbers of billing (XML) and of the help desk (retried)."""
    async with use("integration") as example:
        events = await suite.events(example.executions[0])

    assert json.loads(example.printed.splitlines()[-1]) == {
        "name": "Analytical Engines",
        "country": "GB",
        "email": "ada@example.com",
        "status": "customer",
        "account": "B-1001",
        "user": "U-1",
    }
    assert_parallel(events, "billing", "helpdesk")
    assert len(sequences(events, "TaskRetrying", "helpdesk")) == 2


def test_each_use_case_is_short_and_listed() -> None:
    """At most 30 lines of README and 120 of a program, and a row of the index links to it."""
    index = (FOLDER / "README.md").read_text()
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == sorted(NAMES)
    for name in NAMES:
        assert f"[{name}]({name}/)" in index
        assert len((FOLDER / name / "README.md").read_text().splitlines()) <= README_LINES_MAX
        for program in (FOLDER / name).rglob("*.py"):
            assert len(program.read_text().splitlines()) <= CODE_LINES_MAX, program
