"""Taxes of an order in the smallest unit of its currency: lines are added up by rate, then rounded.

Half a unit is rounded up, so that each sum of the answer is the sum of its parts.
"""

from decimal import ROUND_HALF_UP, Decimal
from types import SimpleNamespace


def call(input: dict, module) -> dict:
    """Return net, tax and gross of the `lines` of an order, as a whole and by rate.

    A line has an `amount` in units such as cents, and may have a `quantity` and a `rate`.
    """
    config, amounts = module.config, {}
    for place, line in enumerate(input["lines"]):
        rate = line.get("rate", config["rate"])
        if rate not in config["rates"]:
            known = ", ".join(config["rates"])
            raise ValueError(f"lines[{place}].rate: {rate!r} is none of {known}")
        amount, quantity = line["amount"], line.get("quantity", 1)
        if not _is_whole(amount) or not _is_whole(quantity):
            raise ValueError(f"lines[{place}]: amount and quantity are whole numbers")
        amounts[rate] = amounts.get(rate, 0) + amount * quantity
    parts = [
        _part(rate, config["rates"][rate], amount, config["included"])
        for rate, amount in amounts.items()
    ]
    sums = {each: sum(part[each] for part in parts) for each in ("net", "tax", "gross")}
    return {**sums, "taxes": parts}


def _part(rate: str, percent: float, amount: int, included: bool) -> dict:
    share = Decimal(str(percent))
    exact = amount * share / (100 + share if included else 100)
    tax = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    net = amount - tax if included else amount
    return {"rate": rate, "percent": percent, "net": net, "tax": tax, "gross": net + tax}


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def self_test() -> None:
    """Raise unless an order has its taxes."""
    config = {"rates": {"standard": 19, "reduced": 7}, "rate": "standard", "included": False}
    lines = [{"amount": 995, "quantity": 2}, {"amount": 250, "rate": "reduced"}]
    found = call({"lines": lines}, SimpleNamespace(config=config))
    if (found["net"], found["tax"], found["gross"]) != (2240, 396, 2636):
        raise ValueError(f"the taxes of the example are wrong: {found}")
