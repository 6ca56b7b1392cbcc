"""Event sourcing: an account as a stream of events, its balances as a projection.

Run it beside `flowmesh dev`: python examples/sdk_event_store.py
"""

import asyncio
import uuid
from typing import Any

from flowmesh.sdk import Client, NewEvent, Projector, Repository, aggregate, projection


@aggregate("account")
class Account:
    def __init__(self) -> None:
        self.balance = 0

    def apply_money_deposited(self, data: Any) -> None:
        self.balance += data["amount"]

    def apply_money_withdrawn(self, data: Any) -> None:
        self.balance -= data["amount"]

    def withdraw(self, amount: int) -> NewEvent:
        if amount > self.balance:
            raise ValueError(f"the balance is {self.balance}")
        return NewEvent("MoneyWithdrawn", {"amount": amount})


@projection("balances", category="account")
def balances(state: Any, event: Any) -> Any:
    sign = 1 if event.type == "MoneyDeposited" else -1
    return (state or 0) + sign * event.data["amount"]


async def main(address: str = "") -> Any:
    id = uuid.uuid4().hex[:8]
    async with Client(address) as client:
        accounts = Repository(client, Account)
        await accounts.update(id, lambda _: NewEvent("MoneyDeposited", {"amount": 100}))
        account = await accounts.update(id, lambda loaded: loaded.withdraw(30))
        print("balance", account.state.balance, "at version", account.version)
        await Projector(client, balances).catch_up()
        return await client.projections.state("balances", accounts.stream(id))


if __name__ == "__main__":
    print("projected", asyncio.run(main()))
