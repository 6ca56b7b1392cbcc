"""A stub of Stripe's meter events, which takes each identifier once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from flowmesh.contract.json_value import Json


class StripeStub:
    """The events by identifier, and the number of calls."""

    def __init__(self, key: str) -> None:
        self.url = ""
        self.events: dict[str, dict[str, str]] = {}
        self.calls = 0
        self._key = key

    def used(self, name: str, customer: str) -> int:
        """Return the sum of the values of a customer."""
        return sum(
            int(each["payload[value]"])
            for each in self.events.values()
            if (each["event_name"], each["payload[stripe_customer_id]"]) == (name, customer)
        )

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        if request.headers.get("authorization") != f"Bearer {self._key}":
            return _refused(401, "api_key_invalid", "Invalid API Key provided")
        form = {name: str(value) for name, value in (await request.post()).items()}
        identifier = form["identifier"]
        if identifier in self.events:
            return _refused(400, "duplicate_meter_event", "An event has this identifier")
        assert request.headers["idempotency-key"]
        self.events[identifier] = form
        answer: Json = {
            "object": "billing.meter_event",
            "event_name": form["event_name"],
            "identifier": identifier,
            "timestamp": int(form["timestamp"]),
            "created": int(form["timestamp"]),
            "livemode": False,
            "payload": {
                "stripe_customer_id": form["payload[stripe_customer_id]"],
                "value": form["payload[value]"],
            },
        }
        return web.json_response(answer)


def _refused(status: int, code: str, message: str) -> web.Response:
    error: Json = {"type": "invalid_request_error", "code": code, "message": message}
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def serving_stripe(key: str) -> AsyncIterator[StripeStub]:
    stub = StripeStub(key)
    app = web.Application()
    app.router.add_post("/v1/billing/meter_events", stub.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stub
    finally:
        await runner.cleanup()
