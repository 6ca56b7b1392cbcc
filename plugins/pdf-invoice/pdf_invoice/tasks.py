"""The task `invoice.pdf`."""

import base64
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from flowmesh.plugins import configuration
from flowmesh.sdk import NonRetryable
from pdf_invoice.pages import Invoice, Item, written

ITEMS_MAX = 200
CENT = Decimal("0.01")


def invoice(input: dict[str, Any]) -> dict[str, Any]:
    """Return the invoice `number` of `date` to `buyer` over `items` as PDF in base64, and its sums.

    An item has `text`, `quantity` and `unitPrice`; numbers may be texts such as "19.90".
    """
    settings = configuration()
    given = input["items"]
    if not 1 <= len(given) <= ITEMS_MAX:
        raise NonRetryable(f"items: an invoice has 1 to {ITEMS_MAX}")
    items = [item_of(each, f"items[{index}]") for index, each in enumerate(given)]
    percent = number(input.get("taxPercent", settings["taxPercent"]), "taxPercent")
    net = sum((each.total for each in items), Decimal(0))
    tax = rounded(net * percent / 100)
    made = Invoice(
        seller=tuple(settings["seller"]),
        buyer=tuple(lines_of(input["buyer"])),
        number=str(input["number"]),
        date=str(input["date"]),
        items=tuple(items),
        sums=(("Net", net), (f"Tax {percent.normalize():f} %", tax), ("Total", net + tax)),
        currency=settings["currency"],
        footer=settings["footer"],
    )
    try:
        content, pages = written(made)
    except UnicodeEncodeError as error:
        wrong = error.object[error.start : error.end]
        raise NonRetryable(f"the fonts of the invoice have no {wrong!r}") from None
    return {
        "pdf": base64.b64encode(content).decode(),
        "pages": pages,
        "net": str(net),
        "tax": str(tax),
        "total": str(net + tax),
    }


def item_of(given: dict[str, Any], place: str) -> Item:
    """Return an item with its total. Raises NonRetryable."""
    quantity = number(given["quantity"], f"{place}.quantity")
    price = number(given["unitPrice"], f"{place}.unitPrice")
    return Item(str(given["text"]), quantity, price, rounded(quantity * price))


def number(value: Any, place: str) -> Decimal:
    """Return a number exactly as it is written. Raises NonRetryable."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise NonRetryable(f"{place}: {str(value)[:40]!r} is no number") from None
    if not found.is_finite() or abs(found) >= Decimal(10) ** 9:
        raise NonRetryable(f"{place}: {found} is out of range")
    return found


def rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def lines_of(value: Any) -> list[str]:
    lines = value if isinstance(value, list) else str(value).split("\n")
    return [str(each) for each in lines][:8]


def self_test() -> None:
    """Raise if no page can be made with the seller and the footer of the configuration."""
    item = {"text": "Test", "quantity": 1, "unitPrice": "1.00"}
    invoice({"number": "0", "date": "2026-01-01", "buyer": "Test", "items": [item]})
