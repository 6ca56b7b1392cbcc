"""Loads a service's SQL files as named queries."""

from importlib.resources.abc import Traversable
from typing import Any

import aiosql

ADAPTER = "asyncpg"


def load_queries(folder: Traversable) -> Any:
    """The queries of all `.sql` files directly in the folder, as methods of one object."""
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=_name)
    return aiosql.from_str("\n".join(file.read_text("utf-8") for file in files), ADAPTER)


def _name(file: Traversable) -> str:
    return file.name
