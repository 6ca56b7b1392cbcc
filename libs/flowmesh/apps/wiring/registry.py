"""The services of a running application, by kind and name."""

from collections.abc import Callable
from typing import Any, TypeVar

from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.wiring.ports import Port
from flowmesh.errors import Unavailable
from flowmesh.sql import Dialect

T = TypeVar("T")
_SQLITE = frozenset({"sqlite", "sqlite3"})


class ServiceRegistry:
    """Services by kind and name; without a name, the only one of the kind."""

    def __init__(self, document: AppDocument) -> None:
        self._document = document
        self._services: dict[tuple[str, str], Any] = {}

    def put(self, port: Port[T], name: str, service: T) -> None:
        self._services[port.name, name] = service

    def offer(self, kind: str, name: str, service: object) -> None:
        """Put a service of a module, which names its port."""
        self._services[kind, name] = service

    def remove(self, port: Port[Any], name: str) -> None:
        self._services.pop((port.name, name), None)

    def get(self, port: Port[T], name: str = "") -> T | None:
        """Return a service; None if there is none."""
        found: T | None = self._services.get((port.name, name))
        if found is not None or name:
            return found
        only = self.all(port)
        return only[0] if len(only) == 1 else None

    def need(self, port: Port[T], name: str = "") -> T:
        """Return a service. Raises SERVICE_MISSING."""
        found = self.get(port, name)
        if found is None:
            message = f"the application runs no {port.name} {name!r}".replace(" ''", "")
            raise Unavailable("SERVICE_MISSING", message)
        return found

    def all(self, port: Port[T]) -> list[T]:
        return [each for (kind, _), each in self._services.items() if kind == port.name]

    def of_modules(self, port: Port[T]) -> dict[str, T]:
        """Return the services under the names of modules."""
        found = {each.name: self.get(port, each.name) for each in self._document.modules}
        return {name: each for name, each in found.items() if each is not None}

    def names(self, port: Port[Any]) -> list[str]:
        return [name for kind, name in self._services if kind == port.name]

    def later(self, port: Port[T], name: str) -> Callable[[], T]:
        """Return a function that finds the service when the application runs."""
        found: list[T] = []

        def find() -> T:
            if not found:
                found.append(self.need(port, name))
            return found[0]

        return find

    def dialect(self, database: str) -> Dialect | None:
        """Return the dialect of a database of the document; None if there is no such database."""
        base, _, connection = database.rpartition(".")
        module = self._document.module(database)
        config = module.config if module is not None else {}
        if module is None and base:
            module = self._document.module(base)
            config = (module.config.get("connections") or {}).get(connection, {}) if module else {}
        if module is None:
            return None
        if module.type == "storage.sqlite":
            return "sqlite"
        if module.type == "database.modular" and "connections" in config:
            default = config.get("default") or next(iter(config["connections"]), "")
            config = config["connections"].get(default, {})
        driver = str(config.get("driver", "")).lower()
        return "sqlite" if driver in _SQLITE else "postgres"
