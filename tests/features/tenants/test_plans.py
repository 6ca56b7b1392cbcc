"""Plans of companies: limits of a month, and bills at Stripe, whose stub its own client proves."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest
import stripe

from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.testing.databases import fresh_database
from flowmesh.testing.polling import until
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.commands import command
from tests.features.tenants.stripe_stub import StripeStub, serving_stripe

pytestmark = pytest.mark.long

KEY = "sk_test_of_the_installation"
CUSTOMER = "cus_1"
WITHIN_S = 90.0
PLAN = "/api/v1/companies/co_default/plan"


@pytest.fixture(scope="module")
async def stub() -> AsyncIterator[StripeStub]:
    async with serving_stripe(KEY) as serving:
        yield serving


@pytest.fixture(scope="module")
async def postgres(servers: EmbeddedServers) -> AsyncIterator[str]:
    async with fresh_database(servers.postgres) as address:
        yield address


@pytest.fixture(scope="module")
async def closed(
    tmp_path_factory: pytest.TempPathFactory, stub: StripeStub, postgres: str
) -> AsyncIterator[Closed]:
    folder = tmp_path_factory.mktemp("plans")
    file = folder / "stripe"
    file.write_text(f"{KEY}\n")
    async with closed_suite(
        folder,
        FLOWMESH_STRIPE_URL=stub.url,
        FLOWMESH_STRIPE_KEY_FILE=str(file),
        FLOWMESH_POSTGRES=postgres,
    ) as made:
        yield made


async def set_plan(closed: Closed, **plan: Json) -> None:
    status, answer = await closed.owner.rest("PUT", PLAN, plan)
    assert status == 200, answer


async def get_plan(closed: Closed) -> Any:
    status, answer = await closed.owner.rest("GET", PLAN)
    assert status == 200, answer
    return answer


class Project:
    """A project with a workflow."""

    def __init__(self, caller: Caller, namespace: str) -> None:
        self.caller, self.namespace = caller, namespace

    async def call(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.caller.rest("POST", path, body, flowmesh_namespace=self.namespace)

    async def start(self) -> tuple[int, Any]:
        return await self.call("/api/v1/workflows/planned/start", {})


async def project(closed: Closed, slug: str) -> Project:
    made = await closed.project(slug)
    found = Project(await closed.key(made.id, "admin"), made.namespace)
    task = {"id": "t", "taskRef": "delay", "input": {"duration": "1ms"}}
    document = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "planned"},
        "spec": {"tasks": [task]},
    }
    status, answer = await found.call("/api/v1/workflows", document)
    assert status == 201, answer
    return found


async def test_the_stub_is_what_the_official_client_expects(stub: StripeStub) -> None:
    """An event is taken once; a second one with its identifier is an error that names it."""
    client = stripe.StripeClient(KEY, base_addresses={"api": stub.url}, max_network_retries=0)
    event: Any = {
        "event_name": "flowmesh_tasks",
        "payload": {"stripe_customer_id": "cus_sdk", "value": "7"},
        "identifier": "sdk-1",
        "timestamp": int(time.time()),
    }

    def create() -> Any:
        return client.v1.billing.meter_events.create(event)

    made = await asyncio.to_thread(create)
    assert (made.identifier, made.payload["value"]) == ("sdk-1", "7")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await asyncio.to_thread(create)
    assert refused.value.code == "duplicate_meter_event"
    assert stub.used("flowmesh_tasks", "cus_sdk") == 7


@pytest.mark.feature("S1-177")
async def test_a_used_up_plan_refuses_starts_until_the_next_month(closed: Closed) -> None:
    """All projects of the company are refused; a larger plan admits them again."""
    one, other = await project(closed, "plan-one"), await project(closed, "plan-other")
    before = (await get_plan(closed))["used"]["executions"]
    await set_plan(closed, name="team", executions=before + 3)
    for _ in range(3):
        assert (await one.start())[0] in (200, 201, 202)

    async def refused() -> bool:
        return (await other.start())[0] == 429

    await until("the company is refused", refused, within_s=WITHIN_S)
    status, answer = await one.start()
    found = await get_plan(closed)
    error = answer["error"]
    assert (status, error["reason"]) == (429, "PLAN_LIMIT_REACHED")
    assert f"the plan team of the company has {before + 3} executions a month" in error["message"]
    again = found["resetsAt"].replace(".000000Z", "Z")
    assert error["message"].endswith(f"it starts again at {again}")
    await set_plan(closed, name="business", executions=before + 1_000)

    async def admitted() -> bool:
        return (await other.start())[0] in (200, 201, 202)

    await until("the company is admitted", admitted, within_s=WITHIN_S)


@pytest.mark.feature("S1-177")
async def test_ended_hours_are_billed_once(closed: Closed, stub: StripeStub, postgres: str) -> None:
    """Stripe has the metered executions, also after the note that they are billed was lost."""
    billed = await project(closed, "plan-billed")
    await set_plan(closed, name="billed", stripeCustomer=CUSTOMER)
    for _ in range(4):
        assert (await billed.start())[0] in (200, 201, 202)
    database = await asyncpg.connect(postgres)
    # The executions are of an hour that has ended.
    await database.execute("update orchestrator.meters set hour = hour - 2")
    expected = await database.fetchval("select sum(executions) from orchestrator.meters")
    for _ in range(2):
        await database.execute(
            "update identity.plan_bills set billed_at = billed_at - interval '4 hours'"
        )
        calls = stub.calls
        await set_plan(closed, name="billed", stripeCustomer=CUSTOMER)
        await until("the hours are sent", partial(_more, stub, calls), within_s=WITHIN_S)
        assert stub.used("flowmesh_executions", CUSTOMER) == expected
        await until("the hours are billed", partial(_billed, database), within_s=WITHIN_S)
    await database.close()
    assert "billingProblem" not in await get_plan(closed)


async def _billed(database: Any) -> bool:
    return bool(
        await database.fetchval(
            "select min(billed_at) > now() - interval '2 hours' from identity.plan_bills"
        )
    )


async def _more(stub: StripeStub, calls: int) -> bool:
    return stub.calls > calls


async def test_a_project_neither_sees_nor_sets_the_plan(closed: Closed) -> None:
    """For an administrator of a project there is no company."""
    made = await project(closed, "plan-roles")
    status, answer = await made.caller.rest("PUT", PLAN, {"name": "free"})
    assert (status, answer["error"]["reason"]) == (404, "COMPANY_NOT_FOUND")


async def test_the_command_sets_and_shows_a_plan(closed: Closed) -> None:
    """`company plan set` and `show` have the limits and the use."""
    environment = {"FLOWMESH_API_KEY": closed.owner.credential}
    words = ("identity", "company", "plan")
    done = await command(
        closed.suite, *words, "set", "team", "--tasks", "5000", environment=environment
    )
    assert done.code == 0, done.err
    assert "Plan team" in done.out
    assert "5,000" in done.out
    shown = await command(closed.suite, *words, "show", "--json", environment=environment)
    assert shown.json["plan"]["tasks"] == 5_000
