"""The large examples: a chat platform of several files, and a shop behind a gateway."""

from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from tests.features.apps import ROOT, SECRET, RunningApp, running, written

CHAT = ROOT / "examples" / "apps" / "chat-platform" / "app.yaml"


@pytest.mark.feature("S1-140", "S1-96")
async def test_the_chat_platform_starts_with_13_states_and_60_routes() -> None:
    """Several files are one application; each route is served, and a message opens a state."""
    found = check(CHAT, Loading(environment={"JWT_SECRET": SECRET}))
    assert found.problems == []
    assert len(found.document.files) == 3
    engine = found.built.registry.get("Machine", "engine")
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


async def _token(app: RunningApp, email: str) -> dict[str, str]:
    account = {"email": email, "password": "correct horse"}
    made = await app.call("POST", "/api/auth/register", account)
    assert made.status == 201, made.body
    return {"Authorization": f"Bearer {made.body['token']}"}


@pytest.mark.feature("S1-141", "S1-10", "S1-16")
async def test_an_order_passes_the_gateway_of_the_shop(tmp_path: Path) -> None:
    """Users, products and orders of the shop answer behind a gateway, each with its own orders."""
    shop = ROOT / "examples" / "apps" / "shop" / "app.yaml"
    async with running(shop, environment={"DATABASE": ":memory:"}) as behind:
        gateway = f"""
name: gateway
modules:
- {{name: web, type: http.server, config: {{address: ":0", middlewares: [ids, limit]}}}}
- {{name: ids, type: http.middleware.requestid}}
- {{name: limit, type: http.middleware.ratelimit, config: {{requestsPerMinute: 600}}}}
- {{name: services, type: http.simple_proxy, config: {{targets: {{/api: "{behind.url}"}}}}}}
"""
        async with running(written(tmp_path, gateway)) as app:
            products = (await app.call("GET", "/api/products?sort=price")).body
            assert [each["id"] for each in products] == ["p-1", "p-2", "p-3"]
            order = {"product": "p-2", "amount": 2}
            assert (await app.call("POST", "/api/orders", order)).status == 401
            ann, bob = await _token(app, "ann@shop.example"), await _token(app, "bob@shop.example")
            placed = await app.call("POST", "/api/orders", order, ann)
            assert (placed.status, placed.body["status"]) == (201, "new")
            wrong = await app.call("POST", "/api/orders", {"product": "p-2", "amount": 0}, ann)
            assert wrong.status == 422
            listed = (await app.call("GET", "/api/orders", headers=ann)).body
            rows = listed if isinstance(listed, list) else listed["orders"]
            assert [(r["id"], r["product"], r["amount"]) for r in rows] == [
                (placed.body["id"], "p-2", 2)
            ]
            assert placed.body["id"] not in str(
                (await app.call("GET", "/api/orders", headers=bob)).body
            )
            assert placed.headers["X-Request-Id"]
