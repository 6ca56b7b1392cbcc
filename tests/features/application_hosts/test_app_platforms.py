"""The large examples: a chat platform of several files, and a shop behind a gateway."""

import pytest

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from flowmesh.apps.wiring.ports import MACHINE
from tests.features.apps import ROOT, SECRET, RunningApp, running

CHAT = ROOT / "examples" / "apps" / "chat-platform" / "app.yaml"
SHOP = ROOT / "examples" / "apps" / "shop"


@pytest.mark.feature("S1-140", "S1-96")
async def test_the_chat_platform_starts_with_13_states_and_60_routes() -> None:
    """Several files are one application; each route is served, and a message opens a state."""
    found = check(CHAT, Loading(environment={"JWT_SECRET": SECRET}))
    assert found.problems == []
    assert len(found.document.files) == 3
    engine = found.built.registry.need(MACHINE, "engine")
    assert len(engine.definitions["conversation"].states) == 13
    routes = {(each.method, each.path) for each in found.document.routes}
    assert len(routes) >= 60
    async with running(CHAT, environment={"DATABASE": ":memory:"}) as app:
        for method, path in sorted(routes):
            filled = path.replace("{id}", "x").replace("{channel}", "sms").replace("{type}", "t")
            answer = await app.call(method, f"/api{filled}", {} if method != "GET" else None)
            assert answer.status not in (404, 405, 500, 501), (method, path, answer.body)
        sent = {"from": "ada", "text": "My invoice is broken"}
        answer = await app.call("POST", "/api/messages/sms", sent)
        assert (answer.status, answer.body["queue"]) == (202, "billing")


async def _token(app: RunningApp, email: str, *, setup: bool = False) -> dict[str, str]:
    """Register a user, or set up the administrator."""
    account = {"email": email, "password": "correct horse", "setupToken": SECRET}
    made = await app.call("POST", f"/api/auth/{'setup' if setup else 'register'}", account)
    assert made.status == 201, made.body
    return {"Authorization": f"Bearer {made.body['token']}"}


@pytest.mark.feature("S1-141", "S1-10", "S1-16")
async def test_an_order_passes_the_gateway_of_the_shop() -> None:
    """Users, products and orders answer behind it; administrators manage, buyers see their own."""
    stored = {"DATABASE": ":memory:", "SETUP_TOKEN": SECRET}
    async with (
        running(SHOP / "app.yaml", environment=stored) as behind,
        running(SHOP / "gateway.yaml", environment={"SHOP_URL": behind.url}) as app,
    ):
        products = (await app.call("GET", "/api/products?sort=price")).body
        assert [each["id"] for each in products] == ["p-1", "p-2", "p-3"]
        order = {"product": "p-4", "amount": 2}
        assert (await app.call("POST", "/api/orders", order)).status == 401
        ann, bob = await _token(app, "ann@shop.example"), await _token(app, "bob@shop.example")
        await _manage_products(app, ann)
        placed = await app.call("POST", "/api/orders", order, ann)
        assert (placed.status, placed.body["status"]) == (201, "new")
        wrong = await app.call("POST", "/api/orders", {"product": "p-2", "amount": 0}, ann)
        assert wrong.status == 422
        listed = (await app.call("GET", "/api/orders", headers=ann)).body
        assert [(r["id"], r["product"], r["amount"]) for r in listed] == [
            (placed.body["id"], "p-4", 2)
        ]
        assert (await app.call("GET", "/api/orders", headers=bob)).body == []
        assert placed.headers["X-Request-Id"]


async def _manage_products(app: RunningApp, buyer: dict[str, str]) -> None:
    """Add, change and remove products as the administrator; a buyer may not."""
    lead = await _token(app, "lead@shop.example", setup=True)
    rug = {"id": "p-4", "name": "Rug", "price": 90}
    assert (await app.call("POST", "/api/products", rug, buyer)).status == 403
    assert (await app.call("POST", "/api/products", rug, lead)).status == 201
    assert (await app.call("PUT", "/api/products/p-4", {**rug, "price": 80}, lead)).status == 200
    assert (await app.call("DELETE", "/api/products/p-1", headers=buyer)).status == 403
    assert (await app.call("DELETE", "/api/products/p-1", headers=lead)).status == 204
    found = (await app.call("GET", "/api/products?sort=id")).body
    assert [each["id"] for each in found] == ["p-2", "p-3", "p-4"]
    assert found[-1]["data"]["price"] == 80
    users = await app.call("GET", "/api/auth/users", headers=lead)
    assert {each["email"].partition("@")[0] for each in users.body} == {"ann", "bob", "lead"}
