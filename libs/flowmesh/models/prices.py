"""Prices of models, by the table that ships or one of the administrator.

The lists of the services change: the table has a date, and a model that it does not have costs as
much as its most expensive one, so that a budget never lets more through than it says.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from flowmesh.models.port import Usage

READ_FACTOR, WRITE_FACTOR = 0.1, 1.25
"""Prices of tokens read from a cache and written to it, as parts of the price of an input token."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, which are millionths of a dollar for one."""

    input: float
    output: float


class Prices:
    """Prices by the longest prefix of the name of a model. Raises ValueError, OSError."""

    def __init__(self, path: str = "") -> None:
        own = files("flowmesh.models") / "prices.toml"
        self._prices = {
            **_read(own.read_text()),
            **(_read(Path(path).read_text()) if path else {}),
        }

    def of(self, model: str) -> Price:
        """Return the price of a model."""
        known = [name for name in self._prices if model.startswith(name)]
        if known:
            return self._prices[max(known, key=len)]
        return max(self._prices.values(), key=lambda price: price.output)

    def micro_usd(self, model: str, usage: Usage) -> int:
        """Return the cost of a turn, rounded up."""
        price = self.of(model)
        plain = usage.input_tokens - usage.read_tokens - usage.written_tokens
        counted = plain + usage.read_tokens * READ_FACTOR + usage.written_tokens * WRITE_FACTOR
        return -int(-(counted * price.input + usage.output_tokens * price.output) // 1)


def _read(text: str) -> dict[str, Price]:
    found = {}
    for name, each in tomllib.loads(text).get("models", {}).items():
        try:
            price = Price(float(each["input"]), float(each["output"]))
        except (KeyError, TypeError):
            raise ValueError(
                f"models.{name}: give input and output, USD for a million tokens"
            ) from None
        if price.input < 0 or price.output < 0:
            raise ValueError(f"models.{name}: a price is not negative")
        found[name] = price
    return found
