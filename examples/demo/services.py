"""The responses of the services, as pure functions of the call."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Any

REFUSED_CUSTOMER: Final = "customer-without-credit"
SOLD_OUT_SKU: Final = "sku-sold-out"
UNKNOWN_USER: Final = "user-unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a service; `key` is the Idempotency-Key, or the id of a callback."""

    path: str
    key: str
    body: Json
    callback: bool = False

    def random(self, *salt: str) -> random.Random:
        """Return a value that depends only on the call."""
        return random.Random("/".join((self.path, self.key, *salt)))


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; a status below 400 means that there was an effect."""

    status: int
    body: Json
    # The business object of the call; empty without an effect.
    subject: str = ""


Answer = Callable[[Call], Reply]


def validate(call: Call) -> Reply:
    order = call.body["orderId"]
    return Reply(200, {"valid": True, "orderId": order}, order)


def charge(call: Call) -> Reply:
    order, amount = call.body["orderId"], call.body["amount"]
    if call.body["customerId"] == REFUSED_CUSTOMER:
        return Reply(402, {"error": "the card was declined"}, order)
    charge_id = f"ch-{call.random(order).randrange(16**8):08x}"
    return Reply(200, {"chargeId": charge_id, "orderId": order, "amount": amount}, order)


def check_stock(call: Call) -> Reply:
    order = call.body["orderId"]
    if call.body.get("sku") == SOLD_OUT_SKU:
        return Reply(409, {"error": "sold out"}, order)
    shelf = f"{call.random(order).choice('ABCDEF')}-{call.random(order).randrange(40)}"
    return Reply(200, {"reserved": True, "shelf": shelf}, order)


def ship(call: Call) -> Reply:
    order = call.body["orderId"]
    return Reply(200, {"tracking": f"tr-{call.random(order).randrange(10**9):09d}"}, order)


def source_data(call: Call) -> Reply:
    chance = call.random()
    users = [{"id": n, "name": f"User {n}", "phone": "-"} for n in range(chance.randint(5, 30))]
    orders = [
        {"id": n, "status": chance.choice(("active", "closed"))}
        for n in range(chance.randint(5, 60))
    ]
    return Reply(200, {"users": users, "orders": orders})


def load(call: Call) -> Reply:
    users, orders = call.body["transform-users"], call.body["transform-orders"]
    return Reply(200, {"users": len(users), "orders": len(orders)}, call.body["batchId"])


def crm_user(call: Call) -> Reply:
    user = call.path.rpartition("/")[2]
    if user == UNKNOWN_USER:
        return Reply(404, {"error": "no such user"})
    return Reply(200, {"id": user, "name": user.title(), "email": f"{user}@example.com"})


def user_orders(call: Call) -> Reply:
    chance = call.random()
    products = ("book", "pen", "lamp", "chair", "desk", "clock", "cup")
    orders = [
        {"id": f"o-{n}", "name": chance.choice(products), "active": chance.random() < 0.6}
        for n in range(chance.randint(4, 25))
    ]
    return Reply(200, {"orders": orders})


def send_email(call: Call) -> Reply:
    reference = call.body["reference"]
    return Reply(200, {"sent": True, "items": len(call.body["items"])}, reference)


def notified(call: Call) -> Reply:
    """Respond to callbacks of workflows and to the webhook step; callbacks have an execution id."""
    return Reply(200, {"ok": True}, call.body.get("executionId", ""))


@dataclass(frozen=True, slots=True)
class Service:
    """A host of the source documents: its responses, delays and failures."""

    answer: Answer
    latency_ms: tuple[int, int] = (5, 40)
    # Temporary failures before any effect, only of services whose callers retry.
    faults: tuple[str, ...] = ()


STEP_FAULTS: Final = ("503", "503", "500", "429", "reset")
# The native tasks have a timeout of 2 s, so that delays can exceed it.
TASK_FAULTS: Final = ("503", "429", "reset", "hang")

SERVICES: Final[Mapping[str, Service]] = {
    "validation-service": Service(validate, (5, 30), STEP_FAULTS),
    "payment-service": Service(charge, (20, 120), STEP_FAULTS),
    "fulfillment-service": Service(ship, (10, 80)),
    "validation": Service(validate, (5, 30), STEP_FAULTS),
    "inventory": Service(check_stock, (5, 40)),
    "payment": Service(charge, (20, 120), STEP_FAULTS),
    "shipping": Service(ship, (10, 80)),
    "notifications": Service(notified),
    "analytics": Service(notified),
    "support": Service(notified),
    "source-system": Service(source_data, (20, 100)),
    "target-system": Service(load, (20, 100)),
    "crm": Service(crm_user, (5, 60), TASK_FAULTS),
    "orders": Service(user_orders, (5, 60), TASK_FAULTS),
    "email": Service(send_email, (5, 40), ("503", "429", "reset")),
}
