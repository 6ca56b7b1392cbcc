"""The five workflows of the source documents, and the inputs of the demo orders."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from examples.demo import services

Json = Any

FOLDER: Final = Path(__file__).with_name("workflows")
HOST: Final = re.compile(r"http://([a-z-]+)/")


@dataclass(frozen=True, slots=True)
class Source:
    """A definition as text; step JSON is sent to `POST /workflows` as documented."""

    id: str
    text: str
    steps: bool


@dataclass(frozen=True, slots=True)
class Order:
    """An execution to start. `fails_at` is the step that must fail, if any."""

    request_id: str
    workflow_id: str
    input: Json
    by_curl: bool
    fails_at: str = ""


# The share of each workflow among the orders.
SHARES: Final = {
    "order-processing": 30,
    "order-flow": 30,
    "user-orders": 20,
    "etl-pipeline": 12,
    "cicd-pipeline": 8,
}
# One of this many orders is started by curl.
CURL_EVERY: Final = 8
# One of this many orders must fail, if a service of its workflow can refuse it.
REFUSED_EVERY: Final = 25


def sources(hosts: Mapping[str, str]) -> list[Source]:
    """Return the definitions with their hosts replaced by the addresses of the services."""
    return [
        Source(
            path.stem,
            HOST.sub(lambda found: f"http://{hosts[found[1]]}/", path.read_text()),
            path.suffix == ".json",
        )
        for path in sorted(FOLDER.iterdir())
    ]


def orders(count: int, seed: int) -> Iterator[Order]:
    """Return the orders of a run; a seed gives the same orders."""
    chance = random.Random(seed)
    numbers: dict[str, int] = dict.fromkeys(SHARES, 0)
    for at in range(count):
        workflow_id = chance.choices(list(SHARES), list(SHARES.values()))[0]
        numbers[workflow_id] += 1
        refused = numbers[workflow_id] % REFUSED_EVERY == REFUSED_EVERY // 2
        value, fails_at = _input(workflow_id, f"{seed}-{at:04d}", chance, refused=refused)
        yield Order(f"demo-{seed}-{at:04d}", workflow_id, value, at % CURL_EVERY == 0, fails_at)


def _input(
    workflow_id: str, name: str, chance: random.Random, *, refused: bool
) -> tuple[Json, str]:
    """Return an input and the step at which it will be refused."""
    amount = round(chance.uniform(5, 500), 2)
    order = {"orderId": f"order-{name}", "customerId": "customer-456", "amount": amount}
    match workflow_id:
        case "order-processing":
            if refused:
                order["customerId"] = services.REFUSED_CUSTOMER
            return order, "charge-payment" if refused else ""
        case "order-flow":
            order["sku"] = services.SOLD_OUT_SKU if refused else "sku-1"
            return order, "check-inventory" if refused else ""
        case "user-orders":
            user = services.UNKNOWN_USER if refused else f"user-{chance.randrange(1_000)}"
            reference = f"mail-{name}"
            return {"userId": user, "reference": reference}, "fetch-user" if refused else ""
        case "etl-pipeline":
            return {"batchId": f"batch-{name}"}, ""
        case _:
            return {}, ""


def wrong_result(workflow_id: str, outputs: Mapping[str, Json]) -> str:
    """Return the wrong results of steps that the suite computed; empty if all are right."""
    right: dict[str, Json]
    match workflow_id:
        case "etl-pipeline":
            data = outputs["extract"]
            users = [{"id": user["id"], "name": user["name"]} for user in data["users"]]
            active = [order for order in data["orders"] if order["status"] == "active"]
            right = {
                "transform-users": users,
                "transform-orders": active,
                "load": {"users": len(users), "orders": len(active)},
            }
        case "user-orders":
            found = [order for order in outputs["fetch-orders"]["orders"] if order["active"]]
            items = [{"orderId": order["id"], "product": order["name"]} for order in found]
            items.sort(key=lambda item: item["product"])
            right = {
                "process-data": items[:10],
                "send-confirmation": {"sent": True, "items": len(items[:10])},
            }
        case _:
            return ""
    for step, value in right.items():
        if outputs[step] != value:
            return f"{step} is {outputs[step]}, right would be {value}"
    return ""
