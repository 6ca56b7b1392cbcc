"""The library of tasks as teams share it: installed, composed, changed, pinned, made public."""

import itertools
from collections.abc import AsyncIterator

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions.bundled import needed
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import (
    YAML,
    applied,
    apply,
    execute,
    http_task,
    refusal,
    resource,
    workflow,
)

_numbers = itertools.count(1)
TASKS = ["charge-payment", "check-inventory", "create-shipment", "send-email"]


@pytest.fixture
def name() -> str:
    return f"library-{next(_numbers)}"


@pytest.fixture
async def shop(suite: Suite) -> AsyncIterator[World]:
    """The four services behind the library, and the library installed."""
    async with World() as world:
        world.answers("payments/v1/charges", json={"id": "ch_1", "status": "succeeded"})
        world.answers("payments/v1/refunds", json={"id": "re_1", "status": "succeeded"})
        world.answers("warehouse/inventory/book", json={"available": True, "onHand": 7})
        world.answers("shipping/shipments", json={"trackingNumber": "T-1", "carrier": "post"})
        await installed(suite)
        yield world


async def installed(suite: Suite, **headers: str) -> None:
    """As the command does it; what is there already stays as it is."""
    source = "---\n".join(item.text for item in needed([])).encode()
    answer = await suite.post("/api/v1/workflows", data=source, headers=YAML | headers)
    assert answer.status in (200, 201), answer.text


def order(world: World, **more: Json) -> Json:
    """An input that every workflow of the library takes."""
    names = ("payments", "email", "warehouse", "shipping")
    return {
        "services": {each: {"url": world.url(each), "apiKey": f"key-{each}"} for each in names},
        **dict.fromkeys(("orderId", "subscriptionId", "reference"), "order-7"),
        "customerId": "cus_1",
        "email": "ada@example.org",
        "sender": "shop@example.org",
        "sku": "book",
        "quantity": 2,
        "amount": 19.5,
        "currency": "EUR",
        "address": {"city": "London"},
        "parcels": [{"weight": 1}],
        "cartUrl": "https://shop.example/cart",
        **more,
    }


@pytest.mark.long
@pytest.mark.feature("S0-17")
async def test_the_library_is_listed_shown_and_installed(suite: Suite) -> None:
    """Four tasks and six workflows; what is installed already does not change."""
    listed = (await command(suite, "library", "list", "--json")).json
    assert [each["name"] for each in listed if each["kind"] == "WorkflowTask"] == TASKS
    assert len([each for each in listed if each["kind"] == "Workflow"]) == 6
    shown = await command(suite, "library", "show", "charge-payment")
    assert "taskRef" not in shown.out
    assert "name: charge-payment" in shown.out
    team = ("--namespace", "s0-17", "--json")
    first = (await command(suite, "library", "install", "order-confirmation", *team)).json
    assert [each["name"] for each in first] == ["send-email", "order-confirmation"]
    again = (await command(suite, "library", "install", *team)).json
    assert len(again) == 10
    assert [each["name"] for each in again if not each["created"]] == [
        "send-email",
        "order-confirmation",
    ]
    headers = {"Flowmesh-Namespace": "s0-17"}
    assert (await suite.get("/api/v1/tasks/send-email", headers=headers)).json["version"] == 1
    unknown = await command(suite, "library", "install", "nothing")
    assert (unknown.code, "library list" in unknown.err) == (2, True)


@pytest.mark.feature("S0-18")
async def test_the_six_workflows_run(suite: Suite, shop: World) -> None:
    """Dry without a call; then each calls its services with their keys, and answers by them."""
    expected = {
        "order-checkout": {"orderId": "order-7", "available": True},
        "subscription-renewal": {"charge": "ch_1", "status": "succeeded"},
        "refund-processing": {"refund": "re_1", "status": "succeeded"},
        "abandoned-cart": {"available": True},
        "order-confirmation": {"orderId": "order-7"},
        "shipping-notification": {"trackingNumber": "T-1"},
    }
    for each in expected:
        dry = await suite.post(f"/api/v1/workflows/{each}:dryRun", {"input": order(shop)})
        assert (dry.status, dry.json["status"]) == (200, "completed"), (each, dry.text)
        assert dry.json["calls"]
    assert shop.calls() == []
    for each, output in expected.items():
        ran = await execute(suite, each, order(shop))
        assert (ran.status, ran.json.get("output")) == (200, output), (each, ran.text)
    called = [call.route.partition("/")[0] for call in shop.calls()]
    assert {name: called.count(name) for name in set(called)} == {
        "payments": 3,
        "email": 4,
        "warehouse": 2,
        "shipping": 2,
    }
    charge = shop.calls("payments/v1/charges")[0]
    assert charge.headers["authorization"] == "Bearer key-payments"
    assert charge.json == {
        "amount": 19.5,
        "currency": "EUR",
        "customer": "cus_1",
        "reference": "order-7",
    }
    mail = shop.calls("email/v3/mail/send")[0].json
    assert mail["personalizations"] == [{"to": [{"email": "ada@example.org"}]}]
    assert mail["content"][0]["value"] == "It is on its way: T-1"


@pytest.mark.feature("S0-18")
async def test_nothing_is_charged_that_is_not_in_stock(suite: Suite, shop: World) -> None:
    """The checkout ends well, and nobody is charged or told anything."""
    shop.answers("warehouse/inventory/gone", json={"available": False})
    ran = await execute(suite, "order-checkout", order(shop, sku="gone"))
    assert ran.status == 200, ran.text
    assert ran.json["output"] == {"orderId": "order-7", "available": False}
    assert {call.route for call in shop.calls()} == {"warehouse/inventory/gone"}


@pytest.mark.feature("S0-13", "S4-101", "S0-126")
async def test_four_workflows_charge_with_one_task(suite: Suite, shop: World) -> None:
    """Three of the library, and donation-flow, which is made of a template."""
    made = await suite.post(
        "/api/v1/templates/payment:instantiate",
        {"name": "donation-flow", "parameters": {"currency": "GBP", "subject": "You are kind"}},
    )
    assert made.status in (200, 201), made.text
    names = ["donation-flow", "order-checkout", "refund-processing", "subscription-renewal"]
    used = (await suite.get("/api/v1/tasks/charge-payment/usages")).json["workflows"]
    assert {each["name"] for each in used} == set(names)
    for each in names:
        ran = await execute(suite, each, order(shop))
        assert ran.status == 200, (each, ran.text)
    charges = shop.calls("payments/v1/charges") + shop.calls("payments/v1/refunds")
    assert len(charges) == len(names)
    assert "GBP" in [call.json["currency"] for call in charges]


@pytest.mark.feature("S0-14")
async def test_another_provider_is_one_change(suite: Suite, shop: World) -> None:
    """Stripe to Braintree in the task alone; all that use it go on, unchanged, with the other."""
    team = {"Flowmesh-Namespace": "s0-14"}
    await installed(suite, **team)
    names = ["order-checkout", "refund-processing", "subscription-renewal"]

    async def run() -> None:
        for each in names:
            path = f"/workflows/{each}/execute"
            ran = await suite.post(path, {"input": order(shop)}, headers=team)
            assert ran.status == 200, (each, ran.text)

    await run()
    before = [(await suite.get(f"/api/v1/workflows/{each}", headers=team)).json for each in names]
    task = (await suite.get("/api/v1/tasks/charge-payment", headers=team)).json["definition"]
    task["spec"]["http"] |= {
        "url": "{{input.service.url}}/merchants/transactions",
        "body": {"transaction": {"amount": "{{input.amount}}", "type": "{{input.action}}"}},
    }
    shop.answers("payments/merchants/transactions", json={"id": "bt_1", "status": "settled"})
    changed = await suite.put("/api/v1/tasks/charge-payment", task, headers=team)
    assert changed.status == 201, changed.text
    assert {each["name"] for each in changed.json["affected"]} == set(names)
    changes = (await suite.get("/api/v1/tasks/charge-payment/changes", headers=team)).json
    differences = changes["changes"][0]["differences"]
    assert {each["field"].partition(".")[2].partition(".")[0] for each in differences} == {
        "url",
        "body",
    }
    charged = len(shop.calls("payments/v1/charges"))
    await run()
    assert len(shop.calls("payments/merchants/transactions")) == len(names)
    assert len(shop.calls("payments/v1/charges")) == charged
    after = [(await suite.get(f"/api/v1/workflows/{each}", headers=team)).json for each in names]
    assert after == before


@pytest.mark.feature("S0-03")
async def test_a_new_url_reaches_four_workflows(suite: Suite, world: World, name: str) -> None:
    """Each calls it on its next run; none of them is a new version."""

    def task(route: str) -> Json:
        return http_task(f"{name}-t", world.url(route))

    names = [f"{name}-{index}" for index in range(4)]
    flows = [workflow(each, {"id": "a", "taskRef": f"{name}-t"}) for each in names]
    await applied(suite, task("old"), *flows)
    for route in ("old", "new"):
        for each in names:
            assert (await execute(suite, each)).status == 200
        assert [call.route for call in world.calls()[-4:]] == [route] * 4
        await apply(suite, task("new"))
    for each in names:
        assert (await suite.get(f"/api/v1/workflows/{each}")).json["version"] == 1


@pytest.mark.feature("S0-03", "S0-16")
async def test_a_change_that_would_break_a_workflow_is_refused(suite: Suite, name: str) -> None:
    """Naming it and the place in it; with the workflow mended in the same source it goes."""

    def task(kind: str) -> Json:
        schema = {"type": "object", "properties": {"n": {"type": kind}}}
        return http_task(f"{name}-t", "http://x/", inputSchema=schema)

    def flow(end: str, value: Json) -> Json:
        node = {"id": "a", "taskRef": f"{name}-t", "input": {"n": value}}
        return workflow(f"{name}-{end}", node)

    await applied(suite, task("number"), flow("one", 1), flow("two", 2))
    refused = await apply(suite, task("string"), flow("one", "1"))
    assert refusal(refused) == (400, "TYPE_MISMATCH")
    (detail,) = refused.json["error"]["details"]
    assert f"workflow {name}-two of namespace default, version 1" in detail["description"]
    assert "tasks[0].input.n" in detail["description"]
    assert (await suite.get(f"/api/v1/tasks/{name}-t")).json["version"] == 1
    checked = (await suite.post("/api/v1/workflows:validate", task("string"))).json
    assert checked["valid"] is False
    assert [each["name"] for each in checked["affected"]] == [f"{name}-one", f"{name}-two"]
    await applied(suite, task("string"), flow("one", "1"), flow("two", "2"))


@pytest.mark.feature("S0-12", "S0-16")
async def test_a_pinned_reference_stays_with_its_version(
    suite: Suite, world: World, name: str
) -> None:
    """The floating one moves on; a version in use cannot go, one that is not can."""

    def task(route: str) -> Json:
        return http_task(f"{name}-t", world.url(route))

    await applied(suite, task("one"), workflow(f"{name}-f", {"id": "a", "taskRef": f"{name}-t"}))
    pinned = workflow(f"{name}-p", {"id": "a", "taskRef": f"{name}-t@1"})
    await applied(suite, pinned)
    await applied(suite, task("two"))
    await applied(suite, task("three"))
    for end, route in (("f", "three"), ("p", "one")):
        ran = await execute(suite, f"{name}-{end}")
        assert ran.json["outputs"]["a"]["route"] == route
    path = f"/api/v1/tasks/{name}-t"
    used = (await suite.get(f"{path}/usages")).json["workflows"]
    assert [(each["name"], each.get("taskVersion")) for each in used] == [
        (f"{name}-f", None),
        (f"{name}-p", 1),
    ]
    assert len((await suite.get(f"{path}/usages?version=1")).json["workflows"]) == 1
    versions = (await suite.get(f"{path}/versions")).json["versions"]
    assert [each["version"] for each in versions] == [3, 2, 1]
    assert refusal(await suite.delete(f"{path}/versions/1")) == (409, "TASK_IN_USE")
    assert refusal(await suite.delete(f"{path}/versions/3")) == (409, "TASK_IN_USE")
    assert (await suite.delete(f"{path}/versions/2")).status == 204
    assert refusal(await suite.get(f"{path}/versions/2")) == (404, "TASK_NOT_FOUND")
    missing = workflow(f"{name}-m", {"id": "a", "taskRef": f"{name}-t@2"})
    assert refusal(await apply(suite, missing)) == (400, "TASK_NOT_FOUND")
    assert (await suite.delete(f"/api/v1/workflows/{name}-p")).status == 204
    assert (await suite.delete(f"{path}/versions/1")).status == 204


@pytest.mark.feature("S0-19")
async def test_a_public_task_serves_other_namespaces(suite: Suite, world: World, name: str) -> None:
    """Found in the list of shared ones; a change reaches them; it stays public while it is used."""
    platform, shop = ({"Flowmesh-Namespace": f"{name}-{team}"} for team in ("platform", "shop"))

    def task(route: str, visibility: str) -> Json:
        return http_task("charge", world.url(route), visibility=visibility)

    flow = workflow("checkout", {"id": "a", "taskRef": f"{name}-platform/charge"})
    await applied(suite, task("one", "namespace"), **platform)
    refused = await apply(suite, flow, **shop)
    assert refusal(refused) == (400, "TASK_NOT_FOUND")
    assert "is not public" in refused.json["error"]["message"]
    await applied(suite, task("one", "public"), **platform)
    await applied(suite, flow, **shop)
    path = "/workflows/checkout/execute"
    ran = await suite.post(path, {"input": {}}, headers=shop)
    assert ran.json["outputs"]["a"]["route"] == "one"
    await applied(suite, task("two", "public"), **platform)
    ran = await suite.post(path, {"input": {}}, headers=shop)
    assert ran.json["outputs"]["a"]["route"] == "two"
    shared = [
        (each["namespace"], each["visibility"])
        for each in (await suite.get("/api/v1/tasks?shared=true", headers=shop)).json["tasks"]
        if each["name"] == "charge"
    ]
    assert (f"{name}-platform", "public") in shared
    used = (await suite.get("/api/v1/tasks/charge/usages", headers=platform)).json["workflows"]
    assert [(each["namespace"], each["name"]) for each in used] == [(f"{name}-shop", "checkout")]
    refused = await apply(suite, task("two", "namespace"), **platform)
    assert refusal(refused) == (400, "TASK_NOT_FOUND")
    assert "checkout" in refused.json["error"]["message"]
    gone = await suite.delete("/api/v1/tasks/charge", headers=platform)
    assert refusal(gone) == (409, "TASK_IN_USE")


async def test_a_private_task_serves_only_its_own_source(suite: Suite, name: str) -> None:
    """Workflows of the same source, and no other one."""
    task = http_task(f"{name}-t", "http://x/", visibility="private")
    flow = workflow(name, {"id": "a", "taskRef": f"{name}-t"})
    await applied(suite, task, flow)
    refused = await apply(suite, {**flow, "metadata": {"name": f"{name}-other"}})
    assert refusal(refused) == (400, "TASK_NOT_FOUND")
    assert "is private" in refused.json["error"]["message"]
    await applied(suite, http_task(f"{name}-t", "http://y/", visibility="private"))


async def test_used_by_is_paged(suite: Suite, name: str) -> None:
    """Labels name what they keep in use."""
    node = {"id": "a", "taskRef": f"{name}-t"}
    flows = [workflow(f"{name}-{index}", node) for index in range(3)]
    await applied(suite, http_task(f"{name}-t", "http://x/"), *flows)
    await suite.put(f"/api/v1/workflows/{name}-0/labels/production", {"version": 1})
    await applied(suite, workflow(f"{name}-0", {**node, "id": "b"}))
    async with Client(suite.grpc_address) as client:
        users = [user async for user in client.task_users(f"{name}-t", page_size=2)]
    assert [(user.workflow_id, user.version, user.labels) for user in users] == [
        (f"{name}-0", 1, ("production",)),
        (f"{name}-0", 2, ()),
        (f"{name}-1", 1, ()),
        (f"{name}-2", 1, ()),
    ]


@pytest.mark.feature("S4-101", "S0-126")
async def test_a_template_becomes_a_workflow_that_runs(
    suite: Suite, world: World, name: str
) -> None:
    """One of our own, by REST, by the command and from Python; hidden behind its parameters."""
    steps = {
        "id": "${{ name }}",
        "steps": [
            {
                "id": "call",
                "action": "http.request",
                "params": {"method": "GET", "url": "${{ param.url }}?n=${{ param.n }}"},
            }
        ],
    }
    parameters = {
        "type": "object",
        "required": ["url"],
        "properties": {"url": {"type": "string"}, "n": {"type": "integer", "default": 5}},
    }
    template = resource("WorkflowTemplate", name, parameters=parameters, resources=[steps])
    await applied(suite, template)
    listed = (await suite.get("/api/v1/templates")).json["templates"]
    assert {name, "fan-out", "http-call"} <= {each["name"] for each in listed}
    assert [each["bundled"] for each in listed if each["name"] == name] == [False]

    path = f"/api/v1/templates/{name}:instantiate"
    wrong = await suite.post(path, {"name": f"{name}-w", "parameters": {"n": "x"}})
    assert refusal(wrong) == (400, "PARAMETERS_INVALID")
    assert {each["field"] for each in wrong.json["error"]["details"]} == {
        "parameters",
        "parameters.n",
    }
    url = world.url("call")
    made = await suite.post(path, {"name": f"{name}-rest", "parameters": {"url": url, "n": 6}})
    assert (made.status, made.json["resources"][0]["version"]) == (201, 1)
    async with Client(suite.grpc_address) as client:
        drawn = await client.instantiate(name, f"{name}-none", {"url": url}, dry_run=True)
        assert f"id: {name}-none" in drawn.source
        await client.instantiate(name, f"{name}-sdk", {"url": url})
    typed = await command(
        suite, "template", "new", name, f"{name}-cli", "--set", f"url={url}", "--set", "n=7"
    )
    assert typed.lines == [f"Workflow {name}-cli: version 1"]
    assert (await suite.get(f"/api/v1/workflows/{name}-none")).status == 404
    for end in ("rest", "sdk", "cli"):
        assert (await execute(suite, f"{name}-{end}")).status == 200
    assert [call.query["n"] for call in world.calls("call")] == ["6", "5", "7"]
    stats = (await suite.get("/api/v1/stats")).json["templates"]
    assert stats["templates"][name] == 3
    assert stats["share"] == stats["fromTemplates"] / stats["workflows"]
    metrics = (await suite.get("/metrics")).text
    made_of = 'flowmesh_workflows_created_total{origin="template"}'
    assert any(line.startswith(made_of) for line in metrics.splitlines())
    assert (await suite.delete(f"/api/v1/templates/{name}")).status == 204
    assert refusal(await suite.get(f"/api/v1/templates/{name}")) == (404, "TEMPLATE_NOT_FOUND")
    bundled = await suite.delete("/api/v1/templates/fan-out")
    assert refusal(bundled) == (404, "TEMPLATE_NOT_FOUND")


@pytest.mark.feature("S4-101")
async def test_the_bundled_templates_run(suite: Suite, world: World, name: str) -> None:
    """Each made of its parameters, against a service that is there."""
    url = world.url("service")
    world.answers("rows", json=[{"id": 2, "active": True}, {"id": 1, "active": False}])
    cases: dict[str, tuple[Json, Json]] = {
        "http-call": ({"url": url}, {"a": 1}),
        "fan-out": ({"url": url, "concurrency": 2}, {"items": [1, 2, 3]}),
        "fetch-transform-store": ({"source": world.url("rows"), "target": url}, {}),
        "reminder": ({"url": url, "wait": "1ms"}, {}),
    }
    for template, (parameters, value) in cases.items():
        made = await suite.post(
            f"/api/v1/templates/{template}:instantiate",
            {"name": f"{name}-{template}", "parameters": parameters},
        )
        assert made.status == 201, made.text
        ran = await execute(suite, f"{name}-{template}", value)
        assert ran.status == 200, (template, ran.text)
    bodies = [call.json for call in world.calls("service")]
    assert {"a": 1} in bodies
    assert {"rows": [{"id": 2, "active": True}]} in bodies
    assert sorted(body["item"] for body in bodies if "item" in body) == [1, 2, 3]
