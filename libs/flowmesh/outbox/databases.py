"""The databases of FLOWMESH_DATABASES that have an outbox or change triggers.

```toml
[orders]
url = "postgresql://flowmesh@db.example/orders"
outbox = true
changes = true
namespaces = ["shop"]
```
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

DEFAULT_NAMESPACES: Final = frozenset({"default"})


@dataclass(frozen=True, slots=True)
class UserDatabase:
    """A PostgreSQL of users. Requests of other namespaces are refused."""

    name: str
    url: str = field(repr=False)
    outbox: bool = False
    # Whether change triggers may read it.
    changes: bool = False
    namespaces: frozenset[str] = DEFAULT_NAMESPACES


def user_databases(path: str) -> dict[str, UserDatabase]:
    """Read the file; raise ValueError with the place of a problem."""
    if not path:
        return {}
    try:
        tables = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"databases: {path}: {error}") from None
    found = {}
    for name, given in tables.items():
        try:
            found[name] = _database(name, given)
        except ValueError as error:
            raise ValueError(f"databases: {path}: [{name}]: {error}") from None
    return found


def _database(name: str, given: Any) -> UserDatabase:
    if not isinstance(given, dict):
        raise ValueError("a database is a table with a url")
    outbox, changes = _flag(given, "outbox"), _flag(given, "changes")
    url = str(given.get("url", ""))
    if (outbox or changes) and not url.startswith(("postgresql://", "postgres://")):
        what = "an outbox needs" if outbox else "changes need"
        raise ValueError(f"{what} a url that begins with postgresql://")
    names = given.get("namespaces", sorted(DEFAULT_NAMESPACES))
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise ValueError("namespaces is a list of names")
    return UserDatabase(name, url, outbox, changes, frozenset(names))


def _flag(given: dict[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is true or false")
    return value
