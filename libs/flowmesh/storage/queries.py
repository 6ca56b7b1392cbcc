"""Named queries from the SQL files of a service."""

from importlib.resources.abc import Traversable
from typing import Any

import aiosql

ADAPTER = "asyncpg"


def load_queries(folder: Traversable) -> Any:
    """Return the queries of all `.sql` files of the folder as methods of an object."""
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=_name)
    return aiosql.from_str("\n".join(file.read_text("utf-8") for file in files), ADAPTER)


def _name(file: Traversable) -> str:
    return file.name
