"""Worker of the order flow: stock, payment and shipment, with what undoes the first two.

`python worker.py` serves the tasks, `python worker.py ledger` prints what was done.
"""

import sys
from pathlib import Path
from typing import Any

from flowmesh.sdk import TaskContext, TaskFailure, Worker

LEDGER = Path(__file__).with_name("ledger.txt")
CITIES = {"Bonn", "Lyon", "Turin"}

worker = Worker()


def book(entry: str, context: TaskContext) -> str:
    """Append a line unless the key is there: a retried attempt must not charge twice."""
    key = context.idempotency_key
    lines = LEDGER.read_text().splitlines() if LEDGER.exists() else []
    if not any(line.endswith(key) for line in lines):
        with LEDGER.open("a") as ledger:
            ledger.write(f"{entry} {key}\n")
    return key


@worker.task("reserve-stock")
async def reserve(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    return {"reservation": book(f"{input['order']} reserved {input['sku']}", context)}


@worker.task("release-stock")
async def release(input: dict[str, Any], context: TaskContext) -> None:
    book(f"{input['order']} released {input['reservation']}", context)


@worker.task("charge-order")
async def charge(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    return {"charge": book(f"{input['order']} charged {input['amount']}", context)}


@worker.task("refund-order")
async def refund(input: dict[str, Any], context: TaskContext) -> None:
    book(f"{input['order']} refunded {input['charge']}", context)


@worker.task("ship-parcel")
async def ship(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Fail under a class that is not retried by default: the address stays wrong."""
    if input["city"] not in CITIES:
        raise TaskFailure("AddressUnknown", f"no carrier delivers to {input['city']}")
    return {"tracking": book(f"{input['order']} shipped {input['city']}", context)}


def ledger() -> None:
    for line in LEDGER.read_text().splitlines():
        print(" ".join(line.split()[:2]))


if __name__ == "__main__":
    ledger() if sys.argv[1:] == ["ledger"] else worker.run()
